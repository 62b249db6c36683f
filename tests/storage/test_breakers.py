import asyncio
import contextlib
from datetime import timedelta

import pytest

import alertagent.storage.breakers as module
from alertagent.kernel.breaker import PROBE_LOST_AFTER, State, Wait
from alertagent.storage.breakers import Breakers
from alertagent.storage.database import Database
from tests.core.alerts.house import HandClock, until


async def half_open(breakers: Breakers, clock: HandClock) -> None:
    for _ in range(5):
        await breakers.failed("k")
    clock.move(seconds=30)


async def held_until(breakers: Breakers) -> object:
    return (await breakers.look(["k"]))["k"].probe_until


async def test_two_processes_see_the_same_breaker_and_send_one_probe(database_url: str) -> None:
    clock, opened = HandClock(), list[str]()
    async with Database.connect(database_url) as first, Database.connect(database_url) as second:
        one, other = (
            Breakers(database, clock, chance=lambda: 0.0, opened=opened.append) for database in (first, second)
        )
        for each in (one, other, one, other, one):
            assert await each.admit("k") is None
            await each.failed("k")
        shut = await other.admit("k")
        clock.move(seconds=30)
        admitted = await asyncio.gather(*(each.admit("k") for each in (one, other) * 5))
        await other.passed("k")
        closed = await one.admit("k")

    assert isinstance(shut, Wait)
    assert shut.state is State.OPEN
    assert opened == ["k"]
    assert admitted.count(None) == 1
    assert closed is None


async def test_a_probe_is_the_only_one_for_as_long_as_it_takes(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEWED_EVERY", timedelta(milliseconds=10))
    clock, answers = HandClock(), list[Wait | None]()

    async def renewed() -> bool:
        return await held_until(one) == clock.now() + PROBE_LOST_AFTER

    async with Database.connect(database_url) as first, Database.connect(database_url) as second:
        one, other = (Breakers(database, clock, chance=lambda: 0.0) for database in (first, second))
        await half_open(one, clock)
        async with one.admitted("k") as probing:
            for _ in range(5):
                clock.move(seconds=8)
                await until(renewed)
                answers.append(await other.admit("k"))
        untold = await other.admit("k")

    assert probing is None
    assert [answer and answer.state for answer in answers] == [State.HALF_OPEN] * 5
    assert untold is None


async def test_a_probe_whose_process_dies_blocks_the_next_for_seconds(database_url: str) -> None:
    clock = HandClock()
    async with Database.connect(database_url) as second, contextlib.AsyncExitStack() as process:
        first = await process.enter_async_context(Database.connect(database_url))
        one, other = (Breakers(database, clock, chance=lambda: 0.0) for database in (first, second))
        await half_open(one, clock)
        async with one.admitted("k"):
            await process.aclose()
        shut = await other.admit("k")
        clock.move(seconds=10)
        after = await other.admit("k")

    assert isinstance(shut, Wait)
    assert after is None


async def test_a_probe_that_was_lost_renews_and_releases_nothing_of_the_next(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEWED_EVERY", timedelta(milliseconds=10))
    clock = HandClock()
    async with Database.connect(database_url) as database:
        breakers = Breakers(database, clock, chance=lambda: 0.0)
        await half_open(breakers, clock)
        async with breakers.admitted("k"):
            await breakers.failed("k")
            clock.move(seconds=60)
            assert await breakers.admit("k", lost_after=timedelta(minutes=1)) is None
        held = await held_until(breakers)

    assert held == clock.now() + timedelta(minutes=1)


async def test_a_pause_is_kept_and_ends(database_url: str) -> None:
    clock = HandClock()
    async with Database.connect(database_url) as database:
        breakers = Breakers(database, clock)
        await breakers.paused("k", clock.now().replace(year=clock.now().year + 1))
        answer = await breakers.admit("k")
        clock.move(days=366)
        after = await breakers.admit("k")

    assert isinstance(answer, Wait)
    assert answer.state is State.PAUSED
    assert after is None


async def test_what_nobody_asked_for_a_week_is_forgotten(database_url: str) -> None:
    async with Database.connect(database_url) as database:
        breakers = Breakers(database, HandClock())
        await breakers.failed("old")
        await breakers.failed("new")
        await database.execute("UPDATE breakers SET updated_at = now() - interval '8 days' WHERE key = 'old'")
        await breakers.forget_old()

        assert set(await breakers.look(["old", "new"])) == {"new"}
