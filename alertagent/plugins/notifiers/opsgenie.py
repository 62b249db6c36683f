"""Opsgenie by its Alert API: a group of alerts is an alert there, created and closed by one alias.

The same API serves Opsgenie's successor, the operations of Jira Service Management, under another base URL. What
surprises: both creating and closing answer 202 at once and are done later, so that the answer's `requestId` is all
there is to ask by; and what is longer than its limit is not cut but refused.

Source: docs.opsgenie.com, "Alert API"; prometheus/alertmanager, `notify/opsgenie/opsgenie.go`.
"""

from collections.abc import Mapping
from datetime import datetime
from itertools import accumulate
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import Field, model_validator

from alertagent import __version__
from alertagent.kernel.message import Message
from alertagent.kernel.urgency import Urgency
from alertagent.plugins.base import HttpNotifier, Worded
from alertagent.plugins.config import BaseUrl, PluginConfig, SecretHeader, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.incident import incident_key, source, urgency
from alertagent.plugins.notifiers.outline import fit, outline, plain, title
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, excerpt, failure, object_of
from alertagent.plugins.text import cut, one_line
from alertagent.plugins.transport import HttpRequest

# All in characters.
MAX_MESSAGE = 130
MAX_DESCRIPTION = 15_000
MAX_DETAILS = 8_000
MAX_ENTITY = 512

_NAMES = 9_000

_PRIORITIES = {Urgency.CRITICAL: "P1", Urgency.ERROR: "P2", Urgency.WARNING: "P3", Urgency.INFO: "P5"}

_Name = Annotated[str, Field(min_length=1, max_length=255)]


class Responder(PluginConfig):
    """Who is told: exactly one of the three names them."""

    type: Literal["team", "user", "escalation", "schedule"] = "team"
    name: _Name | None = None
    id: _Name | None = None
    username: _Name | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(value is not None for value in (self.name, self.id, self.username)) != 1:
            raise ValueError("a responder needs exactly one of name, id and username")
        return self


class OpsgenieConfig(PluginConfig):
    api_key: Annotated[
        SecretHeader,
        described(
            Bilingual(zh="API Key", en="API key"),
            Bilingual(zh="API 集成的密钥", en="The key of an API integration"),
            secret=True,
        ),
    ]
    responders: Annotated[
        tuple[Responder, ...],
        described(
            Bilingual(zh="响应者", en="Responders"),
            Bilingual(
                zh="通知的团队、用户、升级策略或值班表，默认由集成决定",
                en="Teams, users, escalations or schedules to tell; by default the integration decides",
            ),
            max_length=50,
        ),
    ] = ()
    base_url: BaseUrl = "https://api.opsgenie.com"


class Opsgenie(HttpNotifier[OpsgenieConfig]):
    """One alert for each group."""

    name = "opsgenie"
    version = __version__
    display_name = Bilingual(zh="Opsgenie", en="Opsgenie")
    description = Bilingual(
        zh="Opsgenie 或 Jira Service Management 告警", en="Alerts in Opsgenie or Jira Service Management"
    )
    Config = OpsgenieConfig
    worded = Worded.WHOLE
    keeps_incidents = True
    url_field = "base_url"

    def account(self, config: OpsgenieConfig) -> str | None:
        return config.api_key.get_secret_value()

    def render(self, config: OpsgenieConfig, message: Message, now: datetime) -> HttpRequest:
        alias = incident_key(message)
        url = f"{config.base_url}/v2/alerts"
        if message.group.status == "resolved":
            url, body = f"{url}/{alias}/close?identifierType=alias", {"source": "AlertAgent"}
        else:
            body = _alert(config, message, alias)
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"GenieKey {config.api_key.get_secret_value()}",
        }
        return HttpRequest(url=url, headers=headers, body=orjson.dumps(body))

    def accept(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        failed = failure(status, headers, body)
        if failed:
            return failed
        code, text, request_id = f"http.{status}", excerpt(body), object_of(body).get("requestId")
        if not isinstance(request_id, str) or not request_id:
            return Ambiguous(code=code, text=f"the answer has no requestId: {text}")
        return Delivered(code=code, text=text, message_id=request_id)


def _alert(config: OpsgenieConfig, message: Message, alias: str) -> dict[str, Any]:
    alert: dict[str, Any] = {
        "message": cut(title(message), MAX_MESSAGE, size=len),
        "alias": alias,
        "description": fit(message, outline(message, names=_NAMES, size=len), MAX_DESCRIPTION, draw=plain, size=len),
        "details": _details(message.group.common_labels),
        "entity": cut(source(message), MAX_ENTITY, size=len),
        "source": "AlertAgent",
        "priority": _PRIORITIES[urgency(message)],
    }
    if config.responders:
        alert["responders"] = [responder.model_dump(exclude_none=True) for responder in config.responders]
    return alert


def _details(labels: Mapping[str, str]) -> dict[str, str]:
    """As many labels as there is room for: names and values count together."""
    pairs = [
        (cut(one_line(name), 200, size=len), cut(one_line(value), 500, size=len)) for name, value in labels.items()
    ]
    pairs.sort()
    shown = sum(total <= MAX_DETAILS for total in accumulate(len(name) + len(value) for name, value in pairs))
    return dict(pairs[:shown])
