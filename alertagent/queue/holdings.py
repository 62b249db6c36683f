"""What one worker holds: entries that it has read and not yet taken out of Redis.

Held is more than running: read ahead, waiting for the ledger's word, ended but not yet written down. All of it is
leased, and all of it is bounded: when the ledger or Redis cannot take what has ended, nothing more is read.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from math import inf

from alertagent.queue.streams import LEVELS
from alertagent.queue.task import Task

MAX_ENDED = 2000
LOW_FIRST = 16  # one in so many turns goes to the lowest priority first, so that it never starves

Place = tuple[int, bytes]


class Fate(Enum):
    """Why a running task is cancelled."""

    GIVEN_BACK = auto()  # the worker stops: another one runs it again
    LOST = auto()  # another worker has taken it over and runs it already
    CANCELLED = auto()  # somebody does not want it any more
    OVERDUE = auto()  # it has run for longer than it may


@dataclass(slots=True, eq=False)
class Delivery:
    """An entry in our hands. `ended` means that its fate is decided, though perhaps not written down.

    `runner` is there while it runs. `deadline` and `seconds` go by time.perf_counter.
    """

    level: int
    entry: bytes
    envelope: bytes
    deliveries: int
    task: Task
    started_at: datetime | None = None
    deadline: float = inf
    seconds: float = 0.0
    runner: asyncio.Task[None] | None = None
    fate: Fate | None = None
    held: bool = False
    ended: bool = False

    @property
    def place(self) -> Place:
        return self.level, self.entry

    def stop(self, fate: Fate) -> None:
        """Cancel its run, once: a second time would cut short how the handler cleans up.

        Only where that takes too long, because nothing else will end it, is an overdue one cancelled again.
        """
        if self.runner is not None and self.fate in {None, Fate.OVERDUE} and fate is not self.fate:
            self.fate = fate
            self.runner.cancel()


class Holdings:
    """The deliveries of one pool; `concurrency` may run and as many again may wait."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._held: dict[int, dict[bytes, Delivery]] = {level: {} for level in LEVELS}
        self._tasks: dict[str, Delivery] = {}
        self._ready: dict[int, deque[Delivery]] = {level: deque() for level in LEVELS}
        self._starts = 0
        self._ended = 0
        self._peak = 0
        self._running: set[Delivery] = set()
        self._freed = asyncio.Event()

    def __contains__(self, place: Place) -> bool:
        level, entry = place
        return entry in self._held[level]

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    @property
    def running(self) -> set[Delivery]:
        return self._running

    @property
    def ids(self) -> list[str]:
        return list(self._tasks)

    @property
    def room(self) -> int:
        """How many more may be read."""
        in_hand = len(self) - self._ended
        return max(0, min(2 * self._concurrency - in_hand, MAX_ENDED - self._ended))

    @property
    def concurrency(self) -> int:
        return self._concurrency

    @property
    def may_start(self) -> bool:
        """Whether something waits and may run."""
        return len(self._running) < self._concurrency and any(self._ready.values())

    @property
    def is_short(self) -> bool:
        """Whether something waits that could run, were more allowed to."""
        return len(self._running) >= self._concurrency and any(self._ready.values())

    def resize(self, concurrency: int) -> None:
        """Let so many run; what runs beyond that goes on."""
        self._concurrency = concurrency
        self._freed.set()

    def peak(self) -> int:
        """The most that ran at once since this was last asked."""
        peak, self._peak = max(self._peak, len(self._running)), 0
        return peak

    async def wait_for_room(self) -> int:
        while not self.room:
            self._freed.clear()
            await self._freed.wait()
        return self.room

    def take(self, delivery: Delivery) -> bool:
        """Hold it; False when the same task is in our hands already, under another entry."""
        if delivery.task.id in self._tasks:
            return False
        self._held[delivery.level][delivery.entry] = delivery
        self._tasks[delivery.task.id] = delivery
        delivery.held = True
        return True

    def make_ready(self, delivery: Delivery) -> None:
        self._ready[delivery.level].append(delivery)

    def next(self) -> Delivery | None:
        """The next one to run, by priority and then age; None when there is none or enough are running."""
        if len(self._running) >= self._concurrency:
            return None
        self._starts += 1
        for level in order(self._starts):
            ready = self._ready[level]
            while ready:
                delivery = ready.popleft()
                if delivery.held and not delivery.ended:
                    self._running.add(delivery)
                    self._peak = max(self._peak, len(self._running))
                    return delivery
        return None

    def end(self, delivery: Delivery) -> None:
        """Its fate is decided; it stays held until that is written down."""
        self._running.discard(delivery)
        self._ended += not delivery.ended
        delivery.ended = True
        delivery.runner = None
        self._freed.set()

    def written(self, delivery: Delivery) -> None:
        """The ledger knows how it ended: another entry of the same task is its next attempt, not a duplicate."""
        if self._tasks.get(delivery.task.id) is delivery:
            del self._tasks[delivery.task.id]

    def release(self, delivery: Delivery) -> None:
        """Let go of it: it is out of Redis, or somebody else's."""
        if delivery.held:
            delivery.held = False
            self.written(delivery)
            del self._held[delivery.level][delivery.entry]
            self._ended -= delivery.ended
            self._running.discard(delivery)
            delivery.runner = None
        self._freed.set()

    def waiting(self) -> list[Delivery]:
        """What has been read and not been started; no longer ready after this."""
        ready = (one for level in self._ready.values() for one in level)
        waiting = [one for one in ready if one.held and not one.ended]
        for level in self._ready.values():
            level.clear()
        return waiting

    def entries(self, level: int) -> list[bytes]:
        return list(self._held[level])

    def of(self, task: str) -> Delivery | None:
        return self._tasks.get(task)

    def at(self, place: Place) -> Delivery | None:
        level, entry = place
        return self._held[level].get(entry)


def order(turn: int) -> tuple[int, ...]:
    """In which order to look at the priorities."""
    return LEVELS if turn % LOW_FIRST else LEVELS[::-1]
