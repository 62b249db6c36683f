"""What people order the workers to do: to hold a queue back, to drop a task.

PostgreSQL keeps the orders, so that a Redis that was flushed forgets none, and tells the workers of new ones. They
also look by themselves now and then, because a connection may be dead without anybody noticing.
"""

import asyncio
from collections.abc import Collection, Mapping
from datetime import timedelta
from time import monotonic
from typing import Protocol

from alertagent.queue.ledger import CHANNEL, Ledger
from alertagent.queue.loops import forever

LOOK_EVERY = timedelta(seconds=5)
# A cancellation bears the time of its statement, and may be seen only when its transaction has ended.
OVERLAP = timedelta(seconds=10)


class Obedient(Protocol):
    """Whoever works on a queue."""

    def hold(self, is_held: bool) -> None:
        """Start nothing while this is so."""

    def drop(self, tasks: Collection[str]) -> None:
        """These are cancelled. May be told more than once."""


class Listener:
    """Passes the orders on, to the workers of each queue theirs."""

    def __init__(self, ledger: Ledger, workers: Mapping[str, Obedient]) -> None:
        self._ledger = ledger
        self._workers = workers
        self._told = asyncio.Event()
        self._looked_at = monotonic()

    async def run(self) -> None:
        self._told.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(forever("listen", self._listen, queue="*"))
            group.create_task(forever("obey", self._obey, queue="*"))

    async def _listen(self) -> None:
        await self._ledger.database.listen([CHANNEL], lambda _channel, _payload: self._told.set())

    async def _obey(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY.total_seconds()):
                await self._told.wait()
        except TimeoutError:
            pass
        await self._look()

    async def _look(self) -> None:
        self._told.clear()
        now = monotonic()
        try:
            since = timedelta(seconds=now - self._looked_at) + OVERLAP
            orders = await self._ledger.orders(self._workers.keys(), since)
        except BaseException:
            self._told.set()
            raise
        self._looked_at = now
        for queue, worker in self._workers.items():
            worker.drop([task for of, task in orders.cancelled if of == queue])
            worker.hold(queue in orders.paused)
