"""Pools: coroutines that run the tasks of one queue each, so that a slow queue cannot hold up another.

A handler may run twice for one task when a worker died or stalled, and must be idempotent; the task ends once.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alertagent.kernel.clock import Clock, SystemClock
from alertagent.kernel.ids import new_id
from alertagent.queue.admission import Admission
from alertagent.queue.breadth import breathe
from alertagent.queue.delayed import Promoter
from alertagent.queue.holdings import Delivery, Fate, Holdings
from alertagent.queue.lease import Leases
from alertagent.queue.ledger import Ledger
from alertagent.queue.loops import cancel, forever
from alertagent.queue.observer import NullObserver, Observer
from alertagent.queue.options import QueueOptions
from alertagent.queue.orders import Listener
from alertagent.queue.policy import Rule, describe
from alertagent.queue.producer import Producer
from alertagent.queue.reader import Reader
from alertagent.queue.reconciler import Reconciler
from alertagent.queue.runners import Handler as Handler  # noqa: PLC0414 - part of this module's interface
from alertagent.queue.runners import Runners
from alertagent.queue.settle import GiveBack, Settler
from alertagent.queue.station import Station
from alertagent.queue.streams import FIELD, Keys

# What a stop may take after the grace: cancelled handlers clean up, then the last writes go out.
CLEANUP, WRITES = 1.0, 2.0
BREATHE_EVERY = 0.5

log = structlog.get_logger()


class Pool:
    """Runs the tasks of one queue. `handlers` and `rules` go by the type of the task.

    While it `is_behind`, because other pools of this process go first, it runs one task at a time.
    """

    def __init__(
        self,
        queue: str,
        handlers: Mapping[str, Handler],
        *,
        redis: Redis,
        ledger: Ledger,
        options: QueueOptions,
        rules: Mapping[str, Rule] | None = None,
        observer: Observer | None = None,
        clock: Clock | None = None,
        delayed: Callable[[], None] = lambda: None,
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_behind = is_behind
        self._holdings = Holdings(options.least_of(queue))
        # Held until the first orders are known: the queue may be paused.
        self._open = asyncio.Event()
        self._station = Station(
            queue=queue,
            consumer=f"{socket.gethostname()}:{os.getpid()}:{new_id()[-8:]}",
            keys=Keys(queue),
            redis=redis,
            ledger=ledger,
            holdings=self._holdings,
            options=options,
            observer=observer or NullObserver(),
        )
        self._settler = Settler(self._station, delayed=delayed)
        self._runners = Runners(
            self._station,
            self._settler,
            handlers,
            rules or {},
            clock=clock or SystemClock(),
            is_open=self._may_start,
        )
        self._admission = Admission(self._station, self._settler, types=frozenset(handlers), ready=self._go_on)
        self._reader = Reader(self._station, self._admission, self._open)
        self._leases = Leases(self._station, self._admission)
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()

    @property
    def held(self) -> Collection[str]:
        """The ids of the tasks in our hands."""
        return self._holdings.ids

    @property
    def is_short(self) -> bool:
        """Whether tasks wait because as many as may run do."""
        return self._holdings.is_short

    def hold(self, is_held: bool) -> None:
        """Start nothing while this is so, and keep nothing in hand; what runs goes on."""
        if is_held:
            self._open.clear()
        else:
            self._open.set()
        self._go_on()

    def drop(self, tasks: Collection[str]) -> None:
        """Cancel what runs of these, and do not start the others. The ledger has them as failed already."""
        self._admission.doubt(tasks)
        for delivery in filter(None, map(self._holdings.of, tasks)):
            if delivery.runner is not None:
                delivery.stop(Fate.CANCELLED)
            elif not delivery.ended:
                self._settler.cancelled(delivery)

    async def run(self) -> None:
        """Work until `stop()`."""
        try:
            async with asyncio.TaskGroup() as group:
                self._runners.begin(group)
                try:
                    await self._work(group)
                finally:
                    self._runners.end()
        finally:
            self._stopped.set()

    async def stop(self) -> None:
        """Read no more, give back what has not started, let the rest finish for the grace; returns when it is done."""
        self._stopping.set()
        await self._stopped.wait()

    async def _work(self, group: asyncio.TaskGroup) -> None:
        settler, leases = self._settler, self._leases
        writing = self._loops(group, ledger=settler.write_ledger, redis=settler.write_redis, renew=leases.renew)
        reading = self._loops(
            group,
            read=self._reader.step,
            ask=self._admission.ask,
            claim=leases.claim,
            tidy=leases.tidy,
            breathe=self._breathe,
        )
        await self._stopping.wait()
        await cancel(reading)
        await self._give_all_back()
        await self._finish()
        await self._write_the_rest()
        await cancel(writing)

    def _loops(self, group: asyncio.TaskGroup, **steps: Callable[[], Awaitable[None]]) -> list[asyncio.Task[None]]:
        queue = self._station.queue
        return [group.create_task(forever(name, step, queue=queue)) for name, step in steps.items()]

    def _go_on(self) -> None:
        """Start what is ready, or give it back while the pool is held: also what a read that had begun still brings."""
        if self._open.is_set():
            self._runners.start()
        else:
            self._give_back(self._holdings.waiting())

    def _may_start(self) -> bool:
        if not self._open.is_set() or self._stopping.is_set():
            return False
        return not (self._holdings.running and self._is_behind())

    async def _breathe(self) -> None:
        """Wait a moment, then let more or fewer run, and go on if others had to go first."""
        await asyncio.sleep(BREATHE_EVERY)
        queue, options, holdings = self._station.queue, self._station.options, self._holdings
        least, most = options.least_of(queue), options.concurrency_of(queue)
        now = breathe(holdings.concurrency, is_short=holdings.is_short, peak=holdings.peak(), least=least, most=most)
        if now != holdings.concurrency:
            holdings.resize(now)
        self._runners.start()

    def _give_back(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            self._settler.remove(delivery, GiveBack())

    async def _give_all_back(self) -> None:
        self._give_back([*self._holdings.waiting(), *self._admission.waiting()])
        try:
            async with asyncio.timeout(WRITES):
                async for level, entry, fields in self._reader.unseen():
                    self._settler.discard(level, entry, fields.get(FIELD, b""), GiveBack())
        except (RedisError, OSError) as error:
            log.warning("queue.left_behind", queue=self._station.queue, error=describe(error))

    async def _finish(self) -> None:
        await _wait(self._holdings.running, self._station.options.grace.total_seconds())
        for delivery in list(self._holdings.running):
            delivery.stop(Fate.GIVEN_BACK)
        await _wait(self._holdings.running, CLEANUP)

    async def _write_the_rest(self) -> None:
        try:
            async with asyncio.timeout(WRITES):
                await self._settler.drained()
                await self._leases.leave()
        except (RedisError, OSError) as error:  # a timeout is an OSError
            # Nothing is lost: the ledger's rows are still open, Redis hands the entries out again.
            log.warning("queue.left_behind", queue=self._station.queue, error=describe(error))


class Workers:
    """Everything that one process runs for a set of queues: their pools, promoters and the reconciler.

    `handlers` goes by queue and type. With a `producer`, tasks that it delays for a moment are promoted in time.
    """

    def __init__(
        self,
        handlers: Mapping[str, Mapping[str, Handler]],
        *,
        redis: Redis,
        ledger: Ledger,
        options: QueueOptions,
        rules: Mapping[str, Rule] | None = None,
        observer: Observer | None = None,
        clock: Clock | None = None,
        producer: Producer | None = None,
    ) -> None:
        self._first = options.first
        self._promoters = {queue: Promoter(queue, redis) for queue in handlers}
        self._pools = {
            queue: Pool(
                queue,
                by_type,
                redis=redis,
                ledger=ledger,
                options=options,
                rules=rules,
                observer=observer,
                clock=clock,
                delayed=self._promoters[queue].wake,
                is_behind=partial(self._is_behind, queue),
            )
            for queue, by_type in handlers.items()
        }
        self._reconciler = Reconciler(
            list(handlers), redis=redis, ledger=ledger, options=options, observer=observer, held=self._held
        )
        self._listener = Listener(ledger, self._pools)
        if producer is not None:
            for queue, promoter in self._promoters.items():
                producer.on_delayed(queue, promoter.wake)

    async def run(self) -> None:
        """Work until `stop()`; the other loops end with the pools."""
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(promoter.run()) for promoter in self._promoters.values()]
            helpers += [group.create_task(self._reconciler.run()), group.create_task(self._listener.run())]
            async with asyncio.TaskGroup() as pools:
                for pool in self._pools.values():
                    pools.create_task(pool.run())
            await cancel(helpers)

    async def stop(self) -> None:
        """Stop all pools at once; returns when the last has ended."""
        async with asyncio.TaskGroup() as group:
            for pool in self._pools.values():
                group.create_task(pool.stop())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Workers"]:
        """Run as long as the block lasts, then stop in order."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.run())
            try:
                yield self
            finally:
                await self.stop()

    def is_short(self, queue: str) -> bool:
        """Whether tasks of this queue wait because as many of them as may run do."""
        return queue in self._pools and self._pools[queue].is_short

    def _is_behind(self, queue: str) -> bool:
        return self._first is not None and queue != self._first and self.is_short(self._first)

    def _held(self, queue: str) -> Collection[str]:
        return self._pools[queue].held


async def _wait(deliveries: Collection[Delivery], seconds: float) -> None:
    runners = [delivery.runner for delivery in deliveries if delivery.runner is not None]
    if runners:
        await asyncio.wait(runners, timeout=seconds)
