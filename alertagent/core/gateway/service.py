"""Answers of Alertmanager's API v2, written as bytes: what fires may be a hundred thousand alerts.

Alerts are read, judged and written some hundred at a time, so that no request holds the process up, and sent as they
are written, so that no answer lies in memory as a whole. Between two parts nothing of the database is held, so whoever
reads slowly costs it nothing, and alerts that begin or end meanwhile may be in the answer or not.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any

from alertagent.core.gateway import original, render
from alertagent.core.gateway.groups import Pages
from alertagent.core.gateway.judging import Judge
from alertagent.core.gateway.model import Question
from alertagent.core.gateway.places import PATIENCE, Places
from alertagent.core.gateway.reading import Reading, ahead
from alertagent.core.gateway.telling import Telling, batches
from alertagent.core.routing.model import DEFAULT_ROUTE
from alertagent.core.routing.service import Routing
from alertagent.core.routing.table import default_values
from alertagent.core.routing.text import values_of
from alertagent.core.silences.service import Silences
from alertagent.kernel.clock import Clock
from alertagent.storage.database import Database


class Gateway:
    """What fires, as Alertmanager would tell it."""

    def __init__(
        self,
        database: Database,
        silences: Silences,
        routing: Routing,
        clock: Clock,
        *,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._database = database
        self._silences = silences
        self._routing = routing
        self._clock = clock
        self._places = Places(patience)

    def alerts(self, question: Question) -> AsyncGenerator[bytes, None]:
        """The alerts that are asked for, by fingerprint, as they are written."""
        return render.array_of(self._alerts_written(question))

    async def _alerts_written(self, question: Question) -> AsyncGenerator[bytes, None]:
        telling = await self._telling(question)
        reading = await Reading.of(self._database, question)
        async with self._places.answer() as count, aclosing(ahead(reading.alerts())) as parts:
            async for some in parts:
                await count(len(some))
                if written := await telling.alerts(some):
                    yield b",".join(written)

    async def groups(self, question: Question) -> AsyncGenerator[bytes, None]:
        """The alerts that are asked for by group, in Alertmanager's order, as they are written.

        First it is read which alerts are in which group, then group by group the alerts themselves.
        """
        telling = await self._telling(question)
        reading = await Reading.of(self._database, question)
        pages = Pages()
        async with self._places.answer() as count:
            groups = await telling.gathered(reading, count)
            async with aclosing(ahead(batches(reading, groups))) as parts:
                async for batch in parts:
                    yield b"".join(await telling.members(pages, batch))
            yield pages.end()

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

    async def _telling(self, question: Question) -> Telling:
        now = self._clock.now()
        table, silences = await self._routing.table(), await self._silences.active(now)
        return Telling(question, table, Judge(self._database, table, silences), now)
