"""Keeping silences, and knowing which of them mute."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from alertagent.core.alerts.firing import FiringAlerts
from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.core.silences.coverage import ActiveSilences, Coverage
from alertagent.core.silences.model import (
    Draft,
    Silence,
    SilenceMatcher,
    State,
    Terms,
    agreed,
    from_now,
    revised,
    sent_back,
)
from alertagent.core.silences.preview import Preview, preview, refuse_all
from alertagent.core.silences.recurrence import read_recurrence
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Conflict, NotFound, Stale
from alertagent.kernel.ids import new_id
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.pages import Column, Listing, PageRequest, fetch_page
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.silences")

# As long as Alertmanager keeps them. Source: prometheus/alertmanager, `--data.retention`.
KEPT_FOR = timedelta(hours=120)

LISTING = Listing(
    source=sql.listing,
    columns={
        "id": Column("t.id"),
        "state": Column("t.state"),
        "created_by": Column("t.created_by"),
        "comment": Column("t.comment"),
        "starts_at": Column("t.starts_at", "timestamptz"),
        "ends_at": Column("t.ends_at", "timestamptz"),
        "created_at": Column("t.created_at", "timestamptz"),
        "updated_at": Column("t.updated_at", "timestamptz"),
    },
    sort="-updated_at",
    key="t.id",
    search=("t.comment", "t.created_by", "array_to_string(t.matchers, ' ')"),
)

log = structlog.get_logger()


class Silences:
    """All silences. Nobody is told when one changes: a group whose alerts are held back looks again by itself."""

    def __init__(self, database: Database, firing: FiringAlerts, audit: Audit, clock: Clock) -> None:
        self._database = database
        self._firing = firing
        self._audit = audit
        self._clock = clock
        self._coverage = Coverage(())

    async def get(self, id: str) -> Silence:
        """Raises NotFound."""
        row = await self._database.fetchrow(sql.find, id)
        if row is None:
            raise _unknown(id)
        return _silence(row)

    async def all(self) -> list[Silence]:
        """Expired ones, too, as long as they are kept."""
        return [_silence(row) for row in await self._database.fetch(sql.all)]

    async def page(self, request: PageRequest) -> tuple[list[Silence], str | None, int | None]:
        now = self._clock.now()
        resting = [silence.id for silence in (await self.active(now)).resting()]
        page = await fetch_page(self._database, LISTING, request, now, resting)
        return [_silence(row) for row in page.rows], page.next_cursor, page.total

    async def active(self, now: datetime, executor: Executor | None = None) -> ActiveSilences:
        """What mutes at this moment: a look at an index, and at the rows of those that changed since the last call.

        Not for a transaction that writes silences: what it might take back would be remembered.
        """
        executor = executor or self._database
        revisions = {row["id"]: row["revision"] for row in await executor.fetch(sql.in_force, now)}
        known = {silence.id: silence for silence in self._coverage.silences}
        if revisions != {silence.id: silence.revision for silence in known.values()}:
            changed = [id for id, revision in revisions.items() if id not in known or known[id].revision != revision]
            known |= {row["id"]: _silence(row) for row in await executor.fetch(sql.named, changed)}
            self._coverage = Coverage(known[id] for id in revisions if id in known)
        return ActiveSilences(self._coverage, now)

    async def create(self, actor: Actor, draft: Draft, *, mute_all: bool = False) -> Silence:
        """Raises Invalid with the place of each finding, and, unless `mute_all`, when everything would be muted."""
        now = self._clock.now()
        terms = agreed(draft, now)
        async with self._database.transaction() as transaction:
            if not mute_all:
                await refuse_all(terms.matchers, self._firing, transaction)
            return await self._add(transaction, actor, terms, now)

    async def edit(self, actor: Actor, id: str, draft: Draft, *, mute_all: bool = False) -> Silence:
        """As Alertmanager edits: where the past would change, and where it has expired, there will be a new silence.

        A recurrence, of which Alertmanager's API does not know, stays as it is. Raises NotFound, Invalid.
        """
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            before = await self._current(transaction, id, None)
            terms = agreed(replace(draft, recurrence=draft.recurrence or before.recurrence), now)
            return await self._put(transaction, actor, before, terms, now, mute_all=mute_all)

    async def revise(
        self,
        actor: Actor,
        id: str,
        changes: Mapping[str, Any],
        expected: frozenset[int] | None,
        *,
        mute_all: bool = False,
    ) -> Silence:
        """Replace these fields of its draft. Where the past would change, what comes back is a new silence.

        Raises NotFound, Stale, Invalid, and Conflict for one that has expired.
        """
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            before = await self._current(transaction, id, expected)
            if before.state(now) is State.EXPIRED:
                raise Conflict(f'silence "{id}" has expired; make a new one', code="silence.expired")
            terms = agreed(revised(before, changes), now)
            return await self._put(transaction, actor, before, terms, now, mute_all=mute_all)

    async def expire(self, actor: Actor, id: str, expected: frozenset[int] | None = None) -> Silence:
        """End it now; of one that has expired nothing changes. Raises NotFound, Stale."""
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            before = await self._current(transaction, id, expected)
            if before.state(now) is State.EXPIRED:
                return before
            return await self._end(transaction, actor, before, now)

    async def preview(self, matchers: tuple[SilenceMatcher, ...]) -> Preview:
        """What a silence with these matchers would mute now."""
        rows = await self._database.fetch(sql.unexpired, self._clock.now())
        return await preview(matchers, self._firing, Coverage(map(_silence, rows)))

    async def forget_old(self) -> None:
        status = await self._database.execute(sql.forget, self._clock.now() - KEPT_FOR)
        if count := int(status.rpartition(" ")[2]):
            log.info("silences.forgotten", count=count)

    async def _put(
        self, transaction: Transaction, actor: Actor, before: Silence, terms: Terms, now: datetime, *, mute_all: bool
    ) -> Silence:
        terms = sent_back(terms, before)
        if terms == before.terms:
            return before
        if not mute_all and set(terms.matchers) != set(before.matchers):
            await refuse_all(terms.matchers, self._firing, transaction)
        if before.may_become(terms, now):
            after = _silence(await transaction.fetchrow(sql.replace, before.id, *_columns(terms), now))
            await self._note(transaction, actor, "silence.updated", before, after)
        else:
            if before.state(now) is not State.EXPIRED:
                await self._end(transaction, actor, before, now)
            after = await self._add(transaction, actor, terms, now)
        return after

    async def _add(self, transaction: Transaction, actor: Actor, terms: Terms, now: datetime) -> Silence:
        columns = _columns(from_now(terms, now))
        silence = _silence(await transaction.fetchrow(sql.add, new_id(), *columns, now))
        await self._note(transaction, actor, "silence.created", None, silence)
        return silence

    async def _end(self, transaction: Transaction, actor: Actor, before: Silence, now: datetime) -> Silence:
        ended = _silence(await transaction.fetchrow(sql.end, before.id, now))
        await self._note(transaction, actor, "silence.expired", before, ended)
        return ended

    async def _current(self, transaction: Executor, id: str, expected: frozenset[int] | None) -> Silence:
        row = await transaction.fetchrow(sql.find_for_change, id)
        if row is None:
            raise _unknown(id)
        if expected is not None and row["revision"] not in expected:
            raise Stale(f'silence "{id}" was changed in the meantime; it is at revision {row["revision"]}')
        return _silence(row)

    async def _note(
        self, transaction: Executor, actor: Actor, action: str, before: Silence | None, after: Silence
    ) -> None:
        await self._audit.record(
            transaction,
            actor,
            action,
            ("silence", after.id),
            before=before.terms.as_json() if before is not None else None,
            after=after.terms.as_json(),
        )


def _silence(row: Any) -> Silence:
    return Silence(
        id=row["id"],
        matchers=tuple(map(SilenceMatcher.parse, row["matchers"])),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        created_by=row["created_by"],
        comment=row["comment"],
        recurrence=read_recurrence(row["recurrence"]) if row["recurrence"] is not None else None,
        revision=row["revision"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _columns(terms: Terms) -> list[Any]:
    matchers = [str(matcher) for matcher in terms.matchers]
    recurrence = terms.recurrence.as_json() if terms.recurrence is not None else None
    return [matchers, terms.starts_at, terms.ends_at, terms.created_by, terms.comment, recurrence]


def _unknown(id: str) -> NotFound:
    return NotFound(f'there is no silence "{id}"', code="silence.not_found")
