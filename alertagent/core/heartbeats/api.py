"""Heartbeats over HTTP."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from alertagent.core.audit.model import actor_of
from alertagent.core.heartbeats.model import Heartbeat, State
from alertagent.core.heartbeats.service import Heartbeats
from alertagent.kernel.clock import Clock
from alertagent.storage.pages import PageRequest
from alertagent.web.access import editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import NAMING, Duration, ListQuery, Model
from alertagent.web.replies import Page, Reply
from alertagent.web.routes import delete, get, post, put

Name = Annotated[str, Field(min_length=1, max_length=200), NAMING]
Matchers = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=2048)], ...],
    Field(min_length=1, max_length=20, description='Which alerts count as a beat: `alertname="Watchdog"`.'),
]
Interval = Annotated[
    Duration,
    Field(
        ge=timedelta(seconds=30),
        le=timedelta(days=30),
        description="How long it may stay away. Longer than its sender takes to repeat it.",
    ),
]
Labels = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=500)], Annotated[str, Field(max_length=2048)]],
    Field(max_length=50, description="Labels of the alarm; `severity` is `critical` unless it stands here."),
]


class HeartbeatRequest(Model):
    name: Name
    matchers: Matchers
    interval: Interval
    labels: Labels = {}


class HeartbeatChange(Model):
    """What is given replaces, what is absent stays."""

    name: Name | None = None
    matchers: Matchers | None = None
    interval: Interval | None = None
    labels: Labels | None = None

    def changes(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value for name, value in given.items() if value is not None}


class HeartbeatView(Model):
    """`due_at` is when it counts as missing unless it comes before; `alarm_id` is the id of the alert that tells so."""

    id: str
    name: str
    matchers: tuple[str, ...]
    interval: Duration
    labels: dict[str, str]
    state: State
    last_seen_at: datetime | None
    due_at: datetime
    alarm_id: str
    created_at: datetime
    updated_at: datetime


class HeartbeatsApi:
    def __init__(self, heartbeats: Heartbeats, clock: Clock) -> None:
        self._heartbeats = heartbeats
        self._clock = clock

    @get("/heartbeats", access=viewer("alerts:read"))
    async def list(self, call: Call, query: ListQuery) -> Page[HeartbeatView]:
        """The heartbeats."""
        found, next_cursor, total = await self._heartbeats.page(PageRequest(**query.model_dump()))
        return Page(items=[self._view(each) for each in found], next_cursor=next_cursor, total=total)

    @post("/heartbeats", access=editor("alerts:write"), status=201)
    async def add(self, call: Call, body: HeartbeatRequest) -> Reply[HeartbeatView]:
        """Expect an alert to keep coming; when it stays away, an alert is raised."""
        values = {name: getattr(body, name) for name in HeartbeatRequest.model_fields}
        return self._reply(await self._heartbeats.add(actor_of(call), values))

    @get("/heartbeats/{id}", access=viewer("alerts:read"))
    async def read(self, call: Call, id: str) -> Reply[HeartbeatView]:
        """One heartbeat."""
        return self._reply(await self._heartbeats.get(id))

    @put("/heartbeats/{id}", access=editor("alerts:write"))
    async def revise(self, call: Call, id: str, body: HeartbeatChange) -> Reply[HeartbeatView]:
        """Change a heartbeat; it counts anew from then on."""
        return self._reply(await self._heartbeats.revise(actor_of(call), id, body.changes(), call.expected))

    @delete("/heartbeats/{id}", access=editor("alerts:write"))
    async def remove(self, call: Call, id: str) -> None:
        """Expect it no longer; its alarm ends within five minutes."""
        await self._heartbeats.remove(actor_of(call), id, call.expected)

    def _reply(self, heartbeat: Heartbeat) -> Reply[HeartbeatView]:
        view = self._view(heartbeat)
        return Reply(data=view, etag=f"{heartbeat.revision}-{view.state}")

    def _view(self, heartbeat: Heartbeat) -> HeartbeatView:
        own = {"state", "alarm_id"}
        values = {name: getattr(heartbeat, name) for name in HeartbeatView.model_fields if name not in own}
        return HeartbeatView(**values, state=heartbeat.state(self._clock.now()), alarm_id=heartbeat.fingerprint)
