"""Tasks that wait: a sorted set per queue, from which a script moves what is due into the streams.

A loop asks for what is due and sleeps exactly until the next one. Another process may add an earlier one
meanwhile, so it never sleeps longer than half a second.
"""

import asyncio

from redis.asyncio import Redis

from alertagent.queue import streams
from alertagent.queue.loops import forever
from alertagent.queue.streams import Keys

BATCH = 100
SHORTEST, LONGEST = 0.01, 0.5


class Promoter:
    """Promotes the delayed tasks of one queue."""

    def __init__(self, queue: str, redis: Redis) -> None:
        self._queue = queue
        self._keys = Keys(queue)
        self._redis = redis
        self._woken = asyncio.Event()

    async def run(self) -> None:
        await forever("delayed", self._step, queue=self._queue)

    def wake(self) -> None:
        """Tell that an earlier task may have been added."""
        self._woken.set()

    async def _step(self) -> None:
        self._woken.clear()
        pause = await self.promote()
        if pause <= 0:
            return
        try:
            async with asyncio.timeout(min(LONGEST, max(SHORTEST, pause))):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def promote(self) -> float:
        """Move what is due, a batch at most; returns the seconds until the next is due."""
        keys = [self._keys.delayed, *(self._keys.stream(level) for level in (0, 1, 2))]
        milliseconds = int(await streams.promote(self._redis, keys, BATCH))
        return LONGEST if milliseconds < 0 else milliseconds / 1000
