import asyncio

from alertagent.kernel.breaker import State, Wait
from alertagent.storage.breakers import Breakers
from alertagent.storage.database import Database
from tests.core.alerts.house import HandClock


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
