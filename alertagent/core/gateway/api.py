"""Alertmanager's API v2 over HTTP: the half that is read, and silences.

What comes in (`POST /api/v2/alerts`) is a door of its own, in `alerts`. Answers, refusals and statuses are those of
Alertmanager, so that its clients work unchanged; what is ours alone, who may do what and what the database cannot
do now, is told in our own way.
"""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator, Field

from alertagent import __version__
from alertagent.core.audit.model import actor_of
from alertagent.core.gateway import render, silencing
from alertagent.core.gateway.model import SPOKEN, Question, read_filter
from alertagent.core.gateway.service import Gateway
from alertagent.core.gateway.silencing import Refusal
from alertagent.core.silences.service import Silences
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Invalid, NotFound
from alertagent.kernel.matchers import Matcher, compile_pattern
from alertagent.web.access import editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import Model
from alertagent.web.replies import Raw, Stream
from alertagent.web.routes import delete, get, post

ALERTS = viewer("alerts:read")

# Bytes of an answer that has a length, and how long a larger one may take.
WHOLE = 1024 * 1024
WITHIN = timedelta(minutes=2)

# Source: go-openapi/swag, `convert.go`. Nothing at all leaves the default.
_TRUE = frozenset({"", "true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"})

Yes = Annotated[bool, BeforeValidator(lambda value: str(value).lower() in _TRUE)]


class FilterQuery(Model):
    filter: Annotated[
        tuple[Annotated[str, Field(max_length=2048)], ...],
        Field(max_length=100, description='Matchers, all of which must hold: `severity="critical"`.'),
    ] = ()

    def matchers(self) -> tuple[Matcher, ...]:
        """Raises Invalid."""
        try:
            return read_filter(self.filter)
        except ValueError as error:
            raise Invalid(str(error)) from error


class AlertsQuery(FilterQuery):
    """No alert is ever unprocessed here: it is judged when it is asked for."""

    receiver: Annotated[str, Field(max_length=2048, description="RE2, for the whole name.")] = ""
    active: Yes = True
    silenced: Yes = True
    inhibited: Yes = True
    unprocessed: Yes = True

    def question(self, *, muted: bool = True) -> Question:
        """Raises Invalid."""
        return Question(
            matchers=self.matchers(),
            receiver=_pattern(self.receiver) if self.receiver else None,
            active=self.active,
            silenced=self.silenced,
            inhibited=self.inhibited,
            muted=muted,
        )


class GroupsQuery(AlertsQuery):
    muted: Yes = True


class GatewayApi:
    def __init__(self, gateway: Gateway, silences: Silences, clock: Clock) -> None:
        self._gateway = gateway
        self._silences = silences
        self._clock = clock
        self._started_at = clock.now()

    @get("/api/v2/alerts", prefix="", access=ALERTS, foreign=True)
    async def alerts(self, call: Call, query: AlertsQuery) -> Stream:
        """What fires, as Alertmanager's API v2 tells it."""
        return _as_it_comes(self._gateway.alerts(query.question()))

    @get("/api/v2/alerts/groups", prefix="", access=ALERTS, foreign=True)
    async def groups(self, call: Call, query: GroupsQuery) -> Stream:
        """What fires by group: by route, and by the labels that the route groups by."""
        return _as_it_comes(self._gateway.groups(query.question(muted=query.muted)))

    @get("/api/v2/receivers", prefix="", access=ALERTS, foreign=True)
    async def receivers(self, call: Call) -> Raw:
        """The names of those to whom alerts are routed."""
        return _json([{"name": name} for name in await self._gateway.receivers()])

    @get("/api/v2/status", prefix="", access=ALERTS, foreign=True)
    async def status(self, call: Call) -> Raw:
        """Which Alertmanager's API this is, and the routing in force as its configuration."""
        return _json(_status(await self._gateway.configuration(), self._started_at))

    @get("/api/v2/silences", prefix="", access=viewer("silences:read"), foreign=True)
    async def silences(self, call: Call, query: FilterQuery) -> Raw:
        """The silences, those that are in force first; a filter picks those that have these very matchers."""
        matchers, now = query.matchers(), self._clock.now()
        found = [silence for silence in await self._silences.all() if silencing.is_meant(silence, matchers)]
        return _json([silencing.shown(silence, now) for silence in silencing.in_order(found, now)])

    @post("/api/v2/silences", prefix="", access=editor("silences:write"), reads=("application/json",), foreign=True)
    async def silence(self, call: Call, body: bytes) -> Raw:
        """Make a silence, or change the one that `id` names; where its past would change, a new one takes its place."""
        try:
            id, draft = silencing.read(body)
            if id:
                silence = await self._silences.edit(actor_of(call), id, draft, mute_all=True)
            else:
                silence = await self._silences.create(actor_of(call), draft, mute_all=True)
        except Refusal as refusal:
            return _refused(refusal)
        except NotFound:
            return _json("silence not found", status=404)
        return _json({"silenceID": silence.id})

    @get("/api/v2/silence/{id}", prefix="", access=viewer("silences:read"), foreign=True)
    async def read_silence(self, call: Call, id: str) -> Raw:
        """One silence."""
        try:
            silencing.require_uuid(id)
            return _json(silencing.shown(await self._silences.get(id), self._clock.now()))
        except Refusal as refusal:
            return _refused(refusal)
        except NotFound:
            return _raw(b"", status=404)

    @delete("/api/v2/silence/{id}", prefix="", access=editor("silences:write"), status=200, foreign=True)
    async def expire_silence(self, call: Call, id: str) -> Raw:
        """End a silence now."""
        try:
            silencing.require_uuid(id)
            await self._silences.expire(actor_of(call), id)
        except Refusal as refusal:
            return _refused(refusal)
        except NotFound:
            return _raw(b"", status=404)
        return _raw(b"")


def _pattern(text: str) -> Any:
    try:
        return compile_pattern(text)
    except ValueError as error:
        raise Invalid(f"failed to parse receiver param: {error}") from error


def _status(configuration: str, started_at: datetime) -> dict[str, Any]:
    """The version is the one whose API this is; what runs stands beside it."""
    version = dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion"), "")
    return {
        "cluster": {"status": "disabled", "peers": []},
        "config": {"original": configuration},
        "uptime": render.moment(started_at),
        "versionInfo": {**version, "revision": f"AlertAgent {__version__}", "version": SPOKEN},
    }


def _refused(refusal: Refusal) -> Raw:
    return _json({"code": refusal.code, "message": refusal.message}, status=refusal.status)


def _as_it_comes(parts: AsyncGenerator[bytes, None]) -> Stream:
    return Stream(parts=parts, content_type="application/json", whole=WHOLE, within=WITHIN)


def _json(content: Any, *, status: int | None = None) -> Raw:
    return _raw(orjson.dumps(content), status=status)


def _raw(body: bytes, *, status: int | None = None) -> Raw:
    headers = {"Cache-Control": "no-store"}
    return Raw(body=body, content_type="application/json", status=status, headers=headers)
