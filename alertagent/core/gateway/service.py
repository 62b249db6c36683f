"""Answers of Alertmanager's API v2, written as bytes: what fires may be a hundred thousand alerts.

Alerts are read, judged and written some hundred at a time, so that no request holds the process up, and sent as they
are written, so that no answer lies in memory as a whole. Between two parts nothing of the database is held, so whoever
reads slowly costs it nothing, and alerts that begin or end meanwhile may be in the answer or not.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import datetime, timedelta
from heapq import merge
from operator import attrgetter
from typing import Any, TypeVar

from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import Alerts
from alertagent.core.gateway import original, render
from alertagent.core.gateway.groups import Group, Grouping
from alertagent.core.gateway.model import Question, Standing
from alertagent.core.notify.inhibiting import inhibitors
from alertagent.core.routing.model import DEFAULT_ROUTE, RoutingTable
from alertagent.core.routing.service import Routing
from alertagent.core.routing.table import default_values
from alertagent.core.routing.text import values_of
from alertagent.core.silences.coverage import ActiveSilences
from alertagent.core.silences.service import Silences
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Unavailable
from alertagent.storage.database import Database

# After so many small steps others have their turn.
STRETCH = 250

# Whoever asks for more alerts than this waits for a place among the large answers, and not for longer than this.
SMALL = 1_000
AT_ONCE = 2
PATIENCE = timedelta(seconds=30)

T = TypeVar("T")


class Gateway:
    """What fires, as Alertmanager would tell it."""

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        silences: Silences,
        routing: Routing,
        clock: Clock,
        *,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._database = database
        self._alerts = alerts
        self._silences = silences
        self._routing = routing
        self._clock = clock
        self._places = asyncio.Semaphore(AT_ONCE)
        self._patience = patience

    def alerts(self, question: Question) -> AsyncGenerator[bytes, None]:
        """The alerts that are asked for, by fingerprint, as they are written."""
        return render.array_of(self._alerts_written(question))

    def groups(self, question: Question) -> AsyncGenerator[bytes, None]:
        """The alerts that are asked for by group, in Alertmanager's order, as they are written."""
        return render.array_of(self._groups_written(question))

    async def _alerts_written(self, question: Question) -> AsyncGenerator[bytes, None]:
        table = await self._routing.table()
        async with aclosing(self._standing(question, table, self._clock.now())) as found:
            async for some in found:
                written = []
                for alert, standing in some:
                    receivers = [route.receiver for route in table.takers(alert.labels)]
                    if any(map(question.hears, receivers)):
                        written.append(render.alert(alert, standing, receivers))
                if written:
                    yield b",".join(written)

    async def _groups_written(self, question: Question) -> AsyncGenerator[bytes, None]:
        table, now = await self._routing.table(), self._clock.now()
        grouping = Grouping(table, question, now)
        async with aclosing(self._standing(question, table, now)) as found:
            async for some in found:
                for alert, standing in some:
                    grouping.add(alert, standing)
            async for group in in_order(grouping.groups, attrgetter("place")):
                yield await _written(group)

    async def receivers(self) -> Sequence[str]:
        """By name, as the configuration lists them."""
        _, names = await self._in_force()
        return names

    async def configuration(self) -> str:
        """The routing in force, as YAML."""
        return original.written(*await self._in_force())

    async def _in_force(self) -> tuple[Mapping[str, Any], Sequence[str]]:
        """The document and its receivers; of the default one also the channels behind it."""
        document = (await self._routing.current()).document
        if document is not None:
            return values_of(document), original.names_of(document)
        channels = await self._routing.everybody()
        return default_values(channels), list(dict.fromkeys([DEFAULT_ROUTE.receiver, *channels]))

    async def _standing(
        self, question: Question, table: RoutingTable, now: datetime
    ) -> AsyncGenerator[list[tuple[Alert, Standing]], None]:
        """The alerts that are asked for, whoever hears of them, and what holds each back; some hundred at a time.

        Where they are many, a place among the large answers is taken until the caller closes this. Raises Unavailable.
        """
        silences = await self._silences.active(now)
        read = 0
        async with AsyncExitStack() as stack:
            async for some in self._alerts.firing(question.labels):
                if read < SMALL <= read + len(some):
                    await stack.enter_async_context(self._place())
                read += len(some)
                yield await self._judged(question, table, silences, some)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """One among the large answers that are made at once. Raises Unavailable."""
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await self._places.acquire()
        except TimeoutError as error:
            raise Unavailable(
                f"{AT_ONCE} answers of thousands of alerts are being made already; ask again, or for fewer by a filter",
                code="alerts.busy",
                retry_after=self._patience,
            ) from error
        try:
            yield
        finally:
            self._places.release()

    async def _judged(
        self, question: Question, table: RoutingTable, silences: ActiveSilences, some: Sequence[Alert]
    ) -> list[tuple[Alert, Standing]]:
        fitting = [alert for alert in some if question.fits(alert.labels)]
        inhibited = await inhibitors(self._database, table, ((alert.fingerprint, alert.labels) for alert in fitting))
        found = []
        for alert in fitting:
            silenced_by = [silence.id for silence in silences.muting(alert.labels)]
            standing = Standing(silenced_by=silenced_by, inhibited_by=inhibited.get(alert.fingerprint, ()))
            if question.shows(standing):
                found.append((alert, standing))
        return found


async def _written(group: Group) -> bytes:
    alerts = [member.written async for member in in_order(group.members, attrgetter("place"))]
    return render.group(group.labels, group.receiver, alerts)


async def in_order(items: Sequence[T], key: Callable[[T], Any]) -> AsyncIterator[T]:
    """The items sorted, without one long stretch of sorting."""
    runs: list[list[T]] = []
    for start in range(0, len(items), STRETCH):
        runs.append(sorted(items[start : start + STRETCH], key=key))
        await asyncio.sleep(0)
    for count, item in enumerate(merge(*runs, key=key), 1):
        if count % STRETCH == 0:
            await asyncio.sleep(0)
        yield item
