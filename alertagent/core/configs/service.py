"""What every cluster must run, and what its sidecars say that it runs."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from datetime import timedelta
from typing import Any, Protocol

import asyncpg

from alertagent.core.clusters.changes import generation
from alertagent.core.clusters.model import Cluster, ConfigType, is_targeted
from alertagent.core.clusters.service import Clusters
from alertagent.core.configs.model import (
    RULE_TYPES,
    Applied,
    Form,
    Report,
    SidecarStatus,
    Snapshot,
    SyncStatus,
    TargetState,
    judged,
    status_of,
    target_states,
)
from alertagent.core.configs.render import Rendered, render
from alertagent.core.configs.watch import ConfigWatch
from alertagent.core.rules.model import Rule, Status
from alertagent.core.rules.service import Rules
from alertagent.kernel.errors import Conflict, NotFound, Unavailable
from alertagent.storage.database import Database, Executor
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.configs")

SNAPSHOTS_KEPT = 50


class Renderer(Protocol):
    """Makes the configurations of one type as the database has them now. Raises NotFound when nothing is stored."""

    async def rendered(self, executor: Executor, cluster: Cluster) -> Rendered: ...

    async def shown(self, executor: Executor, cluster: Cluster) -> bytes:
        """The same for people: without its secrets."""
        ...


class Configs:
    """Renders, keeps and serves configurations; collects what sidecars report."""

    def __init__(
        self,
        database: Database,
        clusters: Clusters,
        rules: Rules,
        watch: ConfigWatch,
        *,
        renderers: Mapping[ConfigType, Renderer] | None = None,
    ) -> None:
        """`renderers` are for the types that are not made of rules."""
        self._database = database
        self._clusters = clusters
        self._rules = rules
        self._watch = watch
        self._renderers = renderers or {}

    async def current(self, cluster_id: str, config_type: ConfigType) -> Snapshot:
        """The configuration as of now, rendered if anything changed since it was. Raises NotFound, Conflict."""
        row = await self._database.fetchrow(sql.latest, cluster_id, config_type)
        if row is not None and row["generation"] >= await generation(self._database):
            return _snapshot(row)
        return await self._render(await self._clusters.get(cluster_id), config_type)

    async def changed(
        self,
        cluster_id: str,
        config_type: ConfigType,
        known: frozenset[str],
        wait: timedelta,
        form: Form = Form.PLAIN,
    ) -> Snapshot:
        """The configuration as soon as its hash is not among the known ones, or after the wait as it is."""
        deadline = asyncio.get_running_loop().time() + wait.total_seconds()
        while True:
            change = self._watch.next_change(_key(cluster_id, config_type))
            if self._watch.is_closed:
                raise Unavailable("this server is stopping; ask again", retry_after=timedelta(seconds=1))
            snapshot = await self.current(cluster_id, config_type)
            if snapshot.offered(form)[0] not in known:
                return snapshot
            try:
                async with asyncio.timeout_at(deadline):
                    await change.wait()
            except TimeoutError:
                # Without a worker nobody announces a change; so look once more.
                return await self.current(cluster_id, config_type) if wait else snapshot

    async def refresh(self, targets: Sequence[str]) -> None:
        """Render for the clusters that these targets name, and wake their sidecars."""
        for cluster in await self._clusters.all():
            if any(is_targeted(cluster, target) for target in targets):
                for config_type in RULE_TYPES:
                    if config_type in cluster.config_types:
                        await self.current(cluster.id, config_type)

    async def wake(self, cluster_id: str, config_type: ConfigType) -> None:
        """Let those who wait for this configuration look again."""
        await self._database.execute(sql.announce, cluster_id, config_type)

    async def preview(self, cluster_id: str, config_type: ConfigType) -> tuple[str, bytes]:
        """The hash of what would be served now, and its text without secrets; nothing is kept."""
        cluster = await self._clusters.get(cluster_id)
        _require_type(cluster, config_type)
        rendered = await self._rendered(self._database, cluster, config_type)
        renderer = self._renderers.get(config_type)
        shown = await renderer.shown(self._database, cluster) if renderer is not None else rendered.body
        return rendered.hash, shown

    async def report(self, report: Report) -> None:
        """Keep what a sidecar says. Raises NotFound for an unknown cluster."""
        try:
            await self._database.execute(sql.report, *astuple(report))
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound(f'there is no cluster "{report.cluster_id}"', code="cluster.not_found") from error

    async def sidecars(self, cluster_ids: Sequence[str] | None = None) -> list[SidecarStatus]:
        """The last report of every sidecar."""
        rows = await self._database.fetch(sql.statuses, cluster_ids)
        return [_sidecar(row) for row in rows]

    async def distribution(self, rule: Rule) -> list[TargetState]:
        """Where this rule should run and how far it is there."""
        return (await self._states([rule]))[rule.id]

    async def instances(self, cluster_id: str, config_type: ConfigType, id: str, revision: int) -> list[TargetState]:
        """How far this revision of what is stored under an id is with each of a cluster's sidecars of this type."""
        sidecars = [found for found in await self.sidecars([cluster_id]) if found.report.config_type is config_type]
        applied = await self._applied([cluster_id], [id])
        return [judged(id, revision, sidecar, applied) for sidecar in sidecars]

    async def of(self, rules: Sequence[Rule]) -> Mapping[str, Status]:
        """The status of each of these rules, by its id."""
        states = await self._states(rules)
        return {rule.id: status_of(rule, states[rule.id]) for rule in rules}

    async def _states(self, rules: Sequence[Rule]) -> dict[str, list[TargetState]]:
        if not any(rule.content.targets for rule in rules):
            return {rule.id: [] for rule in rules}
        clusters = await self._clusters.all()
        ids = [cluster.id for cluster in clusters]
        sidecars = await self.sidecars(ids)
        applied = await self._applied(ids, [rule.id for rule in rules])
        return {rule.id: target_states(rule, clusters, sidecars, applied) for rule in rules}

    async def _applied(self, cluster_ids: list[str], rule_ids: list[str]) -> Applied:
        rows = await self._database.fetch(sql.revisions_applied, cluster_ids, rule_ids)
        return {
            (row["cluster_id"], row["config_type"], row["instance"], row["rule_id"]): row["revision"] for row in rows
        }

    async def _rendered(self, executor: Executor, cluster: Cluster, config_type: ConfigType) -> Rendered:
        renderer = self._renderers.get(config_type)
        if renderer is not None:
            return await renderer.rendered(executor, cluster)
        return render(cluster, config_type, await self._rules.enabled(executor))

    async def _render(self, cluster: Cluster, config_type: ConfigType) -> Snapshot:
        """Render once, whoever asks: a lock per configuration, and a second look behind it."""
        _require_type(cluster, config_type)
        async with self._database.transaction() as transaction:
            await transaction.execute(sql.lock, cluster.id, config_type)
            latest = await transaction.fetchrow(sql.latest, cluster.id, config_type)
            # The count is read before the rules: rendering too often is harmless, too seldom is not.
            now = await generation(transaction)
            if latest is not None and latest["generation"] >= now:
                return _snapshot(latest)
            rendered = await self._rendered(transaction, cluster, config_type)
            if latest is not None and (latest["hash"], latest["bundle_hash"]) == (rendered.hash, rendered.bundle_hash):
                row = await transaction.fetchrow(
                    sql.confirm_snapshot, cluster.id, config_type, latest["revision"], now, rendered.rules
                )
                return _snapshot(row)
            revision = latest["revision"] + 1 if latest is not None else 1
            row = await transaction.fetchrow(
                sql.add_snapshot,
                cluster.id,
                config_type,
                revision,
                now,
                rendered.hash,
                rendered.body,
                rendered.rules,
                rendered.bundle,
                rendered.bundle_hash,
                rendered.needs_bundle,
            )
            await transaction.execute(sql.forget_snapshots, cluster.id, config_type, revision - SNAPSHOTS_KEPT)
            await transaction.execute(sql.announce, cluster.id, config_type)
        return _snapshot(row)


def _require_type(cluster: Cluster, config_type: ConfigType) -> None:
    if config_type not in cluster.config_types:
        raise Conflict(
            f'cluster "{cluster.id}" has no {config_type}; add it to its config_types', code="config.type_not_enabled"
        )


def _key(cluster_id: str, config_type: ConfigType) -> str:
    return f"{cluster_id}/{config_type}"


def _snapshot(row: Any) -> Snapshot:
    values = {field.name: row[field.name] for field in fields(Snapshot)}
    return Snapshot(**{**values, "config_type": ConfigType(row["config_type"])})


def _sidecar(row: Any) -> SidecarStatus:
    values = {field.name: row[field.name] for field in fields(Report)}
    report = Report(**{**values, "config_type": ConfigType(row["config_type"]), "status": SyncStatus(row["status"])})
    return SidecarStatus(
        report=report,
        received_at=row["received_at"],
        desired_hash=row["desired_hash"],
        desired_revision=row["desired_revision"],
    )
