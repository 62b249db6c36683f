"""The Alertmanager configurations of clusters over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field

from alertagent.core.alertmanager.model import (
    MAX_TEMPLATE,
    MAX_TEMPLATES,
    SNAPSHOT_ID,
    VERSION_PATTERN,
    Stored,
    Texts,
    diff,
)
from alertagent.core.alertmanager.service import AlertmanagerConfigs
from alertagent.core.audit.model import actor_of
from alertagent.core.clusters.model import ConfigType
from alertagent.core.configs.model import State, TargetState, worst_of
from alertagent.core.configs.service import Configs
from alertagent.kernel.errors import Detail
from alertagent.web.access import editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import Model
from alertagent.web.replies import Page, Reply
from alertagent.web.routes import delete, get, post, put

VersionName = Annotated[str, Field(pattern=VERSION_PATTERN, examples=["v1.0.3"])]
Comment = Annotated[str, Field(max_length=1000, description="Why, for the history.")]


class ConfigRequest(Model):
    config: Annotated[
        str,
        Field(min_length=1, description="The YAML; a mask that was read keeps its secret."),
    ]
    templates: Annotated[
        dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=MAX_TEMPLATE)]],
        Field(max_length=MAX_TEMPLATES, description="Template files by name; `templates:` in the YAML must name each."),
    ] = {}
    comment: Comment = ""

    def texts(self) -> Texts:
        return Texts(config=self.config, templates=self.templates)


class PutQuery(Model):
    dry_run: Annotated[bool, Field(description="Judge and show what would change; store nothing.")] = False


class DiffQuery(Model):
    from_: Annotated[VersionName, Field(alias="from")]
    to: VersionName


class RollbackRequest(Model):
    version: VersionName
    comment: Comment = ""


class Finding(Model):
    loc: tuple[str | int, ...]
    message: str
    line: int | None
    column: int | None


class InstanceView(Model):
    """One Alertmanager, as its sidecar tells."""

    instance: str | None
    state: State
    sync_status: str
    config_hash: str | None
    applied_version: str | None
    sync_time: datetime | None
    error_message: str | None


class ConfigView(Model):
    """Secrets are masked. `diff` is there for a dry run only, and then nothing has been stored."""

    cluster_id: str
    version: str
    status: State
    config: str
    templates: dict[str, str]
    updated_by: str | None
    updated_at: datetime | None
    instances: tuple[InstanceView, ...] = ()
    warnings: tuple[Finding, ...] = ()
    diff: str | None = None


class VersionView(Model):
    version: str
    change: str
    author: str
    comment: str
    at: datetime


class VersionText(VersionView):
    """`config` is null where the configuration was deleted."""

    config: str | None
    templates: dict[str, str]


class DiffView(Model):
    from_: Annotated[str, Field(serialization_alias="from")]
    to: str
    diff: str


class AlertmanagerApi:
    def __init__(self, store: AlertmanagerConfigs, configs: Configs) -> None:
        self._store = store
        self._configs = configs

    @get("/clusters/{id}/alertmanager-config", access=viewer("configs:read"))
    async def read(self, call: Call, id: str) -> Reply[ConfigView]:
        """The Alertmanager configuration of a cluster, its secrets masked, and how far it has come."""
        return await self._reply(await self._store.get(id), ())

    @put("/clusters/{id}/alertmanager-config", access=editor("configs:write"))
    async def replace(self, call: Call, id: str, body: ConfigRequest, query: PutQuery) -> Reply[ConfigView]:
        """Store the configuration that a cluster's Alertmanager must run."""
        if query.dry_run:
            return await self._proposed(id, body)
        stored, warnings = await self._store.put(actor_of(call), id, body.texts(), call.expected, body.comment)
        return await self._reply(stored, warnings)

    @delete("/clusters/{id}/alertmanager-config", access=editor("configs:write"))
    async def remove(self, call: Call, id: str) -> None:
        """Govern it no longer; its Alertmanager goes on with what it has."""
        await self._store.remove(actor_of(call), id, call.expected)

    @get("/clusters/{id}/alertmanager-config/versions", access=viewer("configs:read"))
    async def versions(self, call: Call, id: str) -> Page[VersionView]:
        """The versions, newest first; at most 500."""
        found = await self._store.versions(id)
        views = [
            VersionView(version=each.name, change=each.change, author=each.author, comment=each.comment, at=each.at)
            for each in found
        ]
        return Page(items=views)

    @get("/clusters/{id}/alertmanager-config/versions/{version}", access=viewer("configs:read"))
    async def version(self, call: Call, id: str, version: str) -> Reply[VersionText]:
        """One version with its texts, secrets masked."""
        found = await self._store.version(id, version)
        texts = await self._store.masked_version(id, found)
        view = VersionText(
            version=found.name,
            change=found.change,
            author=found.author,
            comment=found.comment,
            at=found.at,
            config=texts.config if texts is not None else None,
            templates=dict(texts.templates) if texts is not None else {},
        )
        return Reply(data=view, etag=str(found.revision))

    @get("/clusters/{id}/alertmanager-config/diff", access=viewer("configs:read"))
    async def difference(self, call: Call, id: str, query: DiffQuery) -> DiffView:
        """What changed between two versions, as a unified diff."""
        texts = [
            await self._store.masked_version(id, await self._store.version(id, name))
            for name in (query.from_, query.to)
        ]
        return DiffView(from_=query.from_, to=query.to, diff=diff(*texts))

    @post("/clusters/{id}/alertmanager-config/rollback", access=editor("configs:write"))
    async def rollback(self, call: Call, id: str, body: RollbackRequest) -> Reply[ConfigView]:
        """Store an earlier version once more, as a new one."""
        stored, warnings = await self._store.rollback(actor_of(call), id, body.version, call.expected, body.comment)
        return await self._reply(stored, warnings)

    async def _proposed(self, id: str, body: ConfigRequest) -> Reply[ConfigView]:
        proposal = await self._store.propose(id, body.texts())
        return Reply(
            data=ConfigView(
                cluster_id=id,
                version=proposal.version,
                status=State.PENDING,
                config=proposal.texts.config,
                templates=dict(proposal.texts.templates),
                updated_by=None,
                updated_at=None,
                warnings=_findings(proposal.warnings),
                diff=proposal.diff,
            )
        )

    async def _reply(self, stored: Stored, warnings: Sequence[Detail]) -> Reply[ConfigView]:
        states = await self._configs.instances(stored.cluster_id, ConfigType.ALERTMANAGER, SNAPSHOT_ID, stored.revision)
        texts = await self._store.shown_texts(stored)
        status = worst_of(states) or State.PENDING
        view = ConfigView(
            cluster_id=stored.cluster_id,
            version=stored.version,
            status=status,
            config=texts.config,
            templates=dict(texts.templates),
            updated_by=stored.updated_by,
            updated_at=stored.updated_at,
            instances=tuple(map(_instance, states)),
            warnings=_findings(warnings),
        )
        return Reply(data=view, etag=f"{stored.revision}-{status}")


def _instance(state: TargetState) -> InstanceView:
    return InstanceView(**{name: getattr(state, name) for name in InstanceView.model_fields})


def _findings(details: Sequence[Detail]) -> tuple[Finding, ...]:
    return tuple(Finding(loc=each.loc, message=each.message, line=each.line, column=each.column) for each in details)
