"""The tasks as people see and steer them: list, look, cancel, try again.

The ledger knows which tasks are open; that one of them is being worked on is known in Redis only, as an entry that is
pending for a worker. While Redis is away such a task is shown as pending.

A task that is cancelled while Redis is away gets no dead letter, neither then nor later: its row says who cancelled it,
and `retry` takes the row.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from alertagent.kernel.errors import Conflict, NotFound
from alertagent.kernel.matchers import Matcher, Operator
from alertagent.queue import streams
from alertagent.queue.dead_letters import DeadLetters, Match, compose
from alertagent.queue.ledger import Also, Entry, Ledger, entry, nothing_else, sql
from alertagent.queue.policy import Why, describe
from alertagent.queue.producer import BATCH, fill, milliseconds
from alertagent.queue.streams import FIELD, GROUP, Keys
from alertagent.queue.task import clamp, encode, identify
from alertagent.storage.pages import Column, Listing, PageRequest, fetch_page, matchers

# Of one stream; more than this many are not held at once.
HELD = 10_000

log = structlog.get_logger()


class Status(StrEnum):
    """Where a task stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


# The statuses of the rows that are shown with a status.
_ROWS: Mapping[str, Sequence[str]] = {
    Status.PENDING: ("pending", "processing"),
    Status.PROCESSING: ("pending", "processing"),
    Status.COMPLETED: ("completed",),
    Status.FAILED: ("failed",),
}

LISTING = Listing(
    source=sql.listing,
    columns={
        "id": Column("t.id", "uuid"),
        "queue": Column("t.queue_name"),
        "type": Column("t.task_type"),
        "status": Column("t.state"),
        "why": Column("coalesce(t.why, '')"),
        "priority": Column("t.priority", "smallint"),
        "retry": Column("t.retry_count", "int"),
        # Ids are of version 7: their order is the order of creation.
        "create_at": Column("t.id", "uuid"),
        "scheduled_at": Column("t.scheduled_at", "timestamptz"),
        "completed_at": Column("coalesce(t.completed_at, 'infinity')", "timestamptz"),
    },
    sort="-create_at",
    key="t.id",
    key_type="uuid",
    search=("t.id::text", "t.task_type", "t.error_message"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """Some tasks. `live` is False when Redis could not be asked: then those that run are shown as pending."""

    tasks: Sequence[Entry]
    next_cursor: str | None
    total: int | None
    live: bool


class Tasks:
    """The tasks of some queues."""

    def __init__(self, queues: Sequence[str], *, redis: Redis, ledger: Ledger, dead_letters_kept: int = 10_000) -> None:
        self._queues = queues
        self._redis = redis
        self._ledger = ledger
        self._dead_letters_kept = dead_letters_kept

    async def get(self, id: str) -> Entry:
        """Raises NotFound."""
        found = await self._found(id)
        held = await self._held([found.queue]) if found.status == Status.PENDING else None
        return _shown(found, held or ())

    async def page(self, request: PageRequest) -> TaskPage:
        """A part of the list, newest first unless asked otherwise. Raises Invalid."""
        held = await self._held(self._queues)
        rows = _rows_of(matchers(request))
        page = await fetch_page(self._ledger.database, LISTING, request, list(held or ()), rows)
        tasks = [replace(entry(row), status=row["state"]) for row in page.rows]
        return TaskPage(tasks=tasks, next_cursor=page.next_cursor, total=page.total, live=held is not None)

    async def cancel(self, id: str, *, by: str, also: Also = nothing_else) -> Entry:
        """End a task that has not ended; should it run, its handler is cancelled a moment later.

        Raises NotFound, and Conflict when it has ended.
        """
        found = await self._found(id)
        async with self._ledger.database.transaction() as tx:
            cancelled = await self._ledger.cancel(tx, [found.id], f"cancelled by {by}")
            for each in cancelled:
                await also(tx, each)
        if not cancelled:
            raise Conflict(f"task {id} has ended: it is {(await self._found(id)).status}", code="task.ended")
        log.info("task.cancelled", id=found.id, type=found.type, queue=found.queue, by=by)
        await self._bury(cancelled[0], by)
        return cancelled[0]

    async def retry(self, id: str, *, also: Also = nothing_else) -> Entry:
        """Try a failed task again, with all its retries. Raises NotFound, and Conflict when it has not failed."""
        found = await self._found(id)
        async with self._ledger.database.transaction() as tx:
            reopened = await self._ledger.reopen([found.id], tx)
            for each in reopened:
                await also(tx, each)
        if not reopened:
            raise Conflict(f"task {id} has not failed: it is {(await self.get(id)).status}", code="task.not_failed")
        log.info("task.reopened", id=found.id, type=found.type, queue=found.queue)
        await self._announce(reopened[0])
        return reopened[0]

    async def hasten(self, ids: Sequence[str], *, within: timedelta) -> int:
        """Let tasks that were put off start that soon; how many would have started later. One that runs is left alone.

        Raises Unavailable; what is not hastened starts when it would have.
        """
        count = 0
        for start in range(0, len(ids), BATCH):
            rows = await self._ledger.hasten(ids[start : start + BATCH], within)
            await self._delay(rows)
            count += len(rows)
        return count

    async def _found(self, id: str) -> Entry:
        found = await self._ledger.get(id) if _is_uuid(id) else None
        if found is None:
            raise NotFound(f"there is no task {id}", code="task.not_found")
        return found

    async def _bury(self, row: Entry, by: str) -> None:
        error = row.error_message or ""
        letter = compose(
            encode(row.as_task()),
            row.as_task(),
            why=Why.CANCELLED,
            error=error,
            level=clamp(row.priority),
            by=by,
            runs=row.retry,
        )
        kept: Any = letter
        try:
            await self._redis.xadd(Keys(row.queue).dead, kept, maxlen=self._dead_letters_kept, approximate=True)
        except (RedisError, OSError) as error_:
            log.warning("dead_letter.lost", id=row.id, queue=row.queue, error=describe(error_))

    async def _announce(self, row: Entry) -> None:
        keys = Keys(row.queue)
        try:
            await self._redis.xadd(keys.stream(clamp(row.priority)), {FIELD: encode(row.as_task(), again=True)})
            await DeadLetters(row.queue, self._redis, self._ledger).purge(Match(task=row.id))
        except (RedisError, OSError) as error:  # the row is open: the reconciler finds it
            log.warning("announcement.dropped", count=1, error=describe(error))

    async def _delay(self, rows: Sequence[Entry]) -> None:
        delayed: defaultdict[str, dict[bytes, int]] = defaultdict(dict)
        for row in rows:
            level = clamp(row.priority)
            lying = streams.member(level, encode(row.as_task(), again=True))
            delayed[row.queue][lying] = milliseconds(row.scheduled_at)
        try:
            await fill(self._redis, {}, delayed)
        except (RedisError, OSError) as error:  # as above
            log.warning("announcement.dropped", count=len(rows), error=describe(error))

    async def _held(self, queues: Sequence[str]) -> set[str] | None:
        """The tasks that workers hold; None when Redis cannot be asked."""
        try:
            return {id for queue in queues for id in await _pending(self._redis, Keys(queue))}
        except (RedisError, OSError) as error:
            log.warning("queue.disturbed", queue=",".join(queues), loop="list", error=describe(error))
            return None


async def _pending(redis: Redis, keys: Keys) -> set[str]:
    """The ids of the tasks whose entries are pending for some worker."""
    async with streams.pipeline(redis) as pipeline:
        for stream in keys.streams:
            pipeline.xpending_range(stream, GROUP, "-", "+", HELD)
        answers = await pipeline.execute(raise_on_error=False)
    async with streams.pipeline(redis) as pipeline:
        for stream, answer in zip(keys.streams, answers, strict=True):
            for item in _unless_missing(answer):
                pipeline.xrange(stream, item["message_id"], item["message_id"])
        entries = await pipeline.execute()
    envelopes = (fields.get(FIELD, b"") for found in entries for _, fields in found)
    return {id for id in map(identify, envelopes) if id is not None and _is_uuid(id)}


def _unless_missing(answer: Any) -> Any:
    """No entries where there is no stream yet or no group: nobody has worked on that queue."""
    if isinstance(answer, ResponseError) and str(answer).startswith("NOGROUP"):
        return ()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _rows_of(filters: Sequence[Matcher]) -> Sequence[str]:
    """The statuses of the rows that these filters leave, as far as that is plain."""
    for each in filters:
        if each.name == "status" and each.operator is Operator.EQUAL and each.value in _ROWS:
            return _ROWS[each.value]
    return list(Status)


def _shown(row: Entry, held: Collection[str]) -> Entry:
    processing = row.status == Status.PENDING and row.id in held
    return replace(row, status=Status.PROCESSING) if processing else row


def _is_uuid(id: str) -> bool:
    try:
        UUID(id)
    except ValueError:
        return False
    return True
