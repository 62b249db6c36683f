"""The ledger: the table task_queue, which alone decides whether a task has ended.

A row stays `pending` from the caller's transaction until the task ends; that somebody works on it is known in
Redis. So an ordinary task costs one insert and one share of a batched update. Every change here is conditional,
and tells which rows it has changed: that answer is the fence against doing a thing twice. Since an answer can be lost,
whoever asks the same for the same run again gets the same answer.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from alertagent.queue.task import NewTask, Task
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.queue")

LOCKS = 0x71756575  # "queu": the first half of our advisory locks, the second is the queue
CHANNEL = "task_orders"
COUNT_UP_TO = 100_000
RATE_OVER = timedelta(seconds=10)

_FIRST = (datetime(1, 1, 2, tzinfo=UTC), UUID(int=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row, as the API shows it."""

    id: str
    queue: str
    type: str
    payload: Mapping[str, Any]
    priority: int
    retry: int
    max_retry: int
    status: str
    create_at: datetime
    scheduled_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    error_message: str | None
    trace: str | None
    why: str | None = None

    def as_task(self) -> Task:
        return Task(
            id=self.id,
            queue=self.queue,
            type=self.type,
            payload=self.payload,
            priority=self.priority,
            retry=self.retry,
            max_retry=self.max_retry,
            create_at=self.create_at,
            due=self.scheduled_at,
            trace=self.trace,
        )


Also = Callable[[Transaction, Entry], Awaitable[None]]
"""What else belongs into the transaction that changes a task."""

AlsoAll = Callable[[Transaction, Sequence[Entry]], Awaitable[None]]
"""The same of several tasks at once."""


async def nothing_else(_tx: Transaction, _entry: Entry) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An attempt that failed. `delay` None buries it; `spends` False leaves as many attempts as there were."""

    id: str
    retry: int
    delay: timedelta | None
    error: str
    started_at: datetime | None
    why: str | None = None
    spends: bool = True


@dataclass(frozen=True, slots=True)
class Orders:
    """What workers have to obey. `cancelled` holds (queue, id)."""

    paused: frozenset[str]
    cancelled: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What the ledger knows of a queue. `due` is open and due, counted up to COUNT_UP_TO; `rate` is ends per second."""

    due: int
    oldest: timedelta
    rate: float
    paused_by: str | None


class Ledger:
    """Statements on task_queue, each a transaction of its own unless it takes one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def database(self) -> Database:
        return self._database

    async def insert(self, tx: Transaction, tasks: Sequence[NewTask]) -> Sequence[NewTask]:
        """Write the rows in the caller's transaction, in one statement.

        Returns those that were written: not one whose dedup key an open task of its queue has.
        """
        status = await tx.execute(sql.insert, *_columns(tasks), [task.dedup for task in tasks])
        return tasks if _count(status) == len(tasks) else await self._written(tx, tasks)

    async def _written(self, tx: Transaction, tasks: Sequence[NewTask]) -> Sequence[NewTask]:
        rows = await tx.fetch(sql.present, [task.id for task in tasks])
        present = {str(row["id"]) for row in rows}
        return [task for task in tasks if task.id in present]

    async def bury(self, tx: Transaction, failed: Sequence[tuple[NewTask, str, str]]) -> None:
        """Write rows of tasks that have failed for good already, each with why and with the error."""
        if failed:
            columns = _columns([task for task, _, _ in failed])
            await tx.execute(sql.bury, *columns, [why for _, why, _ in failed], [error for _, _, error in failed])

    async def complete(self, done: Mapping[str, datetime]) -> set[str]:
        """End these tasks (id -> start of the run). Returns the ids that had not ended before."""
        # Sorted: two workers with overlapping batches must not wait for each other in a circle.
        pairs = sorted(done.items())
        rows = await self._database.fetch(sql.complete, [id for id, _ in pairs], [start for _, start in pairs])
        return {str(row["id"]) for row in rows}

    async def judge(self, attempts: Sequence[Judged]) -> set[str]:
        """Write down failed attempts. Returns the ids whose attempt nobody had judged before."""
        ordered = sorted(attempts, key=lambda attempt: attempt.id)
        rows = await self._database.fetch(
            sql.judge,
            [attempt.id for attempt in ordered],
            [attempt.retry for attempt in ordered],
            [attempt.delay for attempt in ordered],
            [attempt.error for attempt in ordered],
            [attempt.started_at for attempt in ordered],
            [attempt.why for attempt in ordered],
            [attempt.spends for attempt in ordered],
        )
        return {str(row["id"]) for row in rows}

    async def still_open(self, ids: Collection[str]) -> dict[str, int]:
        """Of these, the tasks that have not ended, with their retry count."""
        rows = await self._database.fetch(sql.still_open, list(ids))
        return {str(row["id"]): row["retry_count"] for row in rows}

    async def try_lock(self, tx: Transaction, name: str) -> bool:
        """Whether this transaction is now the only one that holds the lock of this name."""
        return bool(await tx.fetchval(sql.try_lock, LOCKS, name))

    async def advance(self, tx: Transaction, queue: str, horizon: timedelta, limit: int) -> list[Entry]:
        """Take the rows whose long wait in the ledger is over."""
        return [entry(row) for row in await tx.fetch(sql.advance, queue, horizon, limit)]

    async def outstanding(
        self,
        tx: Executor,
        queue: str,
        *,
        ahead: timedelta,
        settled: timedelta,
        after: Entry | None,
        limit: int,
    ) -> list[Entry]:
        """Open rows due before now + `ahead` and untouched for `settled`, oldest due first."""
        place = (after.scheduled_at, UUID(after.id)) if after else _FIRST
        return [entry(row) for row in await tx.fetch(sql.outstanding, queue, ahead, settled, *place, limit)]

    async def reopen(self, ids: Collection[str], tx: Executor | None = None) -> list[Entry]:
        """Make failed tasks pending again, with all their retries. Returns those that were failed."""
        return [entry(row) for row in await (tx or self._database).fetch(sql.reopen, list(ids))]

    async def hasten(self, ids: Collection[str], within: timedelta) -> list[Entry]:
        """Make tasks that were put off due that soon. Returns those that would have been later."""
        return [entry(row) for row in await self._database.fetch(sql.hasten, list(ids), within)]

    async def cancel(self, tx: Executor, ids: Collection[str], error: str) -> list[Entry]:
        """Fail open tasks with why `cancelled` and tell the workers. Returns those that were open."""
        rows = await tx.fetch(sql.cancel, list(ids), error)
        await tx.execute(sql.tell_workers, CHANNEL)
        return [entry(row) for row in rows]

    async def pause(self, tx: Executor, queue: str, by: str) -> bool:
        """Let the workers of a queue start nothing more until it is resumed. False: it was paused already."""
        status = await tx.execute(sql.pause, queue, by)
        await tx.execute(sql.tell_workers, CHANNEL)
        return _count(status) == 1

    async def resume(self, tx: Executor, queue: str) -> bool:
        """False: it was not paused."""
        status = await tx.execute(sql.resume, queue)
        await tx.execute(sql.tell_workers, CHANNEL)
        return _count(status) == 1

    async def orders(self, queues: Collection[str], since: timedelta) -> Orders:
        """What was ordered: pauses that hold now, cancellations that are younger than `since`."""
        rows = await self._database.fetch(sql.orders, list(queues), since)
        return Orders(
            paused=frozenset(row["queue_name"] for row in rows if row["id"] is None),
            cancelled=frozenset((row["queue_name"], str(row["id"])) for row in rows if row["id"] is not None),
        )

    async def backlogs(self, queues: Sequence[str]) -> dict[str, Backlog]:
        """How far behind these queues are, in one statement."""
        rows = await self._database.fetch(sql.statistics, queues, RATE_OVER, COUNT_UP_TO)
        return {
            row["queue_name"]: Backlog(
                due=row["due"],
                oldest=timedelta(seconds=max(0.0, row["oldest_seconds"] or 0.0)),
                rate=row["ended"] / RATE_OVER.total_seconds(),
                paused_by=row["paused_by"],
            )
            for row in rows
        }

    async def get(self, id: str) -> Entry | None:
        row = await self._database.fetchrow(sql.get, id)
        return entry(row) if row else None

    async def delete_ended(self, age: timedelta, limit: int = 1000) -> int:
        """Delete up to `limit` tasks that ended longer ago than `age`. Returns how many."""
        return _count(await self._database.execute(sql.delete_ended, age, limit))


def _columns(tasks: Sequence[NewTask]) -> Sequence[list[Any]]:
    """What a row has of a task however it begins."""
    return (
        [task.id for task in tasks],
        [task.queue for task in tasks],
        [task.type for task in tasks],
        [task.payload for task in tasks],
        [task.priority for task in tasks],
        [task.retry for task in tasks],
        [task.max_retry for task in tasks],
        [task.due for task in tasks],
        [task.trace for task in tasks],
    )


def _count(status: str) -> int:
    """How many rows a command touched, out of PostgreSQL's "INSERT 0 3"."""
    return int(status.rpartition(" ")[2])


def entry(row: asyncpg.Record) -> Entry:
    return Entry(
        id=str(row["id"]),
        queue=row["queue_name"],
        type=row["task_type"],
        payload=row["payload"],
        priority=row["priority"],
        retry=row["retry_count"],
        max_retry=row["max_retry"],
        status=row["status"],
        create_at=row["created_at"],
        scheduled_at=row["scheduled_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        error_message=row["error_message"],
        trace=row["trace"],
        why=row["why"],
    )
