"""Configurations for sidecars, and their reports, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from alertagent.core.audit.model import actor_of
from alertagent.core.auth.model import may_register, may_sync
from alertagent.core.clusters.model import ID_PATTERN, ConfigType
from alertagent.core.clusters.service import Clusters
from alertagent.core.configs.model import Form, Report, SidecarStatus, State, SyncStatus, status_of
from alertagent.core.configs.service import Configs
from alertagent.core.rules.model import Status
from alertagent.core.rules.service import Rules
from alertagent.kernel.errors import Forbidden
from alertagent.web.access import scoped, viewer
from alertagent.web.call import Call
from alertagent.web.models import Model
from alertagent.web.replies import Page, Raw
from alertagent.web.routes import get, post

SYNC = scoped("sync")
MAX_WAIT = 60

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
        Field(description="A tar of alertmanager.yml and its templates; for alertmanager only."),
    ] = None

    @property
    def form(self) -> Form:
        return Form.PLAIN if self.format is None else Form.BUNDLE


class PreviewQuery(Model):
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


class TargetView(Model):
    cluster_id: str
    config_type: ConfigType
    instance: str | None
    state: State
    sync_status: str
    config_hash: str | None
    applied_version: str | None
    sync_time: datetime | None
    error_message: str | None


class Distribution(Model):
    rule_id: str
    version: str
    status: Status
    targets: tuple[TargetView, ...]


class SidecarView(Model):
    """One sidecar. `age_seconds` counts from its last report; `is_current`: its target runs what it should."""

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
    phase: str | None
    error_class: str | None
    error_message: str | None
    checker: str | None
    target_version: str | None
    duration_ms: int | None


class ConfigsApi:
    def __init__(self, configs: Configs, clusters: Clusters, rules: Rules) -> None:
        self._configs = configs
        self._clusters = clusters
        self._rules = rules

    @get("/config/sync", access=SYNC)
    async def sync(self, call: Call, query: SyncQuery) -> Raw:
        """The configuration that a cluster must run; with If-None-Match and `wait`, a long poll."""
        _require_sync(call, query.cluster_id)
        if may_register(call.principal):
            await self._clusters.register(actor_of(call), query.cluster_id, query.type)
        wait = timedelta(seconds=query.wait)
        snapshot = await self._configs.changed(query.cluster_id, query.type, call.known, wait, query.form)
        hash, body = snapshot.offered(query.form)
        return Raw(
            body=body,
            content_type="application/x-tar" if query.form is Form.BUNDLE else "application/yaml",
            etag=hash,
            headers={
                "X-Config-Hash": hash,
                "X-Config-Revision": str(snapshot.revision),
                "Cache-Control": "no-store",
            },
        )

    @post("/config/sync/status", access=SYNC)
    async def report(self, call: Call, body: ReportRequest) -> Received:
        """Take a sidecar's report."""
        _require_sync(call, body.cluster_id)
        await self._configs.report(body.report())
        return Received()

    @get("/config/status", access=viewer("configs:read"))
    async def status(self, call: Call) -> Page[SidecarView]:
        """Every sidecar and what its target runs."""
        now = datetime.now(UTC)
        views = [_view(sidecar, now) for sidecar in await self._configs.sidecars()]
        return Page(items=views, total=len(views))

    @get("/config/preview", access=viewer("configs:read"))
    async def preview(self, call: Call, query: PreviewQuery) -> Raw:
        """What would be served now, its secrets masked."""
        hash, body = await self._configs.preview(query.cluster_id, query.type)
        return Raw(body=body, content_type="application/yaml", headers={"X-Config-Hash": hash})

    @get("/rules/{id}/distribution", access=viewer("rules:read"))
    async def distribution(self, call: Call, id: str) -> Distribution:
        """Where a rule should run, and what each target proved."""
        rule = await self._rules.get(id)
        states = await self._configs.distribution(rule)
        views = tuple(
            TargetView(**{name: getattr(state, name) for name in TargetView.model_fields}) for state in states
        )
        return Distribution(rule_id=rule.id, version=rule.version, status=status_of(rule, states), targets=views)


def _require_sync(call: Call, cluster_id: str) -> None:
    if not may_sync(call.principal, cluster_id):
        raise Forbidden(f'this token is not for cluster "{cluster_id}"', code="auth.other_cluster")


def _view(sidecar: SidecarStatus, now: datetime) -> SidecarView:
    report = sidecar.report
    values = {name: getattr(report, name) for name in SidecarView.model_fields if hasattr(report, name)}
    return SidecarView(
        **values,
        age_seconds=round((now - sidecar.received_at).total_seconds(), 3),
        desired_hash=sidecar.desired_hash,
        desired_revision=sidecar.desired_revision,
        is_current=sidecar.desired_hash is not None and report.applied_hash == sidecar.desired_hash,
    )
