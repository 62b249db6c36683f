"""How a pool reads: all streams at once, and by priority while several of them have a backlog.

The script that reads by priority costs Redis three times as much as a plain read, which in turn cannot say which stream
goes first. As long as one stream alone has something, they come to the same.

What Redis has sent on a connection that broke is pending for us without our knowing. So whenever a read fails,
the reader joins anew: it makes the consumer group if that is gone, notes how far the streams have come (older
entries are not certain any more) and takes up what is pending for it and not in its hands.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from typing import Any

from alertagent.queue import streams
from alertagent.queue.admission import Admission
from alertagent.queue.holdings import LOW_FIRST, order
from alertagent.queue.station import Station
from alertagent.queue.streams import BLOCK, GROUP, LEVELS, Fields

_OWN = 10_000
GATHER = 0.002

Position = tuple[int, int]


class Reader:
    """Reads new entries for one pool, as long as that is `open`."""

    def __init__(self, station: Station, admission: Admission, open: asyncio.Event) -> None:
        self._station = station
        self._open = open
        self._keys = station.keys
        self._redis = station.redis
        self._holdings = station.holdings
        self._admission = admission
        self._level_of = {self._keys.stream(level).encode(): level for level in LEVELS}
        self._before: dict[int, Position] = {}
        self._joined = False
        self._several = True
        self._alone = False
        self._full = False
        self._reads = 0

    async def step(self) -> None:
        """Read once, waiting for room and for something to read."""
        try:
            if not self._joined:
                await self._join()
            await self._open.wait()
            room = await self._room()
            self._reads += 1
            # Now and then all streams alike: that none starves, and to see whether one alone has something.
            if self._several and (self._reads % LOW_FIRST or room < len(LEVELS)):
                await self._read_by_priority(room)
            else:
                await self._read_alike(room)
        except BaseException:
            self._joined = False
            raise

    async def _room(self) -> int:
        room = await self._holdings.wait_for_room()
        if self._full and 2 * room < self._holdings.concurrency:
            # Room comes one by one. So much lies ready that nobody waits while more comes together.
            await asyncio.sleep(GATHER)
            room = await self._holdings.wait_for_room()
        return room

    async def _join(self) -> None:
        await streams.join(self._redis, self._keys)
        await streams.load(self._redis)
        for level in LEVELS:
            info = await self._redis.xinfo_stream(self._keys.stream(level))
            self._before[level] = _position(info["last-generated-id"])
        async for level, entry, fields in self.unseen():
            self._admission.admit(level, entry, fields, deliveries=2, certain=False)
        self._admission.flush()
        self._joined = self._several = True

    async def unseen(self) -> AsyncIterator[tuple[int, bytes, Fields]]:
        """The entries that are pending for us and not in our hands."""
        # XREADGROUP from 0 would count a delivery of everything that runs here, and bury long tasks as crashed.
        station = self._station
        for level in LEVELS:
            stream = self._keys.stream(level)
            pending: Any = await self._redis.xpending_range(stream, GROUP, "-", "+", _OWN, station.consumer)
            entries = [item["message_id"] for item in pending if (level, item["message_id"]) not in self._holdings]
            if entries:
                claimed: Any = await self._redis.xclaim(stream, GROUP, station.consumer, 0, entries)
                for entry, fields in claimed:
                    if fields is not None:  # deleted meanwhile
                        yield level, entry, fields

    async def _read_by_priority(self, room: int) -> None:
        """Fill the room from the highest priority down."""
        levels = order(self._reads)
        wanted = [self._keys.stream(level) for level in levels]
        found = await streams.read(self._redis, wanted, GROUP, self._station.consumer, room)
        for number, entries in found:
            self._admit(levels[number - 1], [(entry, streams.named(fields)) for entry, fields in entries])
        self._admission.flush()
        self._several = self._full = sum(len(entries) for _, entries in found) >= room
        self._alone = False

    async def _read_alike(self, room: int) -> None:
        """The same number from each stream at most, waiting for a first entry."""
        # All together fill the room; what is alone may have it for itself.
        count = room if self._alone else max(1, room // len(LEVELS))
        wanted: dict[Any, Any] = dict.fromkeys(self._keys.streams, ">")
        answer: Any = await self._redis.xreadgroup(GROUP, self._station.consumer, wanted, count=count, block=BLOCK)
        found = [(self._level_of[stream], entries) for stream, entries in answer or ()]
        for level, entries in found:
            self._admit(level, entries)
        self._admission.flush()
        self._full = any(len(entries) >= count for _, entries in found)
        self._alone = len(found) == 1
        self._several = self._full and not self._alone

    def _admit(self, level: int, entries: Sequence[tuple[bytes, Fields]]) -> None:
        # In one answer every entry is younger than the one before it.
        certain_from = bisect_right(entries, self._before[level], key=_age)
        for place, (entry, fields) in enumerate(entries):
            self._admission.admit(level, entry, fields, deliveries=1, certain=place >= certain_from)


def _age(item: tuple[bytes, Fields]) -> Position:
    return _position(item[0])


def _position(entry: bytes) -> Position:
    milliseconds, _, sequence = entry.partition(b"-")
    return int(milliseconds), int(sequence)
