"""Configurations for sidecars, and their reports, over HTTP."""

from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from alertagent.core.audit.model import actor_of
from alertagent.core.auth.model import may_register, may_sync
from alertagent.core.clusters.model import ID_PATTERN, ConfigType
from alertagent.core.clusters.service import Clusters
from alertagent.core.configs.gating import Treatment
from alertagent.core.configs.model import Report, SidecarStatus, Snapshot, State, SyncStatus, TargetState, status_of
from alertagent.core.configs.service import Configs
from alertagent.core.rules.model import Status
from alertagent.core.rules.service import Rules
from alertagent.kernel.errors import Conflict, Forbidden
from alertagent.storage.pages import PageRequest
from alertagent.web.access import scoped, viewer
from alertagent.web.call import Call
from alertagent.web.models import Duration, ListQuery, Model
from alertagent.web.replies import Page, Raw
from alertagent.web.routes import Asked, get, post

SYNC = scoped("sync")
MAX_WAIT = 60
YAML, TAR = "application/yaml", "application/x-tar"

ClusterId = Annotated[str, Field(pattern=ID_PATTERN)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ShortText = Annotated[str, Field(max_length=200)]


def _moment(value: Any) -> Any:
    """Unix seconds or RFC 3339; a time without a zone is in UTC."""
    if isinstance(value, bool):
        raise ValueError("must be Unix seconds or RFC 3339")  # noqa: TRY004 - pydantic wants ValueError
    return value


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class SyncQuery(Model):
    cluster_id: ClusterId
    type: ConfigType
    wait: Annotated[
        int, Field(ge=0, le=MAX_WAIT, description="Seconds to wait for a change when If-None-Match is current.")
    ] = 0
    format: Annotated[
        Literal["bundle"] | None,
        Field(description="Takes a tar of alertmanager.yml and its templates, where there are any."),
    ] = None


class ConfigQuery(Model):
    cluster_id: ClusterId
    type: ConfigType


class ReportRequest(Model):
    """The first five are enough; the others make the picture whole."""

    cluster_id: ClusterId
    config_type: ConfigType
    status: SyncStatus
    sync_time: Annotated[datetime, BeforeValidator(_moment)]
    error_message: Annotated[str, Field(max_length=16_384)] | None = None
    config_hash: Hash | None = None
    instance: ShortText = "default"
    applied_hash: Hash | None = None
    rejected_hash: Hash | None = None
    phase: ShortText | None = None
    error_class: ShortText | None = None
    checker: ShortText | None = None
    target_version: ShortText | None = None
    duration_ms: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None

    def report(self) -> Report:
        values = {name: getattr(self, name) for name in ReportRequest.model_fields}
        return Report(**{**values, "sync_time": _in_utc(self.sync_time)})


class Received(Model):
    received: bool = True


class HistoryQuery(ListQuery):
    cluster_id: ClusterId | None = None

    def request(self) -> PageRequest:
        values = self.model_dump(exclude={"cluster_id"})
        only = () if self.cluster_id is None else (f'cluster_id="{self.cluster_id}"',)
        return PageRequest(**{**values, "filter": (*self.filter, *only)})


class NoteView(Model):
    """What was left out of a rule on a target, and why; `quarantined`: all of it."""

    kind: Treatment
    field: str
    message: str


class TargetView(Model):
    """One rule on one target.

    `phase` is how far what is wanted has come: desired, fetched, validated, written, reloaded, observed.
    `config_hash` is what the target runs, `desired_hash` what it should. `expression` and `duration` have the
    parameters of this cluster in place. `age_seconds` counts from the last report.
    """

    cluster_id: str
    config_type: ConfigType
    instance: str | None
    state: State
    phase: str
    sync_status: str
    config_hash: str | None
    desired_hash: str | None
    applied_version: str | None
    target_version: str | None
    sync_time: datetime | None
    age_seconds: float | None
    error_message: str | None
    expression: str | None
    duration: Duration | None
    notes: tuple[NoteView, ...]


class Distribution(Model):
    rule_id: str
    version: str
    status: Status
    targets: tuple[TargetView, ...]


class SidecarView(Model):
    """One sidecar. `age_seconds` counts from its last report; `is_current`: its target runs what it should.

    `is_silent`: it has not reported for longer than `configs.silent_after`. `drifted_at`: when it last found its file
    changed by somebody else, and put it right. `held_back` and `shortened` count the rules that its configuration
    leaves out, whole or in part, because the target would not have them.
    """

    cluster_id: str
    config_type: ConfigType
    instance: str
    status: SyncStatus
    sync_time: datetime
    age_seconds: float
    desired_hash: str | None
    desired_revision: int | None
    applied_hash: str | None
    rejected_hash: str | None
    is_current: bool
    is_silent: bool
    drifted_at: datetime | None
    held_back: int
    shortened: int
    phase: str | None
    error_class: str | None
    error_message: str | None
    checker: str | None
    target_version: str | None
    duration_ms: int | None


class SyncView(Model):
    """A report that told of another outcome than the one before it."""

    id: int
    at: datetime
    cluster_id: str
    config_type: ConfigType
    instance: str
    status: SyncStatus
    sync_time: datetime
    phase: str | None
    error_class: str | None
    error_message: str | None
    config_hash: str | None
    applied_hash: str | None
    rejected_hash: str | None
    checker: str | None
    target_version: str | None
    duration_ms: int | None


class ConfigsApi:
    def __init__(self, configs: Configs, clusters: Clusters, rules: Rules, *, silent_after: timedelta) -> None:
        self._configs = configs
        self._clusters = clusters
        self._rules = rules
        self._silent_after = silent_after

    @get("/config/sync", access=SYNC, at_once="at_hand")
    async def sync(self, call: Call, query: SyncQuery) -> Raw:
        """The configuration that a cluster must run; with If-None-Match and `wait`, a long poll."""
        require_sync(call, query.cluster_id)
        if self._configs.at_hand(query.cluster_id, query.type) is None and may_register(call.principal):
            await self._clusters.register(actor_of(call), query.cluster_id, query.type)
        wait = timedelta(seconds=query.wait)
        snapshot = await self._configs.changed(query.cluster_id, query.type, call.known, wait)
        if call.knows(snapshot.hash) and _is_fit(snapshot, query):
            return _unchanged(snapshot)
        return await self._whole(snapshot, query, zipped=call.takes_gzip)

    def at_hand(self, asked: Asked, query: SyncQuery) -> Raw | Awaitable[Raw] | None:
        """The answer to a sidecar that runs what it should, without asking the database."""
        snapshot = self._configs.at_hand(query.cluster_id, query.type)
        if snapshot is None or not may_sync(asked.principal, query.cluster_id) or not _is_fit(snapshot, query):
            return None
        return self._next(asked, query) if query.wait and snapshot.hash == asked.known else _unchanged(snapshot)

    async def _next(self, asked: Asked, query: SyncQuery) -> Raw:
        known, wait = frozenset({asked.known}), timedelta(seconds=query.wait)
        snapshot = await self._configs.changed(query.cluster_id, query.type, known, wait)
        if snapshot.hash == asked.known:
            return _unchanged(snapshot)
        return await self._whole(snapshot, query, zipped=asked.takes_gzip)

    async def _whole(self, snapshot: Snapshot, query: SyncQuery, *, zipped: bool) -> Raw:
        if not _is_fit(snapshot, query):
            message = "this configuration has template files; ask for it with format=bundle"
            raise Conflict(message, code="config.needs_bundle")
        body = await self._configs.body(snapshot, zipped=zipped)
        known = _unchanged(snapshot)
        encoding = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"} if zipped else {}
        return replace(known, body=body, headers={**known.headers, **encoding})

    @post("/config/sync/status", access=SYNC)
    async def report(self, call: Call, body: ReportRequest) -> Received:
        """Take a sidecar's report."""
        require_sync(call, body.cluster_id)
        await self._configs.report(body.report())
        return Received()

    @get("/config/status", access=viewer("configs:read"))
    async def status(self, call: Call) -> Page[SidecarView]:
        """Every sidecar and what its target runs."""
        now = datetime.now(UTC)
        views = [_view(sidecar, now, self._silent_after) for sidecar in await self._configs.sidecars()]
        return Page(items=views, total=len(views))

    @get("/config/history", access=viewer("configs:read"))
    async def history(self, call: Call, query: HistoryQuery) -> Page[SyncView]:
        """Past syncs, newest first: a row for each change of outcome."""
        page = await self._configs.history(query.request())
        views = [SyncView(**{name: row[name] for name in SyncView.model_fields}) for row in page.rows]
        return Page(items=views, next_cursor=page.next_cursor, total=page.total)

    @get("/config/preview", access=viewer("configs:read"))
    async def preview(self, call: Call, query: ConfigQuery) -> Raw:
        """What would be served now, its secrets masked."""
        rendered = await self._configs.preview(query.cluster_id, query.type)
        held_back = sum(any(note.kind is Treatment.QUARANTINED for note in notes) for notes in rendered.notes.values())
        headers = {
            "X-Config-Hash": rendered.hash,
            "X-Config-Held-Back": str(held_back),
            "X-Config-Shortened": str(len(rendered.notes) - held_back),
        }
        return Raw(body=rendered.body, content_type=YAML, headers=headers)

    @get("/rules/{id}/distribution", access=viewer("rules:read"))
    async def distribution(self, call: Call, id: str) -> Distribution:
        """Where a rule should run, and what each target proved."""
        rule = await self._rules.get(id)
        states, now = await self._configs.distribution(rule), datetime.now(UTC)
        views = tuple(_target(state, now) for state in states)
        return Distribution(rule_id=rule.id, version=rule.version, status=status_of(rule, states), targets=views)


def require_sync(call: Call, cluster_id: str) -> None:
    """Raises Forbidden unless the caller may act for the sidecar of this cluster."""
    if not may_sync(call.principal, cluster_id):
        raise Forbidden(f'this token is not for cluster "{cluster_id}"', code="auth.other_cluster")


@lru_cache(maxsize=1024)
def _is_fit(snapshot: Snapshot, query: SyncQuery) -> bool:
    """Whether whoever asks so can take it."""
    return query.format is not None or not snapshot.is_bundle


def _unchanged(snapshot: Snapshot) -> Raw:
    """What a configuration is announced with, without its bytes."""
    headers = {
        "X-Config-Hash": snapshot.hash,
        "X-Config-Revision": str(snapshot.revision),
        "Cache-Control": "no-store",
    }
    return Raw(body=b"", content_type=TAR if snapshot.is_bundle else YAML, etag=snapshot.hash, headers=headers)


def _target(state: TargetState, now: datetime) -> TargetView:
    values = {name: getattr(state, name) for name in TargetView.model_fields if hasattr(state, name)}
    notes = tuple(NoteView(kind=note.kind, field=note.field, message=note.message) for note in state.notes)
    age = None if state.received_at is None else _age(state.received_at, now)
    return TargetView(**{**values, "notes": notes, "age_seconds": age})


def _view(sidecar: SidecarStatus, now: datetime, silent_after: timedelta) -> SidecarView:
    names = SidecarView.model_fields
    report = {name: getattr(sidecar.report, name) for name in names if hasattr(sidecar.report, name)}
    rest = {name: getattr(sidecar, name) for name in names if hasattr(sidecar, name)}
    # The phase of the report, beside the hash that it is about.
    return SidecarView(
        **{**rest, **report},
        age_seconds=_age(sidecar.received_at, now),
        is_silent=now - sidecar.received_at > silent_after,
    )


def _age(moment: datetime, now: datetime) -> float:
    return round((now - moment).total_seconds(), 3)
