"""Watching over queues, tasks and dead letters, and changing them by hand. Every change is audited.

PostgreSQL knows the tasks, so they are listed and steered while Redis is away; only Redis has the dead letters.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.kernel.errors import Conflict, NotFound, Unavailable
from alertagent.queue.dead_letters import DeadLetter, DeadLetters, Match
from alertagent.queue.ledger import Also, Entry, Ledger
from alertagent.queue.policy import describe
from alertagent.queue.statistics import QueueStatistics, Statistics
from alertagent.queue.tasks import TaskPage, Tasks
from alertagent.storage.database import Database, Transaction
from alertagent.storage.pages import PageRequest

RETRY_AFTER = timedelta(seconds=5)

log = structlog.get_logger()

Reopened = Callable[[Transaction, Actor, Sequence[str]], Awaitable[Mapping[str, Conflict]]]
"""Tasks with these ids are to be tried again. Answers which of them will find nothing to do, and why."""

Cancelled = Callable[[Transaction, Actor, str], Awaitable[None]]
"""A task with this id is cancelled."""

Which = Sequence[str] | Match
"""Dead letters by their ids, or all that match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeued:
    """The ids of the letters that are tried again. `overtaken` are gone as well, but nothing comes of them, because
    something newer does their work. `left` are those of the ids asked for that could not be."""

    requeued: Sequence[str]
    overtaken: Sequence[str]
    left: Sequence[str]


class Queues:
    """All queues of this installation."""

    def __init__(
        self,
        queues: Sequence[str],
        *,
        database: Database,
        redis: Redis,
        ledger: Ledger,
        statistics: Statistics,
        audit: Audit,
    ) -> None:
        self._queues = queues
        self._database = database
        self._redis = redis
        self._ledger = ledger
        self._statistics = statistics
        self._audit = audit
        self._tasks = Tasks(queues, redis=redis, ledger=ledger)
        self._reopened: dict[str, Reopened] = {}
        self._cancelled: dict[str, Cancelled] = {}

    def on_reopen(self, type: str, reopened: Reopened) -> None:
        """Call this when a task of this type is tried again: what it worked on may have ended with it."""
        self._reopened[type] = reopened

    def on_cancel(self, type: str, cancelled: Cancelled) -> None:
        """Call this in the transaction that cancels a task of this type: what it works on ends with it, or neither."""
        self._cancelled[type] = cancelled

    async def all(self) -> list[QueueStatistics]:
        found = await self._statistics.read()
        return [found[queue] for queue in self._queues]

    async def get(self, queue: str) -> QueueStatistics:
        """Raises NotFound."""
        self._require(queue)
        return (await self._statistics.read())[queue]

    async def pause(self, actor: Actor, queue: str) -> None:
        """Start no more tasks of this queue, in any process; those that run go on. Raises NotFound."""
        self._require(queue)
        async with self._database.transaction() as transaction:
            is_new = await self._ledger.pause(transaction, queue, actor.name)
            if is_new:
                await self._audit.record(transaction, actor, "queue.paused", ("queue", queue))
        if is_new:
            log.warning("queue.paused", queue=queue, by=actor.name)

    async def resume(self, actor: Actor, queue: str) -> None:
        """Raises NotFound."""
        self._require(queue)
        async with self._database.transaction() as transaction:
            is_new = await self._ledger.resume(transaction, queue)
            if is_new:
                await self._audit.record(transaction, actor, "queue.resumed", ("queue", queue))
        if is_new:
            log.info("queue.resumed", queue=queue, by=actor.name)

    async def page(self, request: PageRequest) -> TaskPage:
        return await self._tasks.page(request)

    async def task(self, id: str) -> Entry:
        """Raises NotFound."""
        return await self._tasks.get(id)

    async def retry(self, actor: Actor, id: str) -> Entry:
        """Try a failed task again, with all its retries.

        Raises NotFound, and Conflict when it has not failed or nothing would come of it.
        """
        note = self._noted(actor, "task.retried")

        async def also(transaction: Transaction, entry: Entry) -> None:
            await note(transaction, entry)
            for problem in (await self._tell_reopened(transaction, actor, [entry])).values():
                raise problem

        return await self._tasks.retry(id, also=also)

    async def cancel(self, actor: Actor, id: str) -> Entry:
        """End a task that has not ended. Raises NotFound, and Conflict when it has."""
        note = self._noted(actor, "task.cancelled")

        async def also(transaction: Transaction, entry: Entry) -> None:
            await note(transaction, entry)
            if (hear := self._cancelled.get(entry.type)) is not None:
                await hear(transaction, actor, entry.id)

        return await self._tasks.cancel(id, by=actor.name, also=also)

    async def dead(self, queue: str, match: Match, *, before: str | None, limit: int) -> list[DeadLetter]:
        """The last dead letters, newest first. Raises NotFound, and Unavailable without Redis."""
        with _answering():
            return await self._letters(queue).newest(match, before=before, limit=limit)

    async def requeue(self, actor: Actor, queue: str, which: Which) -> Requeued:
        """Try the tasks of these letters again, with all their retries. Raises NotFound, and Unavailable."""
        in_vain: dict[str, Conflict] = {}

        async def also(transaction: Transaction, entries: Sequence[Entry]) -> None:
            in_vain.update(await self._tell_reopened(transaction, actor, entries))

        with _answering():
            letters = await self._letters(queue).requeue(which, also=also)
        requeued = [letter.id for letter in letters if letter.task not in in_vain]
        overtaken = [letter.id for letter in letters if letter.task in in_vain]
        after = {**_told(which), "count": len(requeued), "overtaken": len(overtaken)}
        await self._audit.record(self._database, actor, "dead_letters.requeued", ("queue", queue), after=after)
        log.info("dead_letters.requeued", queue=queue, count=len(requeued), overtaken=len(overtaken), by=actor.name)
        left = [] if isinstance(which, Match) else sorted(set(which) - {letter.id for letter in letters})
        return Requeued(requeued=requeued, overtaken=overtaken, left=left)

    async def purge(self, actor: Actor, queue: str, which: Which) -> int:
        """Remove these letters for good; how many there were. Raises NotFound, and Unavailable."""
        letters = self._letters(queue)
        # Nothing is lost that could not be noted: the database is there before the first letter goes.
        async with self._database.transaction() as transaction:
            with _answering():
                purged = await letters.purge(which)
            after = {**_told(which), "count": purged}
            await self._audit.record(transaction, actor, "dead_letters.purged", ("queue", queue), after=after)
        log.info("dead_letters.purged", queue=queue, count=purged, by=actor.name)
        return purged

    async def _tell_reopened(
        self, transaction: Transaction, actor: Actor, entries: Sequence[Entry]
    ) -> Mapping[str, Conflict]:
        """Those that will find nothing to do, and why."""
        in_vain: dict[str, Conflict] = {}
        for type, hear in self._reopened.items():
            if ids := [entry.id for entry in entries if entry.type == type]:
                in_vain.update(await hear(transaction, actor, ids))
        return in_vain

    def _letters(self, queue: str) -> DeadLetters:
        self._require(queue)
        return DeadLetters(queue, self._redis, self._ledger)

    def _require(self, queue: str) -> None:
        if queue not in self._queues:
            raise NotFound(
                f'there is no queue "{queue[:100]}"; there are {", ".join(self._queues)}', code="queue.not_found"
            )

    def _noted(self, actor: Actor, action: str) -> Also:
        async def note(transaction: Transaction, entry: Entry) -> None:
            after = {"queue": entry.queue, "type": entry.type, "status": entry.status}
            await self._audit.record(transaction, actor, action, ("task", entry.id), after=after)

        return note


def _told(which: Which) -> Mapping[str, Any]:
    if isinstance(which, Match):
        return {"filter": [str(matcher) for matcher in which.matchers]}
    return {"ids": list(which)}


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Redis is asked here. Raises Unavailable when it does not answer."""
    try:
        yield
    except (RedisError, OSError) as error:
        log.warning("redis.unavailable", reason=describe(error), effect="dead letters cannot be shown or changed")
        raise Unavailable(
            "Redis does not answer, and nothing else has the dead letters; tasks that failed are in the list of tasks "
            "all the same",
            code="redis.unavailable",
            retry_after=RETRY_AFTER,
        ) from error
