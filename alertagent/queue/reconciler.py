"""Makes Redis agree with the ledger.

A pass does two things for each queue. It moves rows whose long wait is nearly over into Redis. And it repairs what
Redis has lost: a crash between COMMIT and the ring, a flush, a fail-over, an old file. For that it reads which tasks
Redis has, *then* which ones the ledger wants there; in the other order a task that was just put off or written would
seem lost. What it adds is marked `again`, so that the worker asks the ledger before it runs it.

A stream that is merely behind must not be flooded with copies of itself: with many entries in Redis a pass repairs
nothing, because nothing can be told cheaply and nothing is urgent. Only when the epoch key is gone too, everything is
gone, and the pass reads whatever is there.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from redis.asyncio import Redis

from alertagent.kernel.ids import new_id
from alertagent.queue import streams
from alertagent.queue.ledger import Entry, Ledger
from alertagent.queue.loops import forever
from alertagent.queue.observer import NullObserver, Observer
from alertagent.queue.options import HORIZON, QueueOptions
from alertagent.queue.producer import fill, milliseconds
from alertagent.queue.streams import FIELD, Keys, member
from alertagent.queue.task import clamp, encode, identify
from alertagent.storage.database import Transaction

BEHIND = 5000
# Of what is only looked through: what a page leaves behind tears the heap.
PAGE = 100
DELETED_AT_ONCE = 500
RETENTION_EVERY = timedelta(minutes=5)

log = structlog.get_logger()


class Reconciler:
    """Reconciles some queues; of all processes one at a time. `held` tells which tasks run here all the same."""

    def __init__(
        self,
        queues: Sequence[str],
        *,
        redis: Redis,
        ledger: Ledger,
        options: QueueOptions,
        observer: Observer | None = None,
        held: Callable[[str], Collection[str]] = lambda _: (),
    ) -> None:
        self._queues = queues
        self._redis = redis
        self._ledger = ledger
        self._options = options
        self._observer = observer or NullObserver()
        self._held = held

    async def run(self) -> None:
        """Reconcile at once and then every few seconds; delete old tasks now and then."""
        async with asyncio.TaskGroup() as group:
            for queue in self._queues:
                group.create_task(forever("reconcile", partial(self._step, queue), queue=queue))
            group.create_task(forever("retention", self._retain, queue=",".join(self._queues)))

    async def _step(self, queue: str) -> None:
        await self.reconcile(queue)
        await asyncio.sleep(self._options.reconcile_every.total_seconds() * random.uniform(0.5, 1))

    async def _retain(self) -> None:
        while await self._ledger.delete_ended(self._options.retention, DELETED_AT_ONCE) == DELETED_AT_ONCE:
            pass
        await asyncio.sleep(RETENTION_EVERY.total_seconds())

    async def reconcile(self, queue: str) -> int:
        """One pass, unless another process is at it. Returns how many tasks Redis had lost."""
        keys = Keys(queue)
        async with self._ledger.database.transaction() as tx:
            if not await self._ledger.try_lock(tx, queue):
                return 0
            # Into Redis before the commit: a failure takes the advance back, and the next pass makes it again.
            await self._add(keys, await self._ledger.advance(tx, queue, HORIZON, BEHIND))
            return await self._repair(tx, keys)

    async def _repair(self, tx: Transaction, keys: Keys) -> int:
        gone = not await self._redis.exists(keys.epoch)
        if not gone and await self._count(keys) > BEHIND:
            return 0
        # First the key: a flush in the middle of the repair takes it away again.
        await self._redis.set(keys.epoch, new_id())
        present = await self._present(keys)
        repaired = 0
        async for page in self._outstanding(tx, keys.queue, gone=gone):
            lost = [entry for entry in page if entry.id not in present]
            await self._add(keys, lost)
            repaired += len(lost)
            if repaired >= BEHIND:
                break
        self._tell(keys.queue, repaired, gone=gone)
        return repaired

    def _tell(self, queue: str, repaired: int, *, gone: bool) -> None:
        if repaired:
            log.warning("queue.repaired", queue=queue, tasks=repaired, emptied=gone)
            self._observer.tasks_repaired(queue, repaired)

    async def _count(self, keys: Keys) -> int:
        async with streams.pipeline(self._redis) as pipeline:
            for stream in keys.streams:
                pipeline.xlen(stream)
            pipeline.zcard(keys.delayed)
            lengths: list[int] = await pipeline.execute()
        return sum(lengths)

    async def _present(self, keys: Keys) -> set[str]:
        """The ids of all tasks in Redis or in our hands."""
        # The delayed first: what is promoted meanwhile is found in its stream.
        present = set(self._held(keys.queue))
        delayed: Any = self._redis.zscan_iter(keys.delayed, count=PAGE)
        async for lying, _ in delayed:
            present |= _ids([lying[1:]])
        for stream in keys.streams:
            async for envelopes in _pages(self._redis, stream):
                present |= _ids(envelopes)
        return present

    async def _outstanding(self, tx: Transaction, queue: str, *, gone: bool) -> AsyncIterator[list[Entry]]:
        """What should be in Redis: what is overdue, and after a flush also what lay in the delayed set."""
        settling = self._options.settling
        after = None
        while True:
            page = await self._ledger.outstanding(
                tx,
                queue,
                ahead=HORIZON if gone else -settling,
                settled=settling,
                after=after,
                limit=PAGE,
            )
            if page:
                yield page
            if len(page) < PAGE:
                return
            after = page[-1]

    async def _add(self, keys: Keys, entries: Sequence[Entry]) -> None:
        now = datetime.now(UTC)
        ready: defaultdict[tuple[str, int], list[bytes]] = defaultdict(list)
        delayed: dict[bytes, int] = {}
        for entry in entries:
            priority, envelope = clamp(entry.priority), encode(entry.as_task(), again=True)
            if entry.scheduled_at <= now:
                ready[keys.queue, priority].append(envelope)
            else:
                delayed[member(priority, envelope)] = milliseconds(entry.scheduled_at)
        await fill(self._redis, ready, {keys.queue: delayed} if delayed else {})


def _ids(envelopes: Iterable[bytes]) -> set[str]:
    return {id for id in map(identify, envelopes) if id is not None}


async def _pages(redis: Redis, stream: str) -> AsyncIterator[list[bytes]]:
    start = "-"
    while True:
        entries: Any = await redis.xrange(stream, start, "+", PAGE)
        if not entries:
            return
        yield [fields.get(FIELD, b"") for _, fields in entries]
        start = f"({entries[-1][0].decode()}"
