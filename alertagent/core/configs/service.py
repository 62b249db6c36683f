"""What every cluster must run, and what its sidecars say that it runs."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields, replace
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Protocol

import asyncpg
import orjson
import structlog

from alertagent.core.clusters.changes import count_change, generation
from alertagent.core.clusters.model import Cluster, ConfigType, is_targeted, require_type
from alertagent.core.clusters.service import Clusters
from alertagent.core.configs.gating import Note, Treatment, gate_for, misfit_of
from alertagent.core.configs.model import (
    RULE_TYPES,
    Gates,
    Noted,
    Report,
    SidecarStatus,
    Snapshot,
    SyncStatus,
    TargetState,
    judged,
    status_of,
    target_states,
)
from alertagent.core.configs.recipe import Recipe
from alertagent.core.configs.render import Pieces, Refusal, Rendered, belongs
from alertagent.core.configs.served import Bodies, OneAtATime
from alertagent.core.configs.watch import CHANNEL, ConfigWatch
from alertagent.core.rules.model import Rule, Status
from alertagent.core.rules.service import Rules
from alertagent.kernel.errors import Conflict, Detail, NotFound, Unavailable
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.pages import Column, Listing, PageOf, PageRequest, fetch_page
from alertagent.storage.queries import load_queries
from alertagent.storage.sealing import Column as SealedColumn
from alertagent.storage.sealing import Form
from alertagent.storage.seals import Seals

sql = load_queries("alertagent.core.configs")

# Files made of rules hold no secrets.
BODY = SealedColumn(
    table="config_snapshots",
    name="body",
    key=("cluster_id", "config_type", "revision"),
    form=Form.BYTES,
    only="config_type = 'alertmanager'",
    is_made=True,
)

SNAPSHOTS_KEPT = 50

# So that sidecars which were woken together do not come back together.
SHORTEST_WAIT = 0.9

HISTORY = Listing(
    source=sql.history,
    columns={
        "at": Column("t.at", "timestamptz"),
        "cluster_id": Column("t.cluster_id"),
        "config_type": Column("t.config_type"),
        "instance": Column("t.instance"),
        "status": Column("t.status"),
        "phase": Column("coalesce(t.phase, '')"),
        "error_class": Column("coalesce(t.error_class, '')"),
    },
    sort="-at",
    key="lpad(t.id::text, 20, '0')",
    search=("t.error_message",),
)

log = structlog.get_logger()


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
        seals: Seals,
        renderers: Mapping[ConfigType, Renderer] | None = None,
    ) -> None:
        """`renderers` are for the types that are not made of rules."""
        self._database = database
        self._seals = seals
        self._clusters = clusters
        self._rules = rules
        self._watch = watch
        self._renderers = renderers or {}
        self._current: dict[str, Snapshot] = {}
        self._looking = OneAtATime[Snapshot]()
        self._bodies = Bodies()
        self._pieces = Pieces()
        self._enabled: tuple[int, list[Rule]] = (0, [])

    def at_hand(self, cluster_id: str, config_type: ConfigType) -> Snapshot | None:
        """The configuration as of now, where that is known without asking the database."""
        snapshot = self._current.get(_key(cluster_id, config_type))
        counted = self._watch.generation
        return snapshot if snapshot is not None and counted is not None and snapshot.generation >= counted else None

    async def current(self, cluster_id: str, config_type: ConfigType) -> Snapshot:
        """The configuration as of now, rendered if anything changed since it was. Raises NotFound, Conflict."""
        key, look = _key(cluster_id, config_type), partial(self._look, cluster_id, config_type)
        while (snapshot := self.at_hand(cluster_id, config_type)) is None:
            least = self._watch.generation
            if least is None:
                return await look()
            snapshot = await self._looking.do(key, look)
            # Somebody may have begun to look before the change that this caller knows of.
            if snapshot.generation >= least:
                return snapshot
        return snapshot

    async def changed(
        self,
        cluster_id: str,
        config_type: ConfigType,
        known: frozenset[str],
        wait: timedelta,
    ) -> Snapshot:
        """The configuration as soon as its hash is not among the known ones, or after about the wait as it is."""
        seconds = wait.total_seconds() * random.uniform(SHORTEST_WAIT, 1)
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            change = self._watch.next_change(_key(cluster_id, config_type)) if wait else None
            if self._watch.is_closed:
                raise Unavailable("this server is stopping; ask again", retry_after=timedelta(seconds=1))
            snapshot = await self.current(cluster_id, config_type)
            if change is None or snapshot.hash not in known:
                return snapshot
            try:
                async with asyncio.timeout_at(deadline):
                    await change.wait()
            except TimeoutError:
                # Without a worker nobody announces a change; so look once more.
                return await self.current(cluster_id, config_type)

    async def body(self, snapshot: Snapshot, *, zipped: bool = False) -> bytes:
        """The bytes of a configuration. Raises NotFound when it was replaced too often in the meantime, Unreadable."""
        get = self._bodies.zipped if zipped else self._bodies.plain
        return await get(snapshot.hash, partial(self._load, snapshot))

    async def refresh(self, targets: Sequence[str]) -> None:
        """Render for the clusters that these targets name, and wake their sidecars."""
        for cluster in await self._clusters.all():
            if any(is_targeted(cluster, target) for target in targets):
                for config_type in RULE_TYPES:
                    if config_type in cluster.config_types:
                        await self.current(cluster.id, config_type)

    async def wake(self, cluster_id: str, config_type: ConfigType) -> None:
        """Let those who wait for this configuration look again."""
        await self._database.execute(sql.announce, CHANNEL, _key(cluster_id, config_type))

    async def preview(self, cluster_id: str, config_type: ConfigType) -> Rendered:
        """What would be served now, but its text without secrets; nothing is kept."""
        cluster = await self._clusters.get(cluster_id)
        require_type(cluster, config_type)
        renderer = self._renderers.get(config_type)
        if renderer is not None:
            rendered = await renderer.rendered(self._database, cluster)
            return replace(rendered, body=await renderer.shown(self._database, cluster))
        recipe = await self._recipe(self._database, cluster, config_type, await generation(self._database))
        return await asyncio.to_thread(recipe.rendered)

    async def misfits(self, executor: Executor, before: Cluster | None, after: Cluster) -> list[Detail]:
        """The rules that a change of a cluster would make invalid there; those that are so already do not count."""
        rules = [rule for rule in await self._rules.enabled(executor) if rule.content.parameters]
        found = broken(after, rules)
        known = broken(before, rules) if before is not None else {}
        return [
            Detail(("parameters",), f'rule "{rule.content.name}" ({rule.id}) in cluster "{after.id}": {note.message}')
            for rule, note in found.values()
            if rule.id not in known
        ]

    async def report(self, report: Report) -> None:
        """Keep what a sidecar says. Raises NotFound for an unknown cluster."""
        gate = gate_for(report.config_type, [report.target_version])
        try:
            row = await self._database.fetchrow(sql.report, *astuple(report), gate.signature)
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound(f'there is no cluster "{report.cluster_id}"', code="cluster.not_found") from error
        if row is None or report.config_type not in RULE_TYPES:
            return
        if row["generation"] is not None:
            self._watch.counted(row["generation"])
        # Also when it is told again: whoever died after he had kept the first report has held nothing back.
        refused = report.error_class == "check" and await self._hold_back(report, is_news=row["is_news"])
        if refused or row["generation"] is not None:
            await self._follow(report.cluster_id, report.config_type)

    async def sidecars(
        self, cluster_ids: Sequence[str] | None = None, *, executor: Executor | None = None
    ) -> list[SidecarStatus]:
        """The last report of every sidecar."""
        rows = await (executor or self._database).fetch(sql.statuses, cluster_ids)
        return [_sidecar(row) for row in rows]

    async def history(self, request: PageRequest) -> PageOf:
        """What sidecars reported before, a row for each change of outcome."""
        return await fetch_page(self._database, HISTORY, request)

    async def forget(self, *, history: timedelta, silent: timedelta) -> None:
        """Drop history of this age, and instances that fell silent this long ago while others go on."""
        await self._database.execute(sql.forget_history, history)
        await self._database.execute(sql.forget_silent, silent)

    async def gates(self) -> Gates:
        """What the targets of each cluster understand, as far as they have said so."""
        versions: dict[tuple[str, ConfigType], list[str | None]] = {}
        for row in await self._database.fetch(sql.all_versions):
            versions.setdefault((row["cluster_id"], ConfigType(row["config_type"])), []).append(row["target_version"])
        return {place: gate_for(place[1], found) for place, found in versions.items()}

    async def distribution(self, rule: Rule) -> list[TargetState]:
        """Where this rule should run and how far it is there."""
        return (await self._states([rule]))[rule.id]

    async def instances(self, cluster_id: str, config_type: ConfigType, id: str, revision: int) -> list[TargetState]:
        """How far this revision of what is stored under an id is with each of a cluster's sidecars of this type."""
        # In this order: of a report that comes in between, what it says is shown before it counts as a proof.
        applied = await self._applied([cluster_id], [id])
        sidecars = [found for found in await self.sidecars([cluster_id]) if found.report.config_type is config_type]
        wanted = TargetState(cluster_id=cluster_id, config_type=config_type)
        return [judged(id, revision, wanted, sidecar, applied) for sidecar in sidecars]

    async def of(self, rules: Sequence[Rule]) -> Mapping[str, Status]:
        """The status of each of these rules, by its id."""
        states = await self._states(rules)
        return {rule.id: status_of(rule, states[rule.id]) for rule in rules}

    async def _states(self, rules: Sequence[Rule]) -> dict[str, list[TargetState]]:
        if not any(rule.content.targets for rule in rules):
            return {rule.id: [] for rule in rules}
        clusters = await self._clusters.all()
        cluster_ids, rule_ids = [cluster.id for cluster in clusters], [rule.id for rule in rules]
        sidecars = await self.sidecars(cluster_ids)
        behind = {sidecar.report.cluster_id for sidecar in sidecars if not self._is_up_to_date(sidecar)}
        applied = await self._applied(list(behind), rule_ids)
        for sidecar in sidecars:
            if sidecar.report.cluster_id not in behind:
                place = (sidecar.report.cluster_id, sidecar.report.config_type, sidecar.report.instance)
                applied |= {(*place, rule.id): rule.revision for rule in rules}
        noted = await self._noted(rule_ids)
        return {rule.id: target_states(rule, clusters, sidecars, applied, noted) for rule in rules}

    def _is_up_to_date(self, sidecar: SidecarStatus) -> bool:
        """Whether its target is known to run what is current now, and so every rule in its present revision."""
        snapshot = self.at_hand(sidecar.report.cluster_id, sidecar.report.config_type)
        return snapshot is not None and snapshot.hash == sidecar.report.applied_hash

    async def _applied(self, cluster_ids: list[str], rule_ids: list[str]) -> dict[tuple[str, str, str, str], int]:
        rows = await self._database.fetch(sql.revisions_applied, cluster_ids, rule_ids)
        return {
            (row["cluster_id"], row["config_type"], row["instance"], row["rule_id"]): row["revision"] for row in rows
        }

    async def _noted(self, rule_ids: list[str]) -> Noted:
        rows = await self._database.fetch(sql.notes, rule_ids)
        return {
            (row["cluster_id"], row["config_type"], row["rule_id"]): (
                row["noted"]["revision"],
                tuple(Note(**{**note, "kind": Treatment(note["kind"])}) for note in row["noted"]["notes"]),
            )
            for row in rows
        }

    async def _look(self, cluster_id: str, config_type: ConfigType) -> Snapshot:
        now = await self._watch.count(partial(generation, self._database))
        row = await self._database.fetchrow(sql.latest, cluster_id, config_type)
        if row is not None and row["generation"] >= now:
            snapshot = _snapshot(row)
        else:
            snapshot = await self._render(await self._clusters.get(cluster_id), config_type)
        self._current[_key(cluster_id, config_type)] = snapshot
        return snapshot

    async def _load(self, snapshot: Snapshot) -> bytes:
        place = (snapshot.cluster_id, snapshot.config_type, snapshot.revision)
        body: bytes | None = await self._database.fetchval(sql.body, *place)
        if body is None:
            raise NotFound("this configuration has been replaced many times since; ask again", code="config.outdated")
        opened: bytes = self._seals.opened(BODY.at(*place), body)
        return opened

    async def _render(self, cluster: Cluster, config_type: ConfigType) -> Snapshot:
        """Render once, whoever asks: a lock per configuration, and a second look behind it."""
        require_type(cluster, config_type)
        async with self._database.transaction() as transaction:
            await transaction.execute(sql.lock, cluster.id, config_type)
            latest = await transaction.fetchrow(sql.latest, cluster.id, config_type)
            # The count is read before the rules: rendering too often is harmless, too seldom is not.
            now = await generation(transaction)
            if latest is not None and latest["generation"] >= now:
                return _snapshot(latest)
            rendered = await self._rendered(transaction, cluster, config_type, now)
            return await self._keep(transaction, (cluster.id, config_type), latest, rendered, now)

    async def _rendered(self, executor: Executor, cluster: Cluster, config_type: ConfigType, now: int) -> Rendered:
        renderer = self._renderers.get(config_type)
        if renderer is not None:
            return await renderer.rendered(executor, cluster)
        recipe = await self._recipe(executor, cluster, config_type, now)
        # Beside the event loop: a large file takes a fifth of a second.
        return await asyncio.to_thread(recipe.rendered)

    async def _recipe(self, executor: Executor, cluster: Cluster, config_type: ConfigType, now: int) -> Recipe:
        versions = await executor.fetch(sql.versions, cluster.id, config_type)
        refusals = await executor.fetch(sql.refusals, cluster.id, config_type)
        return Recipe(
            cluster=cluster,
            config_type=config_type,
            rules=await self._rules_at(executor, now),
            gate=gate_for(config_type, [row["target_version"] for row in versions]),
            refused={row["rule_id"]: Refusal(digest=row["digest"], message=row["message"]) for row in refusals},
            pieces=self._pieces,
        )

    async def _rules_at(self, executor: Executor, now: int) -> list[Rule]:
        """All enabled rules with at least these changes; clusters that are rendered for one change share them."""
        if self._enabled[0] < now:
            self._enabled = (now, await self._rules.enabled(executor))
        return self._enabled[1]

    async def _keep(
        self, transaction: Transaction, place: tuple[str, ConfigType], latest: Any, rendered: Rendered, now: int
    ) -> Snapshot:
        """Store it as a new revision where its bytes are new, and wake those who wait for them."""
        notes = _noted_by(rendered)
        about = sha256(orjson.dumps([rendered.rules, notes], option=orjson.OPT_SORT_KEYS)).hexdigest()
        if latest is not None and latest["hash"] == rendered.hash:
            where = (*place, latest["revision"], now)
            if latest["about"] == about:
                return _snapshot(await transaction.fetchrow(sql.count_snapshot, *where))
            return _snapshot(await transaction.fetchrow(sql.confirm_snapshot, *where, rendered.rules, notes, about))
        revision = latest["revision"] + 1 if latest is not None else 1
        body = rendered.body
        if place[1] not in RULE_TYPES:
            body = (await self._seals.sealer(transaction)).sealed(BODY.at(*place, revision), body)
        what = (rendered.hash, body, rendered.rules, notes, about, rendered.is_bundle)
        row = await transaction.fetchrow(sql.add_snapshot, *place, revision, now, *what)
        self._bodies.keep(rendered.hash, rendered.body)
        await transaction.execute(sql.forget_snapshots, *place, revision - SNAPSHOTS_KEPT)
        await transaction.execute(sql.announce, CHANNEL, _key(*place))
        transaction.tell(CHANNEL, _key(*place))
        return _snapshot(row)

    async def _hold_back(self, report: Report, *, is_news: bool) -> bool:
        """Leave the rules that a checker named out of the next file; whether there were any."""
        cluster, config_type = await self._clusters.get(report.cluster_id), report.config_type
        async with self._database.transaction() as transaction:
            await transaction.execute(sql.lock, cluster.id, config_type)
            latest = await transaction.fetchrow(sql.latest, cluster.id, config_type)
            if latest is None or latest["hash"] != report.rejected_hash:
                return False
            recipe = await self._recipe(transaction, cluster, config_type, await generation(transaction))
            rendered = await asyncio.to_thread(recipe.rendered)
            found = recipe.refused_by(report, rendered)
            if not recipe.bears(found, rendered):
                if is_news:
                    log.error("config.too_many_refusals", cluster=cluster.id, kind=config_type)
                return False
            if not found:
                return False
            columns = zip(*((id, refusal.digest, refusal.message) for id, refusal in found.items()), strict=True)
            await transaction.execute(sql.refuse, cluster.id, config_type, *map(list, columns))
            await count_change(transaction)
        log.warning("config.rules_held_back", cluster=cluster.id, kind=config_type, rules=sorted(found))
        return True

    async def _follow(self, cluster_id: str, config_type: ConfigType) -> None:
        """Render what a report has changed, before somebody has to ask; the report itself is kept already."""
        try:
            await self.current(cluster_id, config_type)
        except (NotFound, Conflict, Unavailable) as problem:
            log.warning("config.not_rendered", cluster=cluster_id, kind=config_type, reason=problem.message)


def broken(cluster: Cluster, rules: Sequence[Rule]) -> dict[str, tuple[Rule, Note]]:
    """The rules for this cluster that its parameters make invalid, by id."""
    here = (rule for rule in rules if any(belongs(rule, cluster, config_type) for config_type in RULE_TYPES))
    judged = ((rule, misfit_of(rule.content, cluster.parameters)) for rule in here)
    return {rule.id: (rule, note) for rule, note in judged if note is not None}


def _key(cluster_id: str, config_type: ConfigType) -> str:
    return f"{cluster_id}/{config_type}"


def _noted_by(rendered: Rendered) -> dict[str, Any]:
    return {
        id: {"revision": rendered.revisions[id], "notes": [asdict(note) for note in notes]}
        for id, notes in rendered.notes.items()
    }


def _snapshot(row: Any) -> Snapshot:
    values = {field.name: row[field.name] for field in fields(Snapshot)}
    return Snapshot(**{**values, "config_type": ConfigType(row["config_type"])})


def _sidecar(row: Any) -> SidecarStatus:
    values = {field.name: row[field.name] for field in fields(Report)}
    report = Report(**{**values, "config_type": ConfigType(row["config_type"]), "status": SyncStatus(row["status"])})
    rest = {field.name: row[field.name] for field in fields(SidecarStatus) if field.name != "report"}
    return SidecarStatus(report=report, **rest)
