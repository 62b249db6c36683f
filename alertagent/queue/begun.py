"""Work whose first attempt is made by whoever plans it, without a task.

A task costs a row, a way through Redis and its completion, which for most work is more than the work itself. So where
the planner has a record of its own that says what is still to be done, it may make the first attempt at once. Only an
attempt that failed becomes a task: from then on that goes the ordinary way, as if it had been one from the beginning.
"""

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from traceback import format_exception
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alertagent.kernel.record import record
from alertagent.queue.dead_letters import compose
from alertagent.queue.kinds import Kind
from alertagent.queue.ledger import Ledger
from alertagent.queue.observer import NullObserver, Observer
from alertagent.queue.policy import Bury, RetryIn, Rule, describe, judge
from alertagent.queue.producer import Producer
from alertagent.queue.reports import report
from alertagent.queue.runners import MAX_TRACEBACK
from alertagent.queue.streams import Keys
from alertagent.queue.task import NewTask
from alertagent.storage.database import Transaction

Claim = Callable[[Transaction, Sequence[str]], Awaitable[Collection[str]]]
"""Gives up, in this transaction, what the caller's record of some ids says of it; returns the ids of which it said so.

It is the fence: what somebody else has taken over becomes no second task.
"""

log = structlog.get_logger()


@record
class Failed:
    """A first attempt that failed: the task that goes on, how long it took, and how late it began, in seconds."""

    task: NewTask
    error: Exception
    seconds: float
    waited: float


class Begun:
    """Writes down how first attempts ended."""

    def __init__(
        self,
        redis: Redis,
        ledger: Ledger,
        producer: Producer,
        *,
        observer: Observer | None = None,
        dead_letters_kept: int = 10_000,
    ) -> None:
        self._redis = redis
        self._ledger = ledger
        self._producer = producer
        self._observer = observer or NullObserver()
        self._dead_letters_kept = dead_letters_kept

    def completed(self, kind: Kind[Any], seconds: Sequence[float], waited: Sequence[float]) -> None:
        """Count attempts that were all there was to do: how long each took and how late it began."""
        self._observer.tasks_finished(kind.queue, kind.type, "completed", seconds, waited)

    async def failed(self, attempts: Sequence[Failed], *, rule: Rule, by: str, claim: Claim) -> None:
        """What failed is tried again or is a dead letter, as `rule` says. `by` names the planner.

        Raises Unavailable; then nothing is written, and the claim stands.
        """
        failed, now = {one.task.id: one for one in attempts}, datetime.now(UTC)
        verdicts = {id: judge(one.error, one.task.as_task(now), random.random(), rule) for id, one in failed.items()}
        async with self._ledger.database.transaction() as tx:
            claimed = await claim(tx, list(failed))
            again = {id: verdict for id in claimed if isinstance(verdict := verdicts[id], RetryIn)}
            buried = {id: verdict for id in claimed if isinstance(verdict := verdicts[id], Bury)}
            await self._producer.enqueue(tx, *(_again(failed[id].task, each, now) for id, each in again.items()))
            await self._ledger.bury(tx, [(failed[id].task, each.why.value, each.error) for id, each in buried.items()])
        self._count("retried", [failed[id] for id in again])
        self._count("buried", [failed[id] for id in buried])
        for id in claimed:
            report(failed[id].task.as_task(now), failed[id].seconds, verdicts[id])
        for id, bury in buried.items():
            await self._send_letter(failed[id], bury, by)

    def _count(self, outcome: str, attempts: Sequence[Failed]) -> None:
        by_type: defaultdict[tuple[str, str], list[Failed]] = defaultdict(list)
        for one in attempts:
            by_type[one.task.queue, one.task.type].append(one)
        for (queue, type), ones in by_type.items():
            seconds, waited = [one.seconds for one in ones], [one.waited for one in ones]
            self._observer.tasks_finished(queue, type, outcome, seconds, waited)

    async def _send_letter(self, attempt: Failed, bury: Bury, by: str) -> None:
        task = attempt.task
        letter: Any = compose(
            task.envelope,
            task.as_task(datetime.now(UTC)),
            why=bury.why,
            error=bury.error,
            level=task.priority,
            by=by,
            traceback="".join(format_exception(attempt.error))[-MAX_TRACEBACK:],
            runs=1,
        )
        try:
            await self._redis.xadd(Keys(task.queue).dead, letter, maxlen=self._dead_letters_kept, approximate=True)
        except (RedisError, OSError) as error:
            log.warning("dead_letter.lost", id=task.id, queue=task.queue, error=describe(error))


def _again(task: NewTask, verdict: RetryIn, now: datetime) -> NewTask:
    most = task.max_retry + (not verdict.spends)
    return replace(task, retry=task.retry + 1, max_retry=most, due=now + verdict.delay)
