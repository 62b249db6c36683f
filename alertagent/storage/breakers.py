"""Circuit breakers as rows: every process sees the same ones, and only one of them sends the probe."""

import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from alertagent.kernel import breaker as breakers
from alertagent.kernel.breaker import Breaker, Go, Wait
from alertagent.kernel.clock import Clock, rfc3339
from alertagent.storage.database import Database
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.storage")

# Of whom nobody has heard for so long is forgotten.
KEPT_FOR = timedelta(days=7)

log = structlog.get_logger()

_MOMENTS = ("open_until", "probe_until", "paused_until")


class Breakers:
    """By keys that say who fails together. `opened` is told the key each time that one of them opens."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        chance: Callable[[], float] = random.random,
        opened: Callable[[str], None] = lambda _key: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._chance = chance
        self._opened = opened

    async def admit(self, key: str) -> Wait | None:
        """None: call, and tell what became of it. Whoever is let through half-open is the only one."""
        now = self._clock.now()
        answer = breakers.admit((await self.look([key])).get(key, Breaker()), now)
        if isinstance(answer, Wait):
            return answer
        if answer.breaker.open_until is None:
            return None
        async with self._database.transaction() as transaction:
            row = await transaction.fetchrow(sql.lock_breaker, key)
            answer = breakers.admit(_read(row["document"]) if row is not None else Breaker(), now)
            if isinstance(answer, Go):
                await transaction.execute(sql.keep_breaker, key, _document(answer.breaker))
                return None
        return answer

    async def passed(self, key: str) -> None:
        await self._change(key, breakers.passed)

    async def failed(self, key: str) -> None:
        before, after = await self._change(key, partial(breakers.failed, now=self._clock.now(), random=self._chance()))
        if after.trips > before.trips and after.open_until is not None:
            log.warning("breaker.opened", key=key, until=rfc3339(after.open_until))
            self._opened(key)

    async def paused(self, key: str, until: datetime) -> None:
        await self._change(key, partial(breakers.paused, until=until))

    async def look(self, keys: Iterable[str]) -> Mapping[str, Breaker]:
        """Those of which anything is known."""
        rows = await self._database.fetch(sql.find_breakers, list(keys))
        return {row["key"]: _read(row["document"]) for row in rows}

    async def forget_old(self) -> None:
        await self._database.execute(sql.forget_breakers, KEPT_FOR)

    async def _change(self, key: str, change: Callable[[Breaker], Breaker]) -> tuple[Breaker, Breaker]:
        async with self._database.transaction() as transaction:
            await transaction.execute(sql.add_breaker, key)
            row = await transaction.fetchrow(sql.lock_breaker, key)
            before = _read(row["document"]) if row is not None else Breaker()
            after = change(before)
            await transaction.execute(sql.keep_breaker, key, _document(after))
        return before, after


def _document(breaker: Breaker) -> dict[str, Any]:
    moments = {name: getattr(breaker, name) for name in _MOMENTS}
    return {
        "recent": list(breaker.recent),
        "trips": breaker.trips,
        **{name: rfc3339(moment) for name, moment in moments.items() if moment is not None},
    }


def _read(document: Mapping[str, Any]) -> Breaker:
    moments = {name: datetime.fromisoformat(document[name]) for name in _MOMENTS if name in document}
    return Breaker(recent=tuple(document.get("recent", ())), trips=document.get("trips", 0), **moments)
