"""The lease: what a worker holds it keeps by saying so, and what a silent worker holds is taken over.

Renewing covers everything held, also what has not started yet. Taking over goes by a timer and not by traffic,
because the worker that died may have been the only one with anything to do.
"""

import asyncio
import random
from datetime import timedelta

import structlog

from alertagent.queue import streams
from alertagent.queue.admission import Admission
from alertagent.queue.holdings import Fate
from alertagent.queue.station import Station
from alertagent.queue.streams import GROUP, LEVELS

PAGE = 128
IDLE_LEASES = 10

log = structlog.get_logger()


class Leases:
    """The leases of one pool, and those of the workers that have fallen silent."""

    def __init__(self, station: Station, admission: Admission) -> None:
        self._station = station
        self._admission = admission
        self._lease = station.options.lease
        self._cursors: dict[int, bytes] = dict.fromkeys(LEVELS, b"0-0")

    async def renew(self) -> None:
        """Wait a third of the lease, then renew it on all we hold; give up what others have taken over."""
        await asyncio.sleep(self._lease.total_seconds() / 3)
        for level in LEVELS:
            entries = self._station.holdings.entries(level)
            if entries:
                stream = self._station.keys.stream(level)
                lost = await streams.renew(self._station.redis, [stream], GROUP, self._station.consumer, *entries)
                for entry in lost:
                    self._give_up(level, entry)

    def _give_up(self, level: int, entry: bytes) -> None:
        delivery = self._station.holdings.at((level, entry))
        if delivery is None or delivery.ended:
            return
        log.warning("task.lost", id=delivery.task.id, type=delivery.task.type, queue=self._station.queue)
        if delivery.runner is None:
            self._station.holdings.release(delivery)
        else:
            delivery.stop(Fate.LOST)

    async def claim(self) -> None:
        """Wait a part of the lease, then take over from silent workers what there is room for."""
        # At most a third of the lease: with a lease that has to run out first, a crash costs 1.34 leases.
        await asyncio.sleep(self._lease.total_seconds() * random.uniform(1 / 6, 1 / 3))
        for level in LEVELS:
            room = min(self._station.holdings.room, PAGE)
            if room:
                await self._claim(level, room)

    async def _claim(self, level: int, count: int) -> None:
        station = self._station
        stream = station.keys.stream(level)
        idle = self._lease // timedelta(milliseconds=1)
        self._cursors[level], taken = await streams.claim(
            station.redis, [stream], GROUP, station.consumer, idle, self._cursors[level], count
        )
        for entry, fields, deliveries in taken:
            self._admission.admit(level, entry, streams.named(fields), deliveries=max(2, deliveries), certain=False)
        if taken:
            station.observer.tasks_claimed(station.queue, len(taken))
            self._admission.flush()

    async def tidy(self) -> None:
        """Wait a while, then remove consumers that hold nothing and have been silent for long."""
        await asyncio.sleep(self._lease.total_seconds() * random.uniform(IDLE_LEASES / 2, IDLE_LEASES))
        longest = IDLE_LEASES * self._lease / timedelta(milliseconds=1)
        for stream in self._station.keys.streams:
            for consumer in await self._station.redis.xinfo_consumers(stream, GROUP):
                if consumer["idle"] > longest and not consumer["pending"]:
                    await streams.forget(self._station.redis, [stream], GROUP, consumer["name"])

    async def leave(self) -> None:
        """Remove ourselves, unless something is still pending for us."""
        for stream in self._station.keys.streams:
            await streams.forget(self._station.redis, [stream], GROUP, self._station.consumer)
