"""What waits for a provider that was left alone is told as soon as it is back, and not when its own pause is over.

It comes a little later than the breaker closes: by then every process has heard of that, and puts nothing off again.
Rates hold it back as they hold back anything.
"""

import structlog

from alertagent.core.notify.channels import Channels, sql
from alertagent.core.notify.circuits import LOOK_EVERY, Circuits
from alertagent.queue.tasks import Tasks
from alertagent.storage.database import Database

log = structlog.get_logger()


class Waking:
    """Hastens the tasks of the deliveries that wait. May be asked twice; what is never woken comes by itself."""

    def __init__(self, database: Database, channels: Channels, circuits: Circuits, tasks: Tasks) -> None:
        self._database = database
        self._channels = channels
        self._circuits = circuits
        self._tasks = tasks

    async def wake(self, circuit: str) -> None:
        """Wake all that waits for the channels of this breaker, or for those which one of these speaks for."""
        channels = await self._channels.all()
        back = {channel.name for channel in channels if self._circuits.circuit_of(channel) == circuit}
        ids = [channel.id for channel in channels if channel.name in back or not back.isdisjoint(channel.pool)]
        waiting = [row["id"] for row in await self._database.fetch(sql.waiting_deliveries, ids)]
        woken = await self._tasks.hasten(waiting, within=LOOK_EVERY)
        log.info("deliveries.woken", breaker=circuit, deliveries=woken)
