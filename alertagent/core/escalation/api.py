"""The escalation policy over HTTP."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, field_validator

from alertagent.core.audit.model import actor_of
from alertagent.core.escalation.model import EscalationRule, Policy
from alertagent.core.escalation.service import Escalations
from alertagent.kernel.matchers import parse_matcher
from alertagent.web.access import editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import Duration, Model
from alertagent.web.replies import Reply
from alertagent.web.routes import get, put

Text = Annotated[str, Field(min_length=1, max_length=2048)]


class RuleModel(Model):
    """Alerts that all matchers fit are told to these channels if nobody acknowledged them within `after`."""

    matchers: Annotated[tuple[Text, ...], Field(min_length=1, max_length=20, examples=[['severity="critical"']])]
    after: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(days=7))]
    channels: Annotated[
        tuple[Text, ...],
        Field(min_length=1, max_length=20, description="By name, or `user:<id>` for all of a user."),
    ]

    @field_validator("matchers")
    @classmethod
    def _are_matchers(cls, matchers: tuple[str, ...]) -> tuple[str, ...]:
        for text in matchers:
            parse_matcher(text)
        return matchers


class PolicyRequest(Model):
    rules: Annotated[tuple[RuleModel, ...], Field(max_length=100)]


class PolicyView(Model):
    rules: tuple[RuleModel, ...]
    updated_by: str | None
    updated_at: datetime | None


class EscalationApi:
    def __init__(self, escalations: Escalations) -> None:
        self._escalations = escalations

    @get("/escalation", access=viewer("alerts:read"))
    async def read(self, call: Call) -> Reply[PolicyView]:
        """Who hears of alerts that nobody acknowledges."""
        return _reply(await self._escalations.policy())

    @put("/escalation", access=editor("alerts:write"))
    async def replace(self, call: Call, body: PolicyRequest) -> Reply[PolicyView]:
        """Replace the whole policy; no rules, no escalation."""
        rules = [EscalationRule(matchers=r.matchers, after=r.after, channels=r.channels) for r in body.rules]
        return _reply(await self._escalations.replace(actor_of(call), rules, call.expected))


def _reply(policy: Policy) -> Reply[PolicyView]:
    rules = tuple(RuleModel(matchers=r.matchers, after=r.after, channels=r.channels) for r in policy.rules)
    view = PolicyView(rules=rules, updated_by=policy.updated_by, updated_at=policy.updated_at)
    return Reply(data=view, etag=str(policy.revision))
