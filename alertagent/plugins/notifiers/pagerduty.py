"""PagerDuty by its Events API v2: a group of alerts is an alert there, triggered, told again and resolved by one key.

What surprises: 202 says only that the event was taken in, the incident is made later; there is no header with a
credential, the routing key stands in the body; and an event of another key can never resolve this one, so messages of
this channel are neither split nor merged.

Source: PagerDuty/developer-docs, `docs/events-API-v2`; prometheus/alertmanager, `notify/pagerduty/pagerduty.go`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import SecretStr

from alertagent import __version__
from alertagent.kernel.clock import rfc3339
from alertagent.kernel.message import Message, MessageAlert
from alertagent.kernel.urgency import Urgency
from alertagent.plugins.base import HttpNotifier, Limits, Worded
from alertagent.plugins.config import BaseUrl, PluginConfig, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.incident import incident_key, links, source, urgency
from alertagent.plugins.notifiers.outline import named, title
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, excerpt, failure, object_of
from alertagent.plugins.text import cut, json_size, one_line, printable
from alertagent.plugins.transport import HttpRequest

MAX_BYTES = 512_000
MAX_SUMMARY = 1024

_NAMES_BYTES = 80_000
_CONTENT_BYTES = 20_000
_PAIRS = 64
_VALUE_BYTES = 1_000
_FIELD_BYTES = 1_000

_SEVERITIES = {
    Urgency.CRITICAL: "critical",
    Urgency.ERROR: "error",
    Urgency.WARNING: "warning",
    Urgency.INFO: "info",
}


class PagerDutyConfig(PluginConfig):
    routing_key: Annotated[
        SecretStr,
        described(
            Bilingual(zh="Routing Key", en="Routing key"),
            Bilingual(
                zh="服务中 Events API v2 集成的 Integration Key",
                en="The integration key of a service's Events API v2 integration",
            ),
            secret=True,
            min_length=1,
            max_length=255,
        ),
    ]
    base_url: BaseUrl = "https://events.pagerduty.com"


class PagerDuty(HttpNotifier[PagerDutyConfig]):
    """One alert of a service for each group."""

    name = "pagerduty"
    version = __version__
    display_name = Bilingual(zh="PagerDuty", en="PagerDuty")
    description = Bilingual(zh="PagerDuty 事件（Events API v2）", en="Incidents in PagerDuty, by its Events API v2")
    Config = PagerDutyConfig
    worded = Worded.TITLE
    limits = Limits(max_bytes=MAX_BYTES)
    keeps_incidents = True
    url_field = "base_url"

    def account(self, config: PagerDutyConfig) -> str | None:
        return config.routing_key.get_secret_value()

    def render(self, config: PagerDutyConfig, message: Message, now: datetime) -> HttpRequest:
        return HttpRequest(
            url=f"{config.base_url}/v2/enqueue",
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(_event(config.routing_key.get_secret_value(), message)),
        )

    def accept(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        failed = failure(status, headers, body)
        if failed:
            return failed
        answer, code, text = object_of(body), f"http.{status}", excerpt(body)
        if answer.get("status") != "success":
            return Ambiguous(code=code, text=f"the answer does not say success: {text}")
        key = answer.get("dedup_key")
        return Delivered(code=code, text=text, message_id=key if isinstance(key, str) else None)


def _event(routing_key: str, message: Message) -> dict[str, Any]:
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "resolve" if message.group.status == "resolved" else "trigger",
        "dedup_key": incident_key(message),
    }
    if event["event_action"] == "resolve":
        return event
    shown = links(message)
    event |= {
        "client": "AlertAgent",
        "payload": _payload(message),
        "links": [{"href": link.url, "text": link.text} for link in shown],
    }
    if shown:
        event["client_url"] = shown[0].url
    return event


def _payload(message: Message) -> dict[str, Any]:
    labels = message.group.common_labels
    return {
        "summary": cut(title(message), MAX_SUMMARY, size=len),
        "source": _field(source(message)),
        "severity": _SEVERITIES[urgency(message)],
        "timestamp": rfc3339(message.timestamp),
        "component": _field(labels.get("service") or labels.get("job", "")),
        "group": _field(labels.get("cluster", "")),
        "class": _field(message.labels.get("alertname", "")),
        "custom_details": _details(message),
    }


def _details(message: Message) -> dict[str, Any]:
    """What fits into an event by far, however much there is of everything."""
    group = message.group
    firing = [alert for alert in group.alerts if alert.status == "firing"]
    resolved = [alert for alert in group.alerts if alert.status != "firing"]
    details = {
        "description": cut(printable(message.content), _CONTENT_BYTES, size=json_size),
        "num_firing": len(firing),
        "num_resolved": len(resolved),
        "firing": _names(firing, message),
        "resolved": _names(resolved, message),
        "labels": _pairs(group.common_labels),
        "annotations": _pairs(group.common_annotations),
    }
    found = message.extra.get("analysis")
    if isinstance(found, Mapping) and found.get("root_cause"):
        details["analysis"] = cut(printable(str(found["root_cause"])), _CONTENT_BYTES, size=json_size)
    return details


def _names(alerts: list[MessageAlert], message: Message) -> str:
    common = message.group.common_labels
    return "\n".join(named(alerts, common, room=_NAMES_BYTES, language=message.language, size=json_size))


def _pairs(pairs: Mapping[str, str]) -> dict[str, str]:
    shown = sorted(pairs.items())[:_PAIRS]
    return {_field(name): cut(printable(value), _VALUE_BYTES, size=json_size) for name, value in shown}


def _field(text: str) -> str:
    return cut(one_line(text), _FIELD_BYTES, size=json_size)
