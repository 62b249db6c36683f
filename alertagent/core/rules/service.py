"""Rules: read one by one or in lists, and changed, one or many, in one transaction."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, Protocol

from alertagent.core.audit.model import Actor
from alertagent.core.rules.edits import Author, Create, Edit, Operation, Remove, Revise, plan, plan_all, unknown
from alertagent.core.rules.journal import Journal
from alertagent.core.rules.model import Rule, RuleContent, Status
from alertagent.core.rules.rows import rule_of
from alertagent.kernel.clock import Clock
from alertagent.kernel.ids import new_id
from alertagent.storage.database import Database, Executor
from alertagent.storage.pages import Column, Listing, PageRequest, fetch_page
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.rules")

AT_ONCE = 100

# Where a rule stands that is not stored: behind every other.
LAST = 2**62

LISTING = Listing(
    source=sql.listing,
    columns={
        "id": Column("t.id"),
        "name": Column("t.name"),
        "kind": Column("t.kind"),
        "dialect": Column("t.dialect"),
        "group": Column("t.group_name"),
        "severity": Column("coalesce(t.severity, '')"),
        "enabled": Column("t.enabled", "boolean"),
        "source": Column("t.source"),
        "position": Column("t.position", "bigint"),
        "created_at": Column("t.created_at", "timestamptz"),
        "updated_at": Column("t.updated_at", "timestamptz"),
    },
    sort="-updated_at",
    key="t.id",
    labels="t.labels",
    search=("t.name", "t.expression", "t.record"),
)


class Statuses(Protocol):
    """Who knows how far rules have come to their targets."""

    async def of(self, rules: Sequence[Rule]) -> Mapping[str, Status]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePage:
    rules: list[Rule]
    next_cursor: str | None
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEdit:
    """One past change of a rule, as an analysis wants to know it."""

    rule_id: str
    name: str
    revision: int
    change: str
    author: str
    comment: str
    at: datetime


class Rules:
    """All rules."""

    def __init__(self, database: Database, journal: Journal, clock: Clock) -> None:
        self._database = database
        self._journal = journal
        self._clock = clock

    async def get(self, id: str) -> Rule:
        """Raises NotFound."""
        row = await self._database.fetchrow(sql.find, id)
        if row is None:
            raise unknown(id)
        return rule_of(row)

    async def page(self, request: PageRequest) -> RulePage:
        page = await fetch_page(self._database, LISTING, request)
        return RulePage(rules=[rule_of(row) for row in page.rows], next_cursor=page.next_cursor, total=page.total)

    async def enabled(self, executor: Executor | None = None) -> list[Rule]:
        """Every enabled rule, in the order of their positions."""
        return await rules_of(await (executor or self._database).fetch(sql.enabled))

    async def enabled_in(self, groups: Collection[str]) -> list[Rule]:
        """The enabled rules of these groups, in the order of their positions."""
        return await rules_of(await self._database.fetch(sql.enabled_in, list(groups)))

    async def named(self, name: str) -> list[Rule]:
        """The first few rules of this name."""
        return await rules_of(await self._database.fetch(sql.named, name))

    async def recently_changed(self, name: str, since: datetime, until: datetime) -> list[RuleEdit]:
        """The changes of rules of this name in a span of time, newest first."""
        rows = await self._database.fetch(sql.recently_changed, since, until, name)
        return [RuleEdit(**dict(row)) for row in rows]

    async def apply(self, actor: Actor, operation: Operation, *, dry_run: bool = False) -> Edit:
        """Do this; a dry run only tells what would come of it. Raises Invalid, NotFound, Stale, Conflict."""
        async with self._database.transaction() as transaction:
            given = await self._given(transaction, actor, [operation], dry_run=dry_run)
            edit = plan(operation, *given)
            if not dry_run:
                await self._journal.write(transaction, actor, [edit])
        return edit

    async def apply_all(self, actor: Actor, operations: Sequence[Operation], *, dry_run: bool = False) -> list[Edit]:
        """Do all of this or, when one of it cannot be done, nothing. Raises the same, with the place of each."""
        async with self._database.transaction() as transaction:
            given = await self._given(transaction, actor, operations, dry_run=dry_run)
            edits = await asyncio.to_thread(plan_all, operations, *given)
            if not dry_run:
                await self._journal.write(transaction, actor, edits)
        return edits

    async def add(self, actor: Actor, content: RuleContent, comment: str = "") -> Rule:
        """Store a new rule."""
        return (await self.apply(actor, Create(content=content, comment=comment))).rule

    async def revise(
        self, actor: Actor, id: str, changes: Mapping[str, Any], expected: frozenset[int] | None, comment: str = ""
    ) -> Rule:
        """Replace the fields given; the result is checked as a whole. Nothing changed: the same version."""
        operation = Revise(id=id, changes=changes, expected=expected, comment=comment)
        return (await self.apply(actor, operation)).rule

    async def remove(self, actor: Actor, id: str, expected: frozenset[int] | None, comment: str = "") -> None:
        """Delete the rule here and, through the sidecars, on every target. Its versions stay."""
        await self.apply(actor, Remove(id=id, expected=expected, comment=comment))

    async def _given(
        self, transaction: Executor, actor: Actor, operations: Sequence[Operation], *, dry_run: bool
    ) -> tuple[dict[str, Rule], Iterator[tuple[str, int]], Author]:
        """What a plan needs to know: the rules as they are, places for new ones, who and when."""
        ids = [operation.id for operation in operations if not isinstance(operation, Create)]
        found = await find(transaction, ids, lock=not dry_run)
        new = await places(transaction, len(operations) - len(ids), kept=not dry_run)
        return found, new, Author(name=actor.name, at=self._clock.now())


async def find(executor: Executor, ids: Sequence[str], *, lock: bool) -> dict[str, Rule]:
    """The rules of these ids, as far as they exist."""
    if not ids:
        return {}
    rules = await rules_of(await executor.fetch(sql.find_for_change if lock else sql.find_all, ids))
    return {rule.id: rule for rule in rules}


async def rules_of(rows: Sequence[Any]) -> list[Rule]:
    """What the rows stand for. Many are read in a thread: a rule takes 30 µs, and the loop has other work."""
    if len(rows) <= AT_ONCE:
        return [rule_of(row) for row in rows]
    return await asyncio.to_thread(lambda: [rule_of(row) for row in rows])


async def places(executor: Executor, number: int, *, kept: bool) -> Iterator[tuple[str, int]]:
    """The id and the position of each of so many new rules, behind all others; nothing is used up for a dry run."""
    if not kept:
        return ((new_id(), position) for position in count(LAST))
    rows = await executor.fetch(sql.positions, number) if number else []
    return ((new_id(), row[0]) for row in rows)
