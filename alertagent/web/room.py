"""How much of what is posted may be in hand at once: bodies that arrive, are read, or wait until they are stored.

A body counts from its first byte to its answer, and as what has come of it, not as what was announced: who sends slowly
takes up little. Whoever finds no room waits for some, in the order of coming, and its connection waits with it; only
after a while is it told to come again. One body may always go on beyond the bound, so that none is too large for ever
and bodies that are half here never wait for each other alone.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

from alertagent.kernel.errors import TimedOut, Unavailable

# How long a body may take to arrive, and how long where others wait for the room that it takes up.
ARRIVAL = timedelta(seconds=10)
HURRIED_ARRIVAL = timedelta(seconds=2)

# Prometheus gives up after ten seconds, and a commit may take four of these.
PATIENCE = timedelta(seconds=5)
# A connection holds up to 384 KiB that nobody has read.
MOST_WAITING = 200
COME_AGAIN = timedelta(seconds=5)
BUSY = "process.busy"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bound:
    """What the routes that name it may have in hand together, in each process.

    `limit` counts bytes, of a body that is whole as many as `weigh` says: those of memory that it is about to become.
    """

    limit: int
    patience: timedelta = PATIENCE
    weigh: Callable[[bytes], int] = len


# A full one holds sixteen bodies of the ordinary limit, or thousands as they are.
ORDINARY = Bound(limit=16 * 1024 * 1024)

# Files that are read take many times their size, and minutes; a large one is taken in alone.
FILES = Bound(limit=4 * 1024 * 1024, patience=timedelta(seconds=30))


class Room:
    """What is in hand, and who waits."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound
        self._taken = 0
        self._whole = 0
        self._beyond: Entry | None = None
        self._arriving: set[Entry] = set()
        self._waiting: deque[tuple[Entry, int, asyncio.Future[None]]] = deque()

    def entry(self) -> "Entry":
        return Entry(self, self._bound)

    def busy(self) -> Unavailable:
        return Unavailable(
            f"{self._taken:,} bytes of what others sent are still worked on, and {len(self._waiting)} wait; send again",
            code=BUSY,
            retry_after=COME_AGAIN,
        )

    def begin(self, entry: "Entry") -> None:
        self._arriving.add(entry)
        if self._waiting:
            entry.hurry()

    def end(self, entry: "Entry") -> None:
        self._arriving.discard(entry)

    def admits(self, entry: "Entry", size: int) -> bool:
        """Whether there is room at once; then it is taken."""
        return (not self._waiting or entry is self._beyond) and self._fits(entry, size)

    async def wait(self, entry: "Entry", size: int) -> None:
        """Take room once there is some."""
        if len(self._waiting) >= MOST_WAITING:
            raise self.busy()
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._waiting:
            for other in self._arriving:
                other.hurry()
        waiter = (entry, size, granted)
        self._waiting.append(waiter)
        try:
            await granted
        except asyncio.CancelledError:
            with suppress(ValueError):  # it was granted meanwhile, and the entry gives it back
                self._waiting.remove(waiter)
            self._wake()
            raise

    def settle(self, entry: "Entry") -> None:
        """It is whole: from here on it ends without more room."""
        self._whole += 1
        self._return_beyond(entry)

    def leave(self, entry: "Entry", held: int, *, is_whole: bool) -> None:
        self._taken -= held
        self._whole -= is_whole
        self._return_beyond(entry)

    def _return_beyond(self, entry: "Entry") -> None:
        if self._beyond is entry:
            self._beyond = None
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            entry, size, granted = self._waiting[0]
            if not granted.cancelled():
                if not self._fits(entry, size):
                    return
                granted.set_result(None)
            self._waiting.popleft()

    def _fits(self, entry: "Entry", size: int) -> bool:
        """Beyond the bound goes one that is not whole, while no other that is whole will make room by itself."""
        if self._taken + size > self._bound.limit and self._beyond is not entry:
            if self._whole or self._beyond is not None:
                return False
            self._beyond = entry
        self._taken += size
        entry.held += size
        return True


class Entry:
    """One body's part of a room, left at the end of the block."""

    __slots__ = ("_bound", "_deadline", "_is_hurried", "_is_whole", "_patience", "_room", "held")

    def __init__(self, room: Room, bound: Bound) -> None:
        self._room = room
        self._bound = bound
        self._deadline: asyncio.Timeout | None = None
        self._patience = bound.patience.total_seconds()
        self._is_hurried = False
        self._is_whole = False
        self.held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.held:
            self._room.leave(self, self.held, is_whole=self._is_whole)

    @asynccontextmanager
    async def arriving(self) -> AsyncIterator[None]:
        """While the sender is waited for. Raises TimedOut, or Unavailable where others wait for what it takes up."""
        try:
            async with asyncio.timeout(ARRIVAL.total_seconds()) as self._deadline:
                self._room.begin(self)
                yield
        except TimeoutError as error:
            if self._is_hurried:
                raise Unavailable(
                    "the body came too slowly while others wait for room; send again", code=BUSY, retry_after=COME_AGAIN
                ) from error
            raise TimedOut(f"the body did not arrive within {ARRIVAL.total_seconds():g} s") from error
        finally:
            self._deadline = None
            self._room.end(self)

    def hurry(self) -> None:
        if not self._is_hurried:
            self._is_hurried = True
            self._put_off(HURRIED_ARRIVAL - ARRIVAL)

    async def take(self, size: int) -> None:
        """Room for more bytes of the body. Raises Unavailable."""
        if size > 0 and not self._room.admits(self, size):
            await self._wait(size)

    async def take_whole(self, body: bytes) -> None:
        """Room for all that the body will become, now that it is whole. Raises Unavailable."""
        await self.take(self._bound.weigh(body) - self.held)
        if self.held:
            self._is_whole = True
            self._room.settle(self)

    async def _wait(self, size: int) -> None:
        """What one waits for here is not the sender's fault."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._put_off(self._bound.patience)
        try:
            async with asyncio.timeout(self._patience):
                await self._room.wait(self, size)
        except TimeoutError as error:
            raise self._room.busy() from error
        waited = loop.time() - began
        self._patience -= waited
        self._put_off(timedelta(seconds=waited) - self._bound.patience)

    def _put_off(self, by: timedelta) -> None:
        deadline = self._deadline
        if deadline is not None and not deadline.expired() and (when := deadline.when()) is not None:
            deadline.reschedule(when + by.total_seconds())
