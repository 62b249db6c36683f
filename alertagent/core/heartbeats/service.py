"""Keeping heartbeats, and looking after them."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog

from alertagent.core.alerts.service import GRACE_AFTER_START, Alerts
from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.core.heartbeats.model import SOURCE, Heartbeat, State, alarm, checked
from alertagent.kernel.clock import Clock
from alertagent.kernel.durations import format_duration
from alertagent.kernel.errors import Conflict, NotFound, Problem, Stale
from alertagent.kernel.ids import new_id
from alertagent.storage.database import Database, Executor
from alertagent.storage.pages import Column, Listing, PageRequest, fetch_page
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.heartbeats")

LOOK_EVERY = timedelta(seconds=15)

LISTING = Listing(
    source=sql.listing,
    columns={
        "id": Column("t.id"),
        "name": Column("t.name"),
        "updated_at": Column("t.updated_at", "timestamptz"),
    },
    sort="name",
    key="t.id",
    search=("t.name", "array_to_string(t.matchers, ' ')"),
)

_EDITABLE = ("name", "matchers", "interval", "labels")

log = structlog.get_logger()


class Heartbeats:
    """All heartbeats. `looking` runs where alerts are looked after."""

    def __init__(self, database: Database, alerts: Alerts, audit: Audit, clock: Clock) -> None:
        self._database = database
        self._alerts = alerts
        self._audit = audit
        self._clock = clock
        self._started_at = clock.now()

    async def get(self, id: str) -> Heartbeat:
        """Raises NotFound."""
        row = await self._database.fetchrow(sql.find, id)
        if row is None:
            raise _unknown(id)
        return _heartbeat(row)

    async def page(self, request: PageRequest) -> tuple[list[Heartbeat], str | None, int | None]:
        page = await fetch_page(self._database, LISTING, request)
        return [_heartbeat(row) for row in page.rows], page.next_cursor, page.total

    async def add(self, actor: Actor, values: Mapping[str, Any]) -> Heartbeat:
        """Raises Invalid with the place of each finding, Conflict when the name is taken."""
        checked(values["matchers"], values["labels"])
        async with self._database.transaction() as transaction:
            row = await transaction.fetchrow(sql.add, new_id(), *_columns(values), self._clock.now())
            if row is None:
                raise _taken(values["name"])
            heartbeat = _heartbeat(row)
            await self._note(transaction, actor, "heartbeat.created", None, heartbeat)
        return heartbeat

    async def revise(
        self, actor: Actor, id: str, changes: Mapping[str, Any], expected: frozenset[int] | None
    ) -> Heartbeat:
        """Replace what is given. Raises NotFound, Stale, Invalid, Conflict."""
        try:
            async with self._database.transaction() as transaction:
                before = await self._current(transaction, id, expected)
                values = {name: getattr(before, name) for name in _EDITABLE} | dict(changes)
                checked(values["matchers"], values["labels"])
                if all(getattr(before, name) == values[name] for name in _EDITABLE):
                    return before
                row = await transaction.fetchrow(sql.replace, id, *_columns(values), self._clock.now())
                after = _heartbeat(row)
                await self._note(transaction, actor, "heartbeat.updated", before, after)
        except asyncpg.UniqueViolationError as error:
            raise _taken(values["name"]) from error
        return after

    async def remove(self, actor: Actor, id: str, expected: frozenset[int] | None) -> None:
        """Its alarm, if there is one, falls silent."""
        async with self._database.transaction() as transaction:
            before = await self._current(transaction, id, expected)
            await transaction.execute(sql.remove, id)
            await self._note(transaction, actor, "heartbeat.deleted", before, None)

    async def looking(self) -> None:
        """Look again and again, in one process at a time."""
        while True:
            try:
                await self.look()
            except Problem as problem:
                log.warning("heartbeats.not_looked", reason=problem.message)
            await asyncio.sleep(LOOK_EVERY.total_seconds())

    async def look(self) -> None:
        """Note what has come, raise an alarm for what is missing, and end those of what is back."""
        async with self._database.transaction() as transaction:
            if not await transaction.fetchval(sql.try_lock):
                return
            known = [_heartbeat(row) for row in await transaction.fetch(sql.all)]
            heartbeats = [await self._updated(transaction, heartbeat) for heartbeat in known]
            alarms = await self._alerts.find([heartbeat.fingerprint for heartbeat in heartbeats], transaction)
        await self._tell(heartbeats, {alert.fingerprint for alert in alarms if alert.is_firing})

    async def _updated(self, transaction: Executor, heartbeat: Heartbeat) -> Heartbeat:
        seen = await self._alerts.last_seen(heartbeat.matchers, other_than=SOURCE, executor=transaction)
        if seen is None or (heartbeat.last_seen_at is not None and seen <= heartbeat.last_seen_at):
            return heartbeat
        await transaction.execute(sql.seen, heartbeat.id, seen)
        return replace(heartbeat, last_seen_at=seen)

    async def _tell(self, heartbeats: Sequence[Heartbeat], raised: Collection[str]) -> None:
        """By the door that every alert comes through, so that an alarm is an alert like any other. `raised` are those
        that fire, by fingerprint.

        After a start of ours nobody is blamed for the time in which nobody could post.
        """
        now = self._clock.now()
        missing = [each for each in heartbeats if each.state(now) is State.MISSING]
        if now < self._started_at + GRACE_AFTER_START:
            missing = [each for each in missing if each.fingerprint in raised]
        back = [each for each in heartbeats if each.state(now) is not State.MISSING and each.fingerprint in raised]
        for each in missing:
            if each.fingerprint not in raised:
                log.warning("heartbeat.missing", heartbeat=each.name, last_seen_at=_shown(each.last_seen_at))
        await self._alerts.ingest([alarm(each, now) for each in (*missing, *back)])

    async def _current(self, transaction: Executor, id: str, expected: frozenset[int] | None) -> Heartbeat:
        row = await transaction.fetchrow(sql.find_for_change, id)
        if row is None:
            raise _unknown(id)
        if expected is not None and row["revision"] not in expected:
            raise Stale(f'heartbeat "{row["name"]}" was changed in the meantime; it is at revision {row["revision"]}')
        return _heartbeat(row)

    async def _note(
        self, transaction: Executor, actor: Actor, action: str, before: Heartbeat | None, after: Heartbeat | None
    ) -> None:
        heartbeat = after or before
        if heartbeat is not None:
            subject = ("heartbeat", heartbeat.id)
            await self._audit.record(
                transaction, actor, action, subject, before=_document(before), after=_document(after)
            )


def _heartbeat(row: Any) -> Heartbeat:
    values = {field.name: row[field.name] for field in fields(Heartbeat)}
    return Heartbeat(**{**values, "matchers": tuple(row["matchers"])})


def _columns(values: Mapping[str, Any]) -> list[Any]:
    return [values["name"], list(values["matchers"]), values["interval"], values["labels"]]


def _document(heartbeat: Heartbeat | None) -> dict[str, Any] | None:
    if heartbeat is None:
        return None
    values = {name: getattr(heartbeat, name) for name in _EDITABLE}
    return {**values, "interval": format_duration(heartbeat.interval)}


def _shown(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _taken(name: str) -> Conflict:
    return Conflict(f'there is a heartbeat "{name}" already', code="heartbeat.exists")


def _unknown(id: str) -> NotFound:
    return NotFound(f'there is no heartbeat "{id}"', code="heartbeat.not_found")
