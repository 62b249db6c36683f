"""Circuit breakers as rows: every process sees the same ones, and only one of them sends the probe."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from alertagent.kernel import breaker as breakers
from alertagent.kernel.breaker import Breaker, Go, State, Wait
from alertagent.kernel.clock import Clock, rfc3339
from alertagent.kernel.errors import Problem
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.storage")

# Of whom nobody has heard for so long is forgotten.
KEPT_FOR = timedelta(days=7)
SHOWN_EVERY = timedelta(seconds=5)

# Three chances to say that a probe goes on before it counts as lost.
RENEWED_EVERY = breakers.PROBE_LOST_AFTER / 3

log = structlog.get_logger()

_MOMENTS = ("open_until", "probe_until", "paused_until")


class Breakers:
    """By keys that say who fails together.

    `opened` is told the key each time that one of them opens, `shown` now and then how all of them stand that are not
    closed.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        chance: Callable[[], float] = random.random,
        opened: Callable[[str], None] = lambda _key: None,
        shown: Callable[[Mapping[str, State]], None] = lambda _states: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._chance = chance
        self._opened = opened
        self._shown = shown

    async def watching(self) -> None:
        """Tell `shown` for as long as the process lives."""
        while True:
            with contextlib.suppress(Problem):
                await self.show()
            await asyncio.sleep(SHOWN_EVERY.total_seconds())

    async def show(self) -> None:
        now = self._clock.now()
        states = {key: breaker.state(now) for key, breaker in (await self.in_trouble()).items()}
        self._shown({key: state for key, state in states.items() if state is not State.CLOSED})

    async def admit(self, key: str, *, lost_after: timedelta = breakers.PROBE_LOST_AFTER) -> Wait | None:
        """None: call, and tell what became of it. Whoever is let through half-open is the only one for `lost_after`."""
        answer = await self._admit(key, lost_after)
        return answer if isinstance(answer, Wait) else None

    @contextlib.asynccontextmanager
    async def admitted(self, key: str) -> AsyncIterator[Wait | None]:
        """None: call within the block, however long that takes, and tell there what became of it.

        Whoever is let through half-open is the only one until the block ends, or its process does.
        """
        answer = await self._admit(key, breakers.PROBE_LOST_AFTER)
        if isinstance(answer, Wait):
            yield answer
        elif answer.breaker.probe_until is None:
            yield None
        else:
            async with self._probing(key, answer.breaker.probe_until):
                yield None

    async def _admit(self, key: str, lost_after: timedelta) -> Go | Wait:
        now = self._clock.now()
        answer = breakers.admit((await self.look([key])).get(key, Breaker()), now)
        if isinstance(answer, Wait) or answer.breaker.open_until is None:
            return answer
        async with self._database.transaction() as transaction:
            row = await transaction.fetchrow(sql.lock_breaker, key)
            known = _read(row["document"]) if row is not None else Breaker()
            answer = breakers.admit(known, now, lost_after=lost_after)
            if isinstance(answer, Go):
                await transaction.execute(sql.keep_breaker, key, _document(answer.breaker))
        return answer

    @contextlib.asynccontextmanager
    async def _probing(self, key: str, until: datetime) -> AsyncIterator[None]:
        """Hold a probe until the block has ended. Of whom nothing was told by then, the next one may go."""
        held = [rfc3339(until)]
        renewing = asyncio.create_task(self._renewing(key, held))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
            with contextlib.suppress(Problem):  # then it is lost a little later
                await self._database.execute(sql.release_probe, key, held)

    async def _renewing(self, key: str, held: list[str]) -> None:
        """Until it is answered, or taken for lost. `held`: the times that may stand in the row, the last first."""
        while True:
            await asyncio.sleep(RENEWED_EVERY.total_seconds())
            held[:0] = [rfc3339(self._clock.now() + breakers.PROBE_LOST_AFTER)]
            with contextlib.suppress(Problem):
                if await self._database.fetchval(sql.renew_probe, key, held, held[0]) is None:
                    return
                del held[1:]

    async def passed(self, key: str) -> None:
        await self.record(key, [False])

    async def failed(self, key: str) -> None:
        await self.record(key, [True])

    async def record(self, key: str, failures: Sequence[bool]) -> Breaker:
        """Several outcomes in their order, true for a failure; how it stands then."""
        now, chance = self._clock.now(), self._chance()

        def change(breaker: Breaker) -> Breaker:
            for is_failure in failures:
                breaker = breakers.failed(breaker, now, chance) if is_failure else breakers.passed(breaker)
            return breaker

        before, after = await self._change(key, change)
        if after.trips > before.trips and after.open_until is not None:
            log.warning("breaker.opened", key=key, until=rfc3339(after.open_until))
            self._opened(key)
        return after

    async def paused(self, key: str, until: datetime) -> Breaker:
        """How it stands then."""
        _, after = await self._change(key, partial(breakers.paused, until=until))
        return after

    async def released(self, key: str) -> None:
        """Whoever was let through half-open has asked nothing."""
        await self._change(key, breakers.released)

    async def reset(self, transaction: Transaction, key: str) -> None:
        """Forget all that is known of it, as a person says."""
        await transaction.execute(sql.remove_breaker, key)

    async def in_trouble(self, executor: Executor | None = None) -> Mapping[str, Breaker]:
        """Those that are shut, and those of which somebody failed lately."""
        rows = await (executor or self._database).fetch(sql.breakers_in_trouble)
        return {row["key"]: _read(row["document"]) for row in rows}

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
