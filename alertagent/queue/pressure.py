"""Back-pressure: whether a queue can take more.

A loop measures once a second, so that producers, who ask for every request, are answered from memory.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from alertagent.kernel.errors import Unavailable
from alertagent.queue.loops import forever
from alertagent.queue.statistics import QueueStatistics, Statistics

MEASURE_EVERY = timedelta(seconds=1)
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Past one of these a queue is full: so many tasks wait, or the oldest has waited so long."""

    depth: int = 50_000
    oldest: timedelta = timedelta(hours=1)


class Pressure:
    """Measures queues while it runs; `bounds` goes by queue. `measured` hears of each measurement, and whether the
    queue is full."""

    def __init__(
        self,
        statistics: Statistics,
        *,
        bounds: Mapping[str, Bounds] | None = None,
        measured: Callable[[QueueStatistics, bool], None] = lambda _found, _is_full: None,
    ) -> None:
        self._statistics = statistics
        self._bounds = bounds or {}
        self._measured = measured
        self._full: dict[str, Unavailable] = {}

    async def run(self) -> None:
        await forever("measure", self._step, queue="*")

    async def _step(self) -> None:
        await self.measure()
        await asyncio.sleep(MEASURE_EVERY.total_seconds() * random.uniform(0.8, 1))

    async def measure(self) -> None:
        """Look at all queues once."""
        for queue, found in (await self._statistics.read()).items():
            verdict = judge(found, self._bounds[queue]) if queue in self._bounds else None
            self._measured(found, verdict is not None)
            if verdict is None:
                self._full.pop(queue, None)
            else:
                self._full[queue] = verdict

    def require_room(self, queue: str) -> None:
        """Raises Unavailable when the queue was full at the last measurement."""
        if full := self._full.get(queue):
            raise Unavailable(full.message, code=full.code, retry_after=full.retry_after)


def judge(found: QueueStatistics, bounds: Bounds) -> Unavailable | None:
    """Why this queue should get no more for now, and when it could at the rate of these seconds.

    Age says that the workers are stuck, unless there is another reason: the queue is paused, or Redis is away.
    """
    works = found.redis is not None and not found.paused
    if found.depth > bounds.depth:
        reason = f"{found.depth} tasks wait"
    elif works and found.oldest > bounds.oldest:
        reason = f"the oldest task has waited for {round(found.oldest.total_seconds())} s"
    else:
        return None
    excess = max(0, found.depth - bounds.depth)
    wait = timedelta(seconds=excess / found.rate) if found.rate else LONGEST
    return Unavailable(
        f"the queue {found.queue} is full: {reason}", code="queue.full", retry_after=min(LONGEST, max(SHORTEST, wait))
    )
