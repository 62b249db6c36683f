"""How many large answers are made at once, and how long one waits for its turn."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from alertagent.kernel.errors import Unavailable

# Whoever asks for more alerts than this waits for a place among the large answers, and not for longer than this.
SMALL = 1_000
AT_ONCE = 2
PATIENCE = timedelta(seconds=30)

Count = Callable[[int], Awaitable[None]]


class Places:
    """A few places for large answers."""

    def __init__(self, patience: timedelta = PATIENCE) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)
        self._patience = patience

    @asynccontextmanager
    async def answer(self) -> AsyncIterator[Count]:
        """An answer that is being made; it tells how many alerts it read, and waits once they are many.

        Raises Unavailable.
        """
        read, is_large = 0, False

        async def count(more: int) -> None:
            nonlocal read, is_large
            read += more
            if read >= SMALL and not is_large:
                await self._taken()
                is_large = True

        try:
            yield count
        finally:
            if is_large:
                self._free.release()

    async def _taken(self) -> None:
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await self._free.acquire()
        except TimeoutError as error:
            raise Unavailable(
                f"{AT_ONCE} answers of thousands of alerts are being made already; ask again, or for fewer by a filter",
                code="alerts.busy",
                retry_after=self._patience,
            ) from error
