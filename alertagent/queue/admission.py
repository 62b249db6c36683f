"""What an entry that was read is worth.

One that is younger than our connection, handed out for the first time, not marked `again` and not cancelled since
cannot be anywhere else: it runs at once. Of every other one the ledger is asked first, in batches, whether it is still
to be done.
Redis may have been restored from an older file, or a worker may have died between the ledger and the
acknowledgement.
"""

import asyncio
from collections.abc import Callable, Iterable

from alertagent.queue.holdings import Delivery
from alertagent.queue.policy import Bury, Why
from alertagent.queue.settle import Drop, Settler
from alertagent.queue.station import Station
from alertagent.queue.streams import FIELD, Fields
from alertagent.queue.task import Unreadable, decode

CANCELLED = 100_000


class Admission:
    """Turns entries into deliveries; `ready` is called when there is something to run."""

    def __init__(self, station: Station, settler: Settler, *, types: frozenset[str], ready: Callable[[], None]) -> None:
        self._station = station
        self._holdings = station.holdings
        self._settler = settler
        self._types = types
        self._max_deliveries = station.options.max_deliveries
        self._ready = ready
        self._cancelled: dict[str, None] = {}
        self._doubtful: list[Delivery] = []
        self._doubted = asyncio.Event()

    def admit(self, level: int, entry: bytes, fields: Fields, *, deliveries: int, certain: bool) -> None:
        """Take one entry in; call `flush` after the last one."""
        if deliveries > 1 and (level, entry) in self._holdings:
            return
        envelope = fields.get(FIELD, b"")
        try:
            task, again = decode(self._station.queue, envelope)
        except Unreadable as error:
            raw = envelope or repr(dict(fields)).encode()
            self._settler.discard(level, entry, raw, Bury(Why.UNREADABLE, str(error)))
            return
        delivery = Delivery(level, entry, envelope, deliveries, task)
        if not self._holdings.take(delivery):
            self._settler.discard(level, entry, envelope, Drop())
        # Of what is not durable the ledger knows nothing.
        elif not task.durable or (certain and not again and not task.retry and task.id not in self._cancelled):
            self._allow(delivery)
        else:
            self._doubtful.append(delivery)

    def doubt(self, tasks: Iterable[str]) -> None:
        """These were cancelled a moment ago. Older entries are doubted anyway, so the last ones are enough."""
        self._cancelled.update(dict.fromkeys(tasks))
        while len(self._cancelled) > CANCELLED:
            del self._cancelled[next(iter(self._cancelled))]

    def flush(self) -> None:
        if self._doubtful:
            self._doubted.set()
        self._ready()

    async def ask(self) -> None:
        """One step of the loop that asks the ledger; the doubtful wait while it is away."""
        await self._doubted.wait()
        batch = list(self._doubtful)
        still_open = await self._station.ledger.still_open([delivery.task.id for delivery in batch])
        del self._doubtful[: len(batch)]
        if not self._doubtful:
            self._doubted.clear()
        for delivery in batch:
            if delivery.ended:
                continue
            if still_open.get(delivery.task.id) == delivery.task.retry:
                self._allow(delivery)
            elif delivery.task.id in self._cancelled:
                self._settler.cancelled(delivery)
            else:
                self._settler.remove(delivery, Drop())
        self._ready()

    def waiting(self) -> list[Delivery]:
        """Those of whom the ledger has not been asked; forgotten after this."""
        waiting, self._doubtful = self._doubtful, []
        self._doubted.clear()
        return [delivery for delivery in waiting if not delivery.ended]

    def _allow(self, delivery: Delivery) -> None:
        if delivery.deliveries > self._max_deliveries:
            self._bury(delivery, Why.CRASHED, f"handed out {delivery.deliveries} times without ever ending")
        elif delivery.task.type not in self._types:
            self._bury(delivery, Why.UNKNOWN_TYPE, f"nothing here handles tasks of type {delivery.task.type!r}")
        else:
            self._holdings.make_ready(delivery)

    def _bury(self, delivery: Delivery, why: Why, error: str) -> None:
        self._settler.failed(delivery, Bury(why, error))
