"""Runs as rows: found, noted in, parked and ended. A run ends once, whoever comes first."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from alertagent.core.alerts.service import Alerts
from alertagent.core.analysis.analyzers import BUILT_IN, sql
from alertagent.core.analysis.kinds import GIVE_UP, GiveUp
from alertagent.core.analysis.model import ALERT_STATUS, RunRecord, RunStatus
from alertagent.kernel.clock import Clock
from alertagent.plugins.analysis import Callback
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database, Transaction

# A run that ended is remembered for what was said of it, and so that a callback that comes again is known.
KEPT_FOR = timedelta(days=90)
HOLDS_KEPT_FOR = timedelta(hours=1)

Ended = Callable[[Transaction, Sequence[str]], Awaitable[None]]


class Runs:
    """All runs. `callbacks_at` is the address at which providers deliver what they found.

    `counted` is told of each that ends: the plugin that was asked, and how it ended.
    """

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        producer: Producer,
        clock: Clock,
        *,
        callbacks_at: str,
        counted: Callable[[str, str], None] = lambda _provider, _status: None,
    ) -> None:
        self._database = database
        self._alerts = alerts
        self._producer = producer
        self._clock = clock
        self._callbacks_at = callbacks_at
        self._counted = counted
        self._ended: Ended | None = None

    def on_end(self, ended: Ended) -> None:
        """Call this with the groups of a run, in the transaction that ends it, before anything else is locked."""
        self._ended = ended

    async def find(self, id: str) -> RunRecord | None:
        row = await self._database.fetchrow(sql.find_run, id)
        return _record(row) if row is not None else None

    async def note(self, id: str, notes: Mapping[str, str]) -> None:
        await self._database.execute(sql.note_run, id, dict(notes))

    async def open_callback(self, id: str, within: timedelta) -> tuple[Callback, datetime]:
        """A fresh token, of which only a digest is kept, and until when it is good."""
        token, deadline = f"aa_run_{secrets.token_urlsafe(32)}", self._clock.now() + within
        await self._database.execute(sql.open_callback, id, digest(token), deadline)
        return Callback(url=f"{self._callbacks_at}/{id}", token=token), deadline

    async def park(self, id: str) -> None:
        """Wait for the callback, and no longer than the deadline."""
        async with self._database.transaction() as transaction:
            deadline = await transaction.fetchval(sql.park_run, id)
            if deadline is not None:
                await self._producer.enqueue(transaction, GIVE_UP.task(GiveUp(run=id), due=deadline))

    async def end(
        self, run: RunRecord, status: RunStatus, result: Mapping[str, Any] | None, *, called_back: bool = False
    ) -> bool:
        """Store how it ended with all its alerts, and let their notifications go. False when it had ended already."""
        async with self._database.transaction() as transaction:
            if run.group_key and self._ended is not None:
                await self._ended(transaction, [run.group_key])
            provider: str | None = await transaction.fetchval(
                sql.end_run, run.id, status, result, self._clock.now(), called_back, BUILT_IN
            )
            if provider is None:
                return False
            # Whatever has joined meanwhile, too.
            row = await transaction.fetchrow(sql.find_run, run.id)
            episodes = _record(row).episodes
            await self._alerts.analyses_ended(transaction, run.id, episodes, ALERT_STATUS[status], result)
        self._counted(provider, status)
        return True

    async def overdue(self) -> list[str]:
        """Runs that nobody waits for any more, and that nobody has ended: their tasks were cancelled or buried."""
        rows = await self._database.fetch(sql.overdue_runs, self._clock.now() - timedelta(minutes=1))
        return [row["id"] for row in rows]

    async def forget_old(self) -> None:
        now = self._clock.now()
        await self._database.execute(sql.forget_runs, now - KEPT_FOR)
        await self._database.execute(sql.forget_feedback, now - KEPT_FOR)
        await self._database.execute(sql.forget_holds, now - HOLDS_KEPT_FOR)


def digest(token: str) -> bytes:
    """A header's bytes that are no UTF-8 reach us as lone surrogates."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _record(row: Any) -> RunRecord:
    return RunRecord(
        id=row["id"],
        group_key=row["group_key"],
        analyzer_id=row["analyzer_id"],
        status=RunStatus(row["status"]),
        notes=row["notes"],
        callback_digest=row["callback_digest"],
        called_back=row["called_back"],
        deadline=row["deadline"],
        episodes=tuple(zip(row["fingerprints"], row["episodes"], strict=True)),
    )
