"""What waits for a provider that was left alone is told as soon as it is back, and not when its own pause is over.

It comes a little later than the breaker closes: by then every process has heard of that, and puts nothing off again.
What a process puts off before it has heard, or is just putting off, a second look finds some seconds later.
Rates hold it back as they hold back anything.
"""

import asyncio
import contextlib
from datetime import timedelta

import structlog

from alertagent.core.notify.channels import Channels, sql
from alertagent.core.notify.circuits import LOOK_EVERY, Circuits
from alertagent.kernel.errors import Problem
from alertagent.queue.tasks import Tasks
from alertagent.storage.database import Database

# By then each process has looked, and the last one that had not has written what it put off.
LOOK_AGAIN_AFTER = 3 * LOOK_EVERY

log = structlog.get_logger()


class Waking:
    """Hastens the tasks of the deliveries that wait. May be asked twice; what is never woken comes by itself."""

    def __init__(
        self,
        database: Database,
        channels: Channels,
        circuits: Circuits,
        tasks: Tasks,
        *,
        look_again_after: timedelta = LOOK_AGAIN_AFTER,
    ) -> None:
        self._database = database
        self._channels = channels
        self._circuits = circuits
        self._tasks = tasks
        self._look_again_after = look_again_after.total_seconds()
        self._closed: asyncio.Queue[tuple[float, str]] = asyncio.Queue()

    async def looking_again(self) -> None:
        """Look once more after each breaker that closed here, for as long as the process lives."""
        while True:
            due, circuit = await self._closed.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            with contextlib.suppress(Problem):  # then what waits comes by itself
                await self._wake(circuit)

    async def wake(self, circuit: str) -> None:
        """Wake all that waits for the channels of this breaker, or for those which one of these speaks for."""
        self._closed.put_nowait((asyncio.get_running_loop().time() + self._look_again_after, circuit))
        await self._wake(circuit)

    async def _wake(self, circuit: str) -> None:
        channels = await self._channels.all()
        back = {channel.name for channel in channels if self._circuits.circuit_of(channel) == circuit}
        ids = [channel.id for channel in channels if channel.name in back or not back.isdisjoint(channel.pool)]
        waiting = [row["id"] for row in await self._database.fetch(sql.waiting_deliveries, ids)]
        woken = await self._tasks.hasten(waiting, within=LOOK_EVERY)
        log.info("deliveries.woken", breaker=circuit, deliveries=woken)
