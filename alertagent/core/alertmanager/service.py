"""The Alertmanager configurations of all clusters: judged, versioned, audited and told to the sidecars in one step."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from alertagent.core.alertmanager.bundle import bundled, rendered
from alertagent.core.alertmanager.check import ROOT, Checked, Target, check, oldest
from alertagent.core.alertmanager.findings import invalid
from alertagent.core.alertmanager.kept import CURRENT, VERSIONS, Slot, slot_of
from alertagent.core.alertmanager.model import SNAPSHOT_ID, Stored, Texts, Version, diff, revision_named
from alertagent.core.alertmanager.secrets import masked, unmasked
from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.core.clusters.changes import count_change
from alertagent.core.clusters.model import Cluster, ConfigType, require_type
from alertagent.core.clusters.service import Clusters
from alertagent.core.configs.render import Rendered
from alertagent.core.rules.model import version_name
from alertagent.kernel.errors import Conflict, Detail, NotFound, Stale
from alertagent.queue.producer import Producer
from alertagent.queue.task import NewTask
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.queries import load_queries
from alertagent.storage.seals import Seals

sql = load_queries("alertagent.core.alertmanager")

QUEUE = "config_sync"
TASK = "alertmanager_update"
INVALID = "alertmanager.invalid"
VERSIONS_SHOWN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What storing these texts would change, and what is suspicious about them; nothing has been stored."""

    version: str
    texts: Texts
    warnings: Sequence[Detail]
    diff: str


class AlertmanagerConfigs:
    """One configuration a cluster. Texts leave here masked, but for what the targets get."""

    def __init__(self, database: Database, clusters: Clusters, producer: Producer, audit: Audit, seals: Seals) -> None:
        self._database = database
        self._clusters = clusters
        self._producer = producer
        self._audit = audit
        self._seals = seals

    async def get(self, cluster_id: str) -> Stored:
        """Raises NotFound."""
        await self._clusters.get(cluster_id)
        return (await self._slot(self._database, cluster_id)).filled

    async def require_none(self, cluster_id: str) -> None:
        """Raises Conflict where a configuration is stored."""
        _require_empty(await self._slot(self._database, cluster_id))

    async def propose(self, cluster_id: str, texts: Texts) -> Proposal:
        """Judge without storing. Raises Invalid like `put`."""
        require_type(await self._clusters.get(cluster_id), ConfigType.ALERTMANAGER)
        slot = await self._slot(self._database, cluster_id)
        texts, checked = await self._judged(self._database, slot, texts)
        before = await _shown(slot.texts, slot.mask_key) if slot.texts is not None else None
        after = await _shown(texts, slot.mask_key)
        revision = slot.revision if slot.texts == texts else slot.revision + 1
        return Proposal(
            version=version_name(revision), texts=after, warnings=checked.warnings, diff=diff(before, after)
        )

    async def put(
        self,
        actor: Actor,
        cluster_id: str,
        texts: Texts,
        expected: frozenset[int] | None,
        comment: str = "",
        *,
        only_first: bool = False,
    ) -> tuple[Stored, Sequence[Detail]]:
        """Store these texts; what is suspicious about them comes back too. Nothing changed: the same version.

        Raises Invalid with the place of every finding, NotFound, Conflict, Stale. `only_first`: Conflict too where
        there is a configuration already.
        """
        cluster = await self._clusters.get(cluster_id)
        require_type(cluster, ConfigType.ALERTMANAGER)
        async with self._database.transaction() as transaction:
            slot = await self._current(transaction, cluster_id, expected)
            if only_first:
                _require_empty(slot)
            texts, checked = await self._judged(transaction, slot, texts)
            if slot.texts != texts:
                slot = await self._store(transaction, actor, slot, texts, comment)
        return slot.filled, checked.warnings

    async def rollback(
        self, actor: Actor, cluster_id: str, name: str, expected: frozenset[int] | None, comment: str = ""
    ) -> tuple[Stored, Sequence[Detail]]:
        """Store an earlier version once more, as a new one; it is judged anew, for the target may have changed."""
        version = await self.version(cluster_id, name)
        if version.texts is None:
            raise Conflict(f"{version.name} is a deletion; there is nothing to go back to", code="alertmanager.none")
        note = comment or f"back to {version.name}"
        return await self.put(actor, cluster_id, version.texts, expected, note)

    async def remove(self, actor: Actor, cluster_id: str, expected: frozenset[int] | None) -> None:
        """Govern it no longer: its Alertmanager goes on with what it has. The versions stay."""
        await self._clusters.get(cluster_id)
        async with self._database.transaction() as transaction:
            slot = await self._current(transaction, cluster_id, expected)
            if slot.unreadable is None:
                _ = slot.filled
            await self._store(transaction, actor, slot, None, "")

    async def versions(self, cluster_id: str) -> list[Version]:
        """The newest versions, without their texts."""
        await self._clusters.get(cluster_id)
        rows = await self._database.fetch(sql.versions, cluster_id, VERSIONS_SHOWN)
        return [Version(**dict(row), texts=None) for row in rows]

    async def version(self, cluster_id: str, name: str) -> Version:
        """The version `v1.0.3`. Raises NotFound, Unreadable."""
        row = await self._database.fetchrow(sql.version, cluster_id, revision_named(name))
        if row is None:
            message = f'cluster "{cluster_id}" has no version "{name[:40]}" of its Alertmanager configuration'
            raise NotFound(message, code="alertmanager.no_version")
        values = {name: row[name] for name in ("revision", "change", "author", "comment", "at")}
        return Version(**values, texts=VERSIONS.read(self._seals, row, cluster_id, row["revision"]))

    async def shown(self, executor: Executor, cluster: Cluster) -> bytes:
        """What the target would get, with its secrets masked."""
        stored = (await self._slot(executor, cluster.id)).filled
        texts = await self.shown_texts(stored)
        return rendered(texts.config, texts.templates)

    async def shown_texts(self, stored: Stored) -> Texts:
        """The texts for people."""
        return await _shown(stored.texts, stored.mask_key)

    async def masked_version(self, cluster_id: str, version: Version) -> Texts | None:
        """The texts of a version for people; None where it is a deletion."""
        if version.texts is None:
            return None
        return await _shown(version.texts, (await self._slot(self._database, cluster_id)).mask_key)

    async def rendered(self, executor: Executor, cluster: Cluster) -> Rendered:
        """What the target gets. Raises NotFound."""
        stored = (await self._slot(executor, cluster.id)).filled
        templates = stored.texts.templates
        body = rendered(stored.texts.config, templates)
        if templates:
            body = bundled(body, templates)
        return Rendered(
            body=body,
            hash=sha256(body).hexdigest(),
            rules={SNAPSHOT_ID: stored.revision},
            is_bundle=bool(templates),
        )

    async def _slot(self, executor: Executor, cluster_id: str) -> Slot:
        row = await executor.fetchrow(sql.find, cluster_id)
        return Slot(cluster_id=cluster_id) if row is None else slot_of(row, self._seals)

    async def _current(self, transaction: Executor, cluster_id: str, expected: frozenset[int] | None) -> Slot:
        await transaction.fetchrow(sql.lock_cluster, cluster_id)
        slot = await self._slot(transaction, cluster_id)
        if expected is not None and (slot.is_empty or slot.revision not in expected):
            state = "there is none now" if slot.is_empty else f"it is at {version_name(slot.revision)} now"
            raise Stale(f'the Alertmanager configuration of "{cluster_id}" was changed in the meantime; {state}')
        return slot

    async def _judged(self, executor: Executor, slot: Slot, texts: Texts) -> tuple[Texts, Checked]:
        """The texts with their secrets in place, and the verdict. Raises Invalid."""
        rows = await executor.fetch(sql.target_versions, slot.cluster_id)
        target = oldest(row["target_version"] for row in rows)
        return await asyncio.to_thread(_judge, texts, slot, target)

    async def _store(
        self, transaction: Transaction, actor: Actor, before: Slot, texts: Texts | None, comment: str
    ) -> Slot:
        """The row, the version, the audit row and the task that belong to a change; no texts: a deletion."""
        change = "deleted" if texts is None else "created" if before.texts is None else "updated"
        columns = (before.cluster_id, before.revision + 1)
        sealer = await self._seals.sealer(transaction)
        now, kept = CURRENT.stored(sealer, texts, before.cluster_id), VERSIONS.stored(sealer, texts, *columns)
        row = await transaction.fetchrow(sql.put, *columns, *now, before.mask_key, actor.name)
        await transaction.execute(sql.add_version, *columns, change, *kept, actor.name, comment)
        after = slot_of(row, self._seals)
        await self._audit.record(
            transaction,
            actor,
            f"alertmanager_config.{change}",
            ("cluster", before.cluster_id),
            before=before.audited(),
            after=after.audited(),
        )
        await count_change(transaction)
        task = NewTask(queue=QUEUE, type=TASK, payload={"cluster_id": before.cluster_id}, priority=1, max_retry=3)
        await self._producer.enqueue(transaction, task)
        return after


def _judge(texts: Texts, slot: Slot, target: Target) -> tuple[Texts, Checked]:
    stored = slot.texts.config if slot.texts is not None else None
    config, unknown = unmasked(texts.config, stored, slot.mask_key)
    if unknown:
        raise invalid([Detail((ROOT, *loc), message) for loc, message in unknown], INVALID)
    checked = check(config, texts.templates, target)
    if checked.findings:
        raise invalid(checked.findings, INVALID)
    return replace(texts, config=config), checked


def _require_empty(slot: Slot) -> None:
    if not slot.is_empty:
        message = f'cluster "{slot.cluster_id}" has an Alertmanager configuration already'
        raise Conflict(message, code="adopt.not_empty")


async def _shown(texts: Texts, key: bytes) -> Texts:
    """The texts for people."""
    return replace(texts, config=await asyncio.to_thread(masked, texts.config, key))
