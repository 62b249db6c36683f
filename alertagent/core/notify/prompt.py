"""First attempts that are made at once, by the look that plans them.

A delivery is a row before anybody is called, and mostly the first attempt is all it needs. So the task of the look goes
on to make it, with what it has in its hands, and only what failed becomes a task of its own. Until then the delivery
names the task that works on it: should that be run again, after its process died, what it has left gets tasks.

Only where nothing has to be weighed first: a channel with a rate, a pool or threads, one that is left alone, and what
is late go by tasks at once. So does everything while this process has enough in its hands.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import perf_counter

from alertagent.core.notify.channels import channel_of, sql
from alertagent.core.notify.deliver import Deliveries
from alertagent.core.notify.digests import LOOK_FROM
from alertagent.core.notify.kinds import DELIVER, RETRIES, deliver_task
from alertagent.core.notify.look import Tell
from alertagent.core.notify.model import Channel, Delivery
from alertagent.core.notify.records import Planned, delivery_to_make
from alertagent.core.notify.robots import Robots
from alertagent.kernel.clock import Clock
from alertagent.queue.begun import Begun, Failed
from alertagent.queue.producer import Producer
from alertagent.storage.database import Transaction
from alertagent.storage.seals import Seals

# So many messages of one look are on their way to one channel at the same time.
LANES = 32

# Deliveries of more alerts than these are not held in memory; what goes beyond are tasks.
IN_HAND = 2000

# Whoever is about to look waits this long for room: tasks for what will be told in a moment would cost more.
PATIENCE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Plans:
    """Deliveries as they are planned: each is begun by its planner, or has a task of its own."""

    begun: Sequence[Planned]
    by_task: Sequence[Delivery]


class Prompt:
    """Chooses what is told at once, and tells it.

    Not more than `most` alerts are held in memory; whoever finds no room waits with `patience`.
    """

    def __init__(
        self, deliveries: Deliveries, robots: Robots, *, begun: Begun, producer: Producer, seals: Seals, clock: Clock
    ) -> None:
        self._deliveries = deliveries
        self._robots = robots
        self._begun = begun
        self._producer = producer
        self._seals = seals
        self._clock = clock
        self.most = IN_HAND
        self.patience = PATIENCE
        self._in_hand = 0
        self._told = asyncio.Event()

    async def room(self) -> None:
        """Wait a moment while enough is in hand; then what is planned goes by tasks."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.patience.total_seconds()):
                while self._in_hand >= self.most > 0:
                    self._told.clear()
                    await self._told.wait()

    async def sorted(self, transaction: Transaction, tells: Sequence[Tell], now: datetime) -> Plans:
        """Which of these are told at once. What is, the caller hands to `tell` when its transaction has committed."""
        channels = await self._channels(transaction, {tell.channel_id for tell in tells})
        begun, by_task, room = list[Planned](), list[Delivery](), self.most - self._in_hand
        for tell in tells:
            delivery, channel = delivery_to_make(tell, now), channels.get(tell.channel_id)
            is_late = now - delivery.due_at >= LOOK_FROM
            if channel is None or is_late or len(tell.alerts) > room:
                by_task.append(delivery)
            else:
                room -= len(tell.alerts)
                begun.append(Planned(delivery=delivery, channel=channel, is_on=True, alerts=tell.alerts))
        return Plans(begun, by_task)

    @contextlib.asynccontextmanager
    async def telling(self, by: str) -> AsyncIterator[Callable[[Sequence[Planned]], None]]:
        """Make first attempts beside the block, which plans more; all of them have been made at its end."""
        under_way: list[asyncio.Task[None]] = []

        def tell(planned: Sequence[Planned]) -> None:
            if planned:
                under_way.append(asyncio.create_task(self.tell(planned, by)))

        try:
            yield tell
        except asyncio.CancelledError:
            for one in under_way:
                one.cancel()
            raise
        finally:
            # What was planned is told, whatever becomes of the rest.
            ends = await asyncio.gather(*under_way, return_exceptions=True)
        for end in ends:
            if end is not None:
                raise end

    async def tell(self, planned: Sequence[Planned], by: str) -> None:
        """Make the first attempts at what the task `by` has planned."""
        size = sum(len(one.alerts) for one in planned)
        self._in_hand += size
        try:
            # One channel's trouble cancels nothing that is on its way to another.
            ends = await asyncio.gather(
                *(self._tell(some, by) for some in _by_channel(planned)), return_exceptions=True
            )
        finally:
            self._in_hand -= size
            self._told.set()
        for end in ends:
            if end is not None:
                raise end

    async def resume(self, transaction: Transaction, groups: Collection[str], tasks: Collection[str]) -> None:
        """These tasks are run again: what they have begun in these groups and not ended goes on by tasks of its own."""
        rows = await transaction.fetch(sql.leave_begun_of_groups, list(groups), list(tasks))
        await self._producer.enqueue(transaction, *(deliver_task(row["id"]) for row in rows))

    async def _channels(self, transaction: Transaction, ids: Collection[str]) -> Mapping[str, Channel]:
        """Those that may be told at once."""
        if not ids or self._in_hand >= self.most:
            return {}
        rows = await transaction.fetch(sql.channels_to_tell, list(ids))
        channels = [channel_of(row, self._seals) for row in rows if row["is_on"]]
        return {channel.id: channel for channel in channels if await self._robots.is_unhindered(channel, transaction)}

    async def _tell(self, planned: Sequence[Planned], by: str) -> None:
        """Tell one channel."""
        waiting, ended = iter(planned), _Ended()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(LANES, len(planned))):
                group.create_task(self._lane(waiting, ended))
        self._begun.completed(DELIVER, ended.seconds, ended.waited)
        if ended.failed:
            await self._begun.failed(ended.failed, rule=RETRIES, by=by, claim=partial(_claim, by=by))

    async def _lane(self, waiting: Iterator[Planned], ended: "_Ended") -> None:
        for planned in waiting:
            id, began = planned.delivery.id, perf_counter()
            waited = max((self._clock.now() - planned.delivery.due_at).total_seconds(), 0.0)
            try:
                await self._deliveries.attempt(planned, is_last_attempt=False)
            except Exception as error:  # noqa: BLE001 - whatever it is, the task that goes on knows it
                seconds = perf_counter() - began
                ended.failed.append(Failed(task=deliver_task(id), error=error, seconds=seconds, waited=waited))
            else:
                ended.seconds.append(perf_counter() - began)
                ended.waited.append(waited)


@dataclass(slots=True)
class _Ended:
    """Attempts of one channel: how long those took and how late those began that were all there was to do."""

    seconds: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)


def by_tasks(tells: Iterable[Tell], now: datetime) -> Plans:
    """All of these by tasks of their own."""
    return Plans((), [delivery_to_make(tell, now) for tell in tells])


async def _claim(transaction: Transaction, ids: Sequence[str], *, by: str) -> list[str]:
    return [row["id"] for row in await transaction.fetch(sql.leave_begun, ids, by)]


def _by_channel(planned: Iterable[Planned]) -> list[list[Planned]]:
    found: dict[str, list[Planned]] = {}
    for one in planned:
        found.setdefault(one.channel.id, []).append(one)
    return list(found.values())
