"""Runs as rows: found, noted in, parked and ended. A run ends once, whoever comes first."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from alertagent.core.alerts.service import Alerts, EndedAnalysis, Episode
from alertagent.core.analysis.analyzers import BUILT_IN, sql
from alertagent.core.analysis.kinds import GIVE_UP, GiveUp
from alertagent.core.analysis.model import ALERT_STATUS, RunRecord, RunStatus
from alertagent.kernel.clock import Clock
from alertagent.kernel.record import record
from alertagent.kernel.together import Together
from alertagent.plugins.analysis import Callback
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database, Transaction

# A run that ended is remembered for what was said of it, and so that a callback that comes again is known.
KEPT_FOR = timedelta(days=90)
HOLDS_KEPT_FOR = timedelta(hours=1)

Ended = Callable[[Transaction, Sequence[str]], Awaitable[None]]


@record
class _End:
    run: RunRecord
    status: RunStatus
    result: Mapping[str, Any] | None
    called_back: bool


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
        self._ends = Together(self._end)

    def on_end(self, ended: Ended) -> None:
        """Call this with the groups of runs, in the transaction that ends them, before anything else is locked."""
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
        """Store how it ended with all its alerts, and let their notifications go. False when it had ended already.

        Those that end at the same moment share a transaction: each would wait for the same groups, with a connection.
        """
        return await self._ends.ask(_End(run=run, status=status, result=result, called_back=called_back))

    async def _end(self, ends: Sequence["_End"]) -> list[bool]:
        first = {end.run.id: end for end in reversed(ends)}
        async with self._database.transaction() as transaction:
            if self._ended is not None and (groups := {end.run.group_key for end in ends} - {""}):
                await self._ended(transaction, sorted(groups))
            rows = await transaction.fetch(
                sql.end_runs,
                list(first),
                [end.status for end in first.values()],
                [end.result for end in first.values()],
                [end.called_back for end in first.values()],
                self._clock.now(),
                BUILT_IN,
            )
            providers: dict[str, str] = {row["id"]: row["provider"] for row in rows}
            # Whatever has joined meanwhile, too.
            episodes: dict[str, list[Episode]] = {id: [] for id in providers}
            for row in await transaction.fetch(sql.run_episodes, list(providers)):
                episodes[row["run_id"]].append((row["fingerprint"], row["episode"]))
            results = {
                id: EndedAnalysis(episodes=some, status=ALERT_STATUS[first[id].status], result=first[id].result)
                for id, some in episodes.items()
            }
            await self._alerts.analyses_ended(transaction, results)
        for id, provider in providers.items():
            self._counted(provider, first[id].status)
        return [end.run.id in providers and first[end.run.id] is end for end in ends]

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
