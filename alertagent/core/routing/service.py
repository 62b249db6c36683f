"""The routing document: judged, versioned, audited, and at hand as a table for whoever routes alerts."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import orjson

from alertagent.core.alertmanager.model import revision_named
from alertagent.core.alerts.service import Alerts
from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.core.routing.document import Judged, RoutingDocument, channels_named, read_json, restored, suspicions
from alertagent.core.routing.model import DEFAULT_TABLE, USER, RoutingTable
from alertagent.core.routing.moves import Moves, moves_of, reach
from alertagent.core.routing.table import table_of
from alertagent.core.routing.text import diff, values_of
from alertagent.core.rules.model import version_name
from alertagent.kernel.errors import Conflict, Detail, NotFound, Stale
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.pages import PageRequest
from alertagent.storage.queries import load_queries
from alertagent.web.errors import did_you_mean

sql = load_queries("alertagent.core.routing")

SUBJECT = ("routing", "routing")
VERSIONS_SHOWN = 500
FIRING = 'status="firing"'

Changed = Callable[[Transaction, RoutingTable], Awaitable[object]]


class ChannelBook(Protocol):
    """The channels, as far as a routing document has to do with them."""

    async def names(self, executor: Executor | None = None) -> Mapping[str, bool]:
        """All names, users' too, and whether the channel hears of everything while no document is stored."""
        ...

    async def hold(self, transaction: Executor, names: Sequence[str]) -> Collection[str]:
        """Those of these channels and users that exist; until the transaction ends they lead where they do."""
        ...

    async def webhook(self, name: str, url: str) -> Mapping[str, Any]:
        """What a new channel that posts to this URL is made of. Raises Invalid."""
        ...

    async def insert(self, transaction: Transaction, actor: Actor, values: Mapping[str, Any]) -> object:
        """Raises Conflict when the name is taken."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One change. Without a document it is a deletion; revision 0 is before the first."""

    revision: int = 0
    change: str = "none"
    document: RoutingDocument | None = None
    text: str | None = None
    author: str = ""
    comment: str = ""
    at: datetime | None = None

    @property
    def name(self) -> str:
        return version_name(self.revision)

    @property
    def values(self) -> dict[str, Any] | None:
        return values_of(self.document) if self.document is not None else None

    @property
    def warnings(self) -> list[Detail]:
        return suspicions(self.document) if self.document is not None else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What storing a document would change; nothing has been stored."""

    version: str
    document: RoutingDocument
    diff: str
    moves: Moves

    @property
    def warnings(self) -> list[Detail]:
        return suspicions(self.document)


class Routing:
    """One document. `table` is what alerts are routed by."""

    def __init__(self, database: Database, alerts: Alerts, channels: ChannelBook, audit: Audit) -> None:
        self._database = database
        self._alerts = alerts
        self._channels = channels
        self._audit = audit
        self._changed: list[Changed] = []
        self._compiled: tuple[tuple[int, datetime], RoutingTable] | None = None
        self._compiling = asyncio.Lock()

    def on_change(self, changed: Changed) -> None:
        """Call this in the transaction of each change, with the table that is in force behind it."""
        self._changed.append(changed)

    async def table(self, executor: Executor | None = None) -> RoutingTable:
        """The table in force, as this executor sees it: one look at the last revision, unless that is a new one."""
        executor = executor or self._database
        row = await executor.fetchrow(sql.latest)
        if row is None:
            return DEFAULT_TABLE
        if (known := self._known(row)) is not None:
            return known
        async with self._compiling:
            if (known := self._known(row)) is not None:
                return known
            row = await executor.fetchrow(sql.current)
            if row is None:
                return DEFAULT_TABLE
            table = await asyncio.to_thread(lambda: _table(_version(row)))
            self._compiled = ((row["revision"], row["at"]), table)
        return table

    def _known(self, row: Any) -> RoutingTable | None:
        if self._compiled is not None and self._compiled[0] == (row["revision"], row["at"]):
            return self._compiled[1]
        return None

    async def current(self, executor: Executor | None = None) -> Version:
        """The last change; without a document in it none is in force."""
        row = await (executor or self._database).fetchrow(sql.current)
        return await asyncio.to_thread(_version, row) if row is not None else Version()

    async def everybody(self) -> list[str]:
        """The channels that hear of everything while no document is stored."""
        return sorted(name for name, is_default in (await self._channels.names()).items() if is_default)

    async def leading_to(self, channel: str, executor: Executor) -> list[str]:
        """The routes and receivers by which the document names this channel or user."""
        table = await self.table(executor)
        receivers = table.receivers
        if receivers is None:
            return []
        named = [f"the receiver {name}" for name, receiver in receivers.items() if channel in receiver.channels]
        return named + [
            f"the route {route.key}"
            for route in table.root.all()
            if route.receiver == channel and route.receiver not in receivers
        ]

    async def propose(self, judged: Judged, besides: Iterable[str] = ()) -> Proposal:
        """Judge without storing. `besides` are channels that would be made first. Raises Invalid like `put`."""
        names = await self._channels.names()
        self._require(judged, {*names, *besides}, names)
        before = await self.current()
        after = values_of(judged.document)
        return Proposal(
            version=version_name(before.revision if before.values == after else before.revision + 1),
            document=judged.document,
            diff=await asyncio.to_thread(diff, before.values, after),
            moves=await self._moves(before, judged, [name for name, is_default in names.items() if is_default]),
        )

    async def _moves(self, before: Version, judged: Judged, defaults: Sequence[str]) -> Moves:
        now = await asyncio.to_thread(_table, before)
        then = await asyncio.to_thread(table_of, judged.document, before.revision + 1)
        alerts, _, total = await self._alerts.page(PageRequest(limit=reach(now, then), filter=(FIRING,)))
        return await asyncio.to_thread(moves_of, alerts, total, now, then, defaults=defaults)

    async def put(
        self,
        actor: Actor,
        judged: Judged,
        expected: frozenset[int] | None,
        comment: str = "",
        *,
        new_channels: Sequence[Mapping[str, Any]] = (),
    ) -> Version:
        """Store a document, and before it the channels that it brings along. Nothing changed: the same version.

        Raises Invalid where a channel does not exist, Conflict where one to be made does, Stale.
        """
        async with self._database.transaction() as transaction:
            before = await self._locked(transaction, expected)
            for values in new_channels:
                await self._channels.insert(transaction, actor, values)
            await self._hold(transaction, judged)
            if before.values == values_of(judged.document):
                return before
            change = "created" if before.document is None else "updated"
            return await self._store(transaction, actor, before, change, judged=judged, comment=comment)

    async def rollback(self, actor: Actor, name: str, expected: frozenset[int] | None, comment: str = "") -> Version:
        """Store an earlier version once more, as a new one; it is judged anew, for channels may be gone."""
        version = await self.version(name)
        if version.document is None or version.text is None:
            raise Conflict(f"{version.name} is a deletion; there is nothing to go back to", code="routing.none")
        judged = await asyncio.to_thread(read_json, orjson.dumps(version.values))
        return await self.put(actor, replace(judged, text=version.text), expected, comment or f"back to {version.name}")

    async def remove(self, actor: Actor, expected: frozenset[int] | None, comment: str = "") -> None:
        """Every default channel hears of everything again. The versions stay. Raises NotFound, Stale."""
        async with self._database.transaction() as transaction:
            before = await self._locked(transaction, expected)
            if before.document is None:
                raise NotFound("no routing document is stored", code="routing.none")
            await self._store(transaction, actor, before, "deleted", judged=None, comment=comment)

    async def versions(self) -> list[Version]:
        """The newest versions, without their documents."""
        rows = await self._database.fetch(sql.versions, VERSIONS_SHOWN)
        return [Version(**dict(row)) for row in rows]

    async def version(self, name: str) -> Version:
        """The version `v1.0.3`. Raises NotFound."""
        row = await self._database.fetchrow(sql.version, revision_named(name))
        if row is None:
            raise NotFound(f'there is no version "{name[:40]}" of the routing document', code="routing.no_version")
        return await asyncio.to_thread(_version, row)

    async def diff(self, first: str, second: str) -> str:
        """What changed from one version to another. Raises NotFound."""
        before, after = [(await self.version(name)).values for name in (first, second)]
        return await asyncio.to_thread(diff, before, after)

    async def _locked(self, transaction: Transaction, expected: frozenset[int] | None) -> Version:
        await transaction.execute(sql.lock)
        before = await self.current(transaction)
        if expected is not None and before.revision not in expected:
            state = f"it is at {before.name} now" if before.document is not None else "there is none now"
            raise Stale(f"the routing document was changed in the meantime; {state}")
        return before

    async def _hold(self, transaction: Transaction, judged: Judged) -> None:
        wanted = sorted({name for _, name in channels_named(judged.document)})
        found = await self._channels.hold(transaction, wanted)
        if len(found) < len(wanted):
            self._require(judged, found, await self._channels.names(transaction))

    def _require(self, judged: Judged, found: Collection[str], names: Iterable[str]) -> None:
        if missing := [(loc, name) for loc, name in channels_named(judged.document) if name not in found]:
            raise judged.refused((loc, _unknown(name, names)) for loc, name in missing)

    async def _store(
        self,
        transaction: Transaction,
        actor: Actor,
        before: Version,
        change: str,
        *,
        judged: Judged | None,
        comment: str,
    ) -> Version:
        """The version, the audit row and what follows from a change; no document: a deletion."""
        content = (judged.text, values_of(judged.document)) if judged is not None else (None, None)
        row = await transaction.fetchrow(sql.add, before.revision + 1, change, *content, actor.name, comment)
        after = await asyncio.to_thread(_version, row)
        await self._audit.record(
            transaction, actor, f"routing.{change}", SUBJECT, before=_audited(before), after=_audited(after)
        )
        table = await asyncio.to_thread(_table, after)
        for changed in self._changed:
            await changed(transaction, table)
        return after


def _unknown(name: str, names: Iterable[str]) -> str:
    shown = name[:80]
    if name.startswith(USER):
        return f'"{shown}" leads to nobody: no channel has this "user_id".{did_you_mean(shown, names)}'
    return f'there is no channel "{shown}".{did_you_mean(shown, names)}'


def _audited(version: Version) -> Mapping[str, Any] | None:
    if version.document is None:
        return None
    return {"version": version.name, "comment": version.comment}


def _version(row: Any) -> Version:
    values = dict(row)
    document = restored(values["document"]) if values["document"] is not None else None
    return Version(**{**values, "document": document})


def _table(version: Version) -> RoutingTable:
    if version.document is None:
        return replace(DEFAULT_TABLE, revision=version.revision)
    return table_of(version.document, version.revision)
