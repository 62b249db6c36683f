"""How tasks come in: a row in the caller's transaction, then a ring at Redis.

The row is the promise, the ring only makes it fast. So a ring never fails or delays its caller, and one that
could not be delivered is dropped: the reconciler finds the row. For the same reason nothing is sent twice: a ring
whose answer was lost may have been heard.

A task that is not durable has no row: its ring is all there is, and its caller waits for it.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alertagent.kernel.errors import Unavailable
from alertagent.queue import streams
from alertagent.queue.ledger import Ledger
from alertagent.queue.loops import cancel, forever
from alertagent.queue.observer import NullObserver, Observer
from alertagent.queue.options import HORIZON
from alertagent.queue.pressure import Pressure
from alertagent.queue.streams import Keys, member
from alertagent.queue.task import NewTask
from alertagent.storage.database import Transaction

BATCH = 1000
CAPACITY = 50_000
# The reconciler takes a row that is older than its `settling` for lost; a ring must not come after that.
STALE = timedelta(seconds=3)

log = structlog.get_logger()


class _Receipt:
    """Tells whoever waits that all of some rings were heard, or that one may not have been."""

    def __init__(self, rings: int) -> None:
        self._left = rings
        self._complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        await self._complete

    def heard(self) -> None:
        self._left -= 1
        if not self._left and not self._complete.done():
            self._complete.set_result(None)

    def lost(self) -> None:
        if not self._complete.done():
            problem = "Redis did not take the task in time, or has not said so"
            self._complete.set_exception(Unavailable(problem, code="queue.unavailable", retry_after=STALE))


@dataclass(frozen=True, slots=True)
class _Ring:
    """`receipt` is there where somebody waits."""

    task: NewTask
    at: float
    receipt: _Receipt | None = None


class Producer:
    """Writes tasks and rings for them, the latter while it is `running()`: without that, tasks start late.

    With `pressure`, which it runs too, it knows when a queue is full.
    """

    def __init__(
        self, redis: Redis, ledger: Ledger, *, observer: Observer | None = None, pressure: Pressure | None = None
    ) -> None:
        self._redis = redis
        self._ledger = ledger
        self._observer = observer or NullObserver()
        self._pressure = pressure
        self._rings: deque[_Ring] = deque()
        self._rung = asyncio.Event()
        self._wakers: dict[str, Callable[[], None]] = {}

    async def enqueue(self, tx: Transaction, *tasks: NewTask) -> Sequence[NewTask]:
        """Write the tasks in this transaction; they start once it has committed and they are due.

        Returns those that were written: not one whose dedup key an open task has.
        """
        if not all(task.durable for task in tasks):
            raise ValueError("a task that is not durable has no row: send it")
        written = await self._ledger.insert(tx, tasks) if tasks else ()
        if written:
            tx.after_commit(lambda: self.announce(written))
        return written

    def require_room(self, queue: str) -> None:
        """Raises Unavailable with a `retry_after` when the queue is full. Costs nothing: it was measured before."""
        if self._pressure is not None:
            self._pressure.require_room(queue)

    def announce(self, tasks: Iterable[NewTask]) -> None:
        """Ring for tasks whose rows are committed: never fails, never waits."""
        self._ring(tasks)

    async def send(self, *tasks: NewTask) -> None:
        """Hand tasks that are not durable to Redis, and wait until it has them.

        Raises Unavailable when that cannot be told: it may have them all the same.
        """
        if any(task.durable for task in tasks):
            raise ValueError("a durable task needs its row: enqueue it")
        if tasks:
            receipt = _Receipt(len(tasks))
            self._ring(tasks, receipt)
            await receipt.wait()

    def _ring(self, tasks: Iterable[NewTask], receipt: _Receipt | None = None) -> None:
        now = asyncio.get_running_loop().time()
        self._rings.extend(_Ring(task, now, receipt) for task in tasks)
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
            loops = [group.create_task(forever("announce", self._step, queue="*"))]
            if self._pressure is not None:
                loops.append(group.create_task(self._pressure.run()))
            try:
                yield self
            finally:
                await self._deliver()
                await cancel(loops)

    async def _step(self) -> None:
        await self._rung.wait()
        self._rung.clear()
        await self._deliver()

    async def _deliver(self) -> None:
        # Whoever rings while one batch travels rides with the next.
        while self._rings:
            rings = self._fresh([self._rings.popleft() for _ in range(min(BATCH, len(self._rings)))])
            try:
                await self._send([ring.task for ring in rings])
            except (RedisError, OSError) as error:
                self._drop(rings)
                log.warning("announcement.dropped", count=len(rings), error=f"{type(error).__name__}: {error}")
            else:
                for ring in rings:
                    if ring.receipt is not None:
                        ring.receipt.heard()

    def _fresh(self, rings: Sequence[_Ring]) -> list[_Ring]:
        oldest = asyncio.get_running_loop().time() - STALE.total_seconds()
        self._drop([ring for ring in rings if ring.at < oldest])
        return [ring for ring in rings if ring.at >= oldest]

    async def _send(self, tasks: Sequence[NewTask]) -> None:
        now = datetime.now(UTC)
        ready: defaultdict[tuple[str, int], list[bytes]] = defaultdict(list)
        delayed: defaultdict[str, dict[bytes, int]] = defaultdict(dict)
        for task in tasks:
            if task.due is None or task.due <= now:
                ready[task.queue, task.priority].append(task.envelope)
            elif task.due - now <= HORIZON or not task.durable:
                delayed[task.queue][member(task.priority, task.envelope)] = milliseconds(task.due)
        await fill(self._redis, ready, delayed)
        for queue in delayed.keys() & self._wakers.keys():
            self._wakers[queue]()

    def _drop(self, rings: Sequence[_Ring]) -> None:
        for ring in rings:
            self._observer.announcements_dropped(ring.task.queue, 1)
            if ring.receipt is not None:
                ring.receipt.lost()


async def fill(
    redis: Redis, ready: Mapping[tuple[str, int], Sequence[bytes]], delayed: Mapping[str, Mapping[bytes, int]]
) -> None:
    """Put envelopes into the streams, by queue and priority, and into the delayed sets, by queue.

    One command for each: to read an answer for every entry would cost more than to write them all.
    """
    for (queue, priority), envelopes in ready.items():
        await streams.add(redis, [Keys(queue).stream(priority)], *envelopes)
    for queue, members in delayed.items():
        await redis.zadd(Keys(queue).delayed, dict(members))


def milliseconds(moment: datetime) -> int:
    """Unix time, rounded up: a task never starts before it is due."""
    return ceil(moment.timestamp() * 1000)
