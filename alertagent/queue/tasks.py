"""The tasks as people see and steer them: list, look, cancel, try again.

The ledger knows which tasks are open; that one of them is being worked on is known in Redis only, as an entry that is
pending for a worker. While Redis is away such a task is shown as pending.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from alertagent.kernel.errors import Conflict, NotFound
from alertagent.queue import streams
from alertagent.queue.dead_letters import DeadLetters, Match, compose
from alertagent.queue.ledger import Entry, Ledger, Selection
from alertagent.queue.policy import Why, describe
from alertagent.queue.streams import FIELD, GROUP, Keys
from alertagent.queue.task import clamp, encode, identify

# Of one stream; more than this many are not held at once.
HELD = 10_000

log = structlog.get_logger()


class Status(StrEnum):
    """Where a task stands."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """Some tasks, newest first. `next` goes on behind them; `live` is False when Redis could not be asked."""

    tasks: Sequence[Entry]
    next: str | None
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

    async def page(
        self,
        *,
        queue: str | None = None,
        type: str | None = None,
        status: Status | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> TaskPage:
        """The tasks created last; `before` is the `next` of the page before."""
        held = await self._held([queue] if queue else self._queues)
        selection = _select(Selection(queue=queue, type=type), status, held or ())
        rows = await self._ledger.newest(selection, before=before, limit=limit + 1)
        tasks = [_shown(row, held or ()) for row in rows[:limit]]
        return TaskPage(tasks=tasks, next=tasks[-1].id if len(rows) > limit else None, live=held is not None)

    async def cancel(self, id: str, *, by: str) -> Entry:
        """End a task that has not ended; should it run, its handler is cancelled a moment later.

        Raises NotFound, and Conflict when it has ended.
        """
        found = await self._found(id)
        cancelled = await self._ledger.cancel([found.id], f"cancelled by {by}")
        if not cancelled:
            raise Conflict(f"task {id} has ended: it is {(await self._found(id)).status}", code="task.ended")
        log.info("task.cancelled", id=found.id, type=found.type, queue=found.queue, by=by)
        await self._bury(cancelled[0], by)
        return cancelled[0]

    async def retry(self, id: str) -> Entry:
        """Try a failed task again, with all its retries. Raises NotFound, and Conflict when it has not failed."""
        found = await self._found(id)
        reopened = await self._ledger.reopen([found.id])
        if not reopened:
            raise Conflict(f"task {id} has not failed: it is {(await self.get(id)).status}", code="task.not_failed")
        log.info("task.reopened", id=found.id, type=found.type, queue=found.queue)
        await self._announce(reopened[0])
        return reopened[0]

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
    return {id for id in map(identify, envelopes) if id is not None}


def _unless_missing(answer: Any) -> Any:
    """No entries where there is no stream yet or no group: nobody has worked on that queue."""
    if isinstance(answer, ResponseError) and str(answer).startswith("NOGROUP"):
        return ()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _select(selection: Selection, status: Status | None, held: Collection[str]) -> Selection:
    match status:
        case Status.PROCESSING:
            return replace(selection, status=Status.PENDING, among=held)
        case Status.PENDING:
            return replace(selection, status=Status.PENDING, other_than=held)
        case _:
            return replace(selection, status=status)


def _shown(row: Entry, held: Collection[str]) -> Entry:
    processing = row.status == Status.PENDING and row.id in held
    return replace(row, status=Status.PROCESSING) if processing else row


def _is_uuid(id: str) -> bool:
    try:
        UUID(id)
    except ValueError:
        return False
    return True
