"""Answers of Alertmanager's API v2, written as bytes: what fires may be a hundred thousand alerts.

Alerts are read, judged and written some hundred at a time, so that no request holds the process up.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
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
from alertagent.core.silences.service import Silences
from alertagent.kernel.clock import Clock
from alertagent.storage.database import Database

# After so many small steps others have their turn.
STRETCH = 250

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
    ) -> None:
        self._database = database
        self._alerts = alerts
        self._silences = silences
        self._routing = routing
        self._clock = clock

    async def alerts(self, question: Question) -> bytes:
        """The alerts that are asked for, by fingerprint."""
        table, parts = await self._routing.table(), list[bytes]()
        async for some in self._standing(question, table, self._clock.now()):
            written = []
            for alert, standing in some:
                receivers = [route.receiver for route in table.takers(alert.labels)]
                if any(map(question.hears, receivers)):
                    written.append(render.alert(alert, standing, receivers))
            if written:
                parts.append(b",".join(written))
        return render.array(parts)

    async def groups(self, question: Question) -> bytes:
        """The alerts that are asked for by group, in Alertmanager's order."""
        table, now = await self._routing.table(), self._clock.now()
        grouping = Grouping(table, question, now)
        async for some in self._standing(question, table, now):
            for alert, standing in some:
                grouping.add(alert, standing)
        groups = in_order(grouping.groups, attrgetter("place"))
        return render.array([await _written(group) async for group in groups])

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
    ) -> AsyncIterator[list[tuple[Alert, Standing]]]:
        """The alerts that are asked for, whoever hears of them, and what holds each back; some hundred at a time."""
        silences = await self._silences.active(now)
        async for some in self._alerts.firing(question.labels):
            fitting = [alert for alert in some if question.fits(alert.labels)]
            inhibited = await inhibitors(
                self._database, table, ((alert.fingerprint, alert.labels) for alert in fitting)
            )
            found = []
            for alert in fitting:
                silenced_by = [silence.id for silence in silences.muting(alert.labels)]
                standing = Standing(silenced_by=silenced_by, inhibited_by=inhibited.get(alert.fingerprint, ()))
                if question.shows(standing):
                    found.append((alert, standing))
            yield found


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
