"""How tasks come in: a row in the caller's transaction, then a ring at Redis.

The row is the promise, the ring only makes it fast. So a ring never fails or delays its caller, and one that
could not be delivered is dropped: the reconciler finds the row. For the same reason nothing is sent twice: a ring
whose answer was lost may have been heard.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alertagent.queue import streams
from alertagent.queue.ledger import Ledger
from alertagent.queue.loops import cancel, forever
from alertagent.queue.observer import NullObserver, Observer
from alertagent.queue.options import HORIZON
from alertagent.queue.streams import FIELD, Keys, member
from alertagent.queue.task import NewTask
from alertagent.storage.database import Transaction

BATCH = 1000
CAPACITY = 50_000
# The reconciler takes a row that is older than its `settling` for lost; a ring must not come after that.
STALE = timedelta(seconds=3)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Ring:
    task: NewTask
    at: float


class Producer:
    """Writes tasks and rings for them, the latter while it is `running()`: without that, tasks start late."""

    def __init__(self, redis: Redis, ledger: Ledger, *, observer: Observer | None = None) -> None:
        self._redis = redis
        self._ledger = ledger
        self._observer = observer or NullObserver()
        self._rings: deque[_Ring] = deque()
        self._rung = asyncio.Event()
        self._wakers: dict[str, Callable[[], None]] = {}

    async def enqueue(self, tx: Transaction, *tasks: NewTask) -> None:
        """Write the tasks in this transaction; they start once it has committed and they are due."""
        if tasks:
            await self._ledger.insert(tx, tasks)
            tx.after_commit(lambda: self.announce(tasks))

    def announce(self, tasks: Iterable[NewTask]) -> None:
        """Ring for tasks whose rows are committed: never fails, never waits."""
        now = asyncio.get_running_loop().time()
        self._rings.extend(_Ring(task, now) for task in tasks)
        while len(self._rings) > CAPACITY:
            self._drop([self._rings.popleft()])
        self._rung.set()

    def on_delayed(self, queue: str, wake: Callable[[], None]) -> None:
        """Call this whenever a task of the queue was added that is due a little later."""
        self._wakers[queue] = wake

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Producer"]:
        """Ring as long as the block lasts, and for what was announced until its end."""
        async with asyncio.TaskGroup() as group:
            ringing = group.create_task(forever("announce", self._step, queue="*"))
            try:
                yield self
            finally:
                await self._deliver()
                await cancel([ringing])

    async def _step(self) -> None:
        await self._rung.wait()
        self._rung.clear()
        await self._deliver()

    async def _deliver(self) -> None:
        # Whoever rings while one batch travels rides with the next.
        while self._rings:
            rings = [self._rings.popleft() for _ in range(min(BATCH, len(self._rings)))]
            try:
                await self._send(self._fresh(rings))
            except (RedisError, OSError) as error:
                self._drop(rings)
                log.warning("announcement.dropped", count=len(rings), error=f"{type(error).__name__}: {error}")

    def _fresh(self, rings: Sequence[_Ring]) -> list[NewTask]:
        oldest = asyncio.get_running_loop().time() - STALE.total_seconds()
        self._drop([ring for ring in rings if ring.at < oldest])
        return [ring.task for ring in rings if ring.at >= oldest]

    async def _send(self, tasks: Sequence[NewTask]) -> None:
        now = datetime.now(UTC)
        delayed = set()
        async with streams.pipeline(self._redis) as pipeline:
            for task in tasks:
                keys = Keys(task.queue)
                if task.due is None or task.due <= now:
                    pipeline.xadd(keys.stream(task.priority), {FIELD: task.envelope})
                elif task.due - now <= HORIZON:
                    pipeline.zadd(keys.delayed, {member(task.priority, task.envelope): milliseconds(task.due)})
                    delayed.add(task.queue)
            await pipeline.execute()
        for queue in delayed & self._wakers.keys():
            self._wakers[queue]()

    def _drop(self, rings: Sequence[_Ring]) -> None:
        for ring in rings:
            self._observer.announcements_dropped(ring.task.queue, 1)


def milliseconds(moment: datetime) -> int:
    """Unix time, rounded up: a task never starts before it is due."""
    return ceil(moment.timestamp() * 1000)
