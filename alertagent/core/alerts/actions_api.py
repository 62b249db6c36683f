"""What people do with alerts, over HTTP."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from alertagent.core.alerts.actions import Action, Verb
from alertagent.core.alerts.api import AlertView, view
from alertagent.core.alerts.handling import MAX_ALERTS, Handling
from alertagent.core.alerts.service import Alerts
from alertagent.core.audit.model import actor_of
from alertagent.web.access import editor
from alertagent.web.call import Call
from alertagent.web.models import NAMING, Model
from alertagent.web.replies import Reply
from alertagent.web.routes import post

ACK = editor("alerts:ack")

Words = Annotated[str, Field(max_length=16_384, description="Stands in the timeline.")]
Assignee = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="Who deals with it: a user with channels is told on them; null: nobody.",
    ),
    NAMING,
]
Fingerprint = Annotated[str, Field(min_length=1, max_length=100)]


class Remark(Model):
    comment: Words = ""


class Comment(Model):
    comment: Annotated[Words, Field(min_length=1)]


class Assignment(Model):
    to: Assignee | None
    comment: Words = ""


class Bulk(Model):
    """One action on many alerts: those named, or every firing one that all matchers of `filter` fit."""

    action: Verb
    ids: Annotated[tuple[Fingerprint, ...], Field(min_length=1, max_length=MAX_ALERTS)] | None = None
    filter: (
        Annotated[tuple[Annotated[str, Field(min_length=1, max_length=2048)], ...], Field(min_length=1, max_length=20)]
        | None
    ) = None
    to: Assignee | None = None
    comment: Words = ""

    @model_validator(mode="after")
    def _says_what_to_do_with_which(self) -> Self:
        if (self.ids is None) == (self.filter is None):
            raise ValueError('give either "ids" or "filter"')
        if self.action is Verb.COMMENT and not self.comment:
            raise ValueError('the action "comment" needs a "comment"')
        if self.action is Verb.ASSIGN and "to" not in self.model_fields_set:
            raise ValueError('the action "assign" needs "to"; null means nobody')
        return self


class Failure(Model):
    id: str
    message: str


class BulkOutcome(Model):
    """How many alerts the action changed, how many were so already, and which it could not be done with."""

    done: int
    unchanged: int
    failed: tuple[Failure, ...]


class ActionsApi:
    def __init__(self, alerts: Alerts, handling: Handling) -> None:
        self._alerts = alerts
        self._handling = handling

    @post("/alerts/{id}/ack", access=ACK)
    async def ack(self, call: Call, id: str, body: Remark) -> Reply[AlertView]:
        """Say that somebody deals with a firing alert: it is not told again until it ends or begins anew."""
        return await self._done(call, id, Action(verb=Verb.ACK, comment=body.comment))

    @post("/alerts/{id}/unack", access=ACK)
    async def unack(self, call: Call, id: str, body: Remark) -> Reply[AlertView]:
        """Take an acknowledgement back."""
        return await self._done(call, id, Action(verb=Verb.UNACK, comment=body.comment))

    @post("/alerts/{id}/resolve", access=ACK)
    async def resolve(self, call: Call, id: str, body: Remark) -> Reply[AlertView]:
        """End an alert by hand; a source that goes on for five minutes begins a new episode."""
        return await self._done(call, id, Action(verb=Verb.RESOLVE, comment=body.comment))

    @post("/alerts/{id}/comment", access=ACK)
    async def comment(self, call: Call, id: str, body: Comment) -> Reply[AlertView]:
        """Write something into the timeline of an alert."""
        return await self._done(call, id, Action(verb=Verb.COMMENT, comment=body.comment))

    @post("/alerts/{id}/assign", access=ACK)
    async def assign(self, call: Call, id: str, body: Assignment) -> Reply[AlertView]:
        """Say who deals with an alert."""
        return await self._done(call, id, Action(verb=Verb.ASSIGN, comment=body.comment, assignee=body.to))

    @post("/alerts/bulk", access=ACK)
    async def bulk(self, call: Call, body: Bulk) -> BulkOutcome:
        """Do one thing with up to 10,000 alerts; one that it cannot be done with hinders no other."""
        action, actor = Action(verb=body.action, comment=body.comment, assignee=body.to), actor_of(call)
        if body.filter is not None:
            handled = await self._handling.handle_matching(actor, body.filter, action)
        else:
            handled = await self._handling.handle_all(actor, body.ids or (), action)
        failed = tuple(Failure(id=id, message=reason) for id, reason in handled.failed.items())
        return BulkOutcome(done=len(handled.done), unchanged=len(handled.unchanged), failed=failed)

    async def _done(self, call: Call, id: str, action: Action) -> Reply[AlertView]:
        await self._handling.handle(actor_of(call), id, action)
        return Reply(data=await view(self._alerts, id))
