"""How many messages an account may take, counted in a real Redis while a test moves the clock."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from alertagent.core.notify.budgets import Budgets, Use
from alertagent.kernel.errors import Unavailable
from alertagent.plugins.base import Rate
from tests.core.alerts.house import HandClock

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
RATES = (Rate(messages=20, window=MINUTE),)
NOTHING = timedelta()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def budgets(redis: Redis, clock: HandClock) -> Budgets:
    return Budgets(redis, clock)


async def test_groups_leave_half_of_a_long_window_to_digests(budgets: Budgets, clock: HandClock) -> None:
    taken = [await budgets.take("robot", RATES, Use.GROUP) for _ in range(11)]
    assert taken == [NOTHING] * 10 + [MINUTE]

    assert await budgets.take("robot", RATES, Use.CONTINUATION) == NOTHING
    clock.move(seconds=59)
    assert await budgets.take("robot", RATES, Use.GROUP) == SECOND
    clock.move(seconds=1)
    assert await budgets.take("robot", RATES, Use.GROUP) == NOTHING


async def test_a_short_window_is_used_up(budgets: Budgets) -> None:
    rates = (Rate(messages=5, window=SECOND),)

    assert [await budgets.take("robot", rates, Use.GROUP) for _ in range(6)] == [NOTHING] * 5 + [SECOND]


async def test_the_window_that_is_full_for_the_longest_counts(budgets: Budgets, clock: HandClock) -> None:
    rates = (Rate(messages=2, window=SECOND), Rate(messages=8, window=MINUTE))
    for _ in range(2):
        await budgets.take("robot", rates, Use.GROUP)
        await budgets.take("robot", rates, Use.GROUP)
        assert await budgets.take("robot", rates, Use.CONTINUATION) == SECOND
        clock.move(seconds=1)

    assert await budgets.take("robot", rates, Use.GROUP) == MINUTE - 2 * SECOND


async def test_digests_keep_a_distance_and_find_room(budgets: Budgets, clock: HandClock) -> None:
    for _ in range(10):
        await budgets.take("robot", RATES, Use.GROUP)
    assert await budgets.take("robot", RATES, Use.DIGEST) == NOTHING
    assert await budgets.take("robot", RATES, Use.DIGEST) == 12 * SECOND

    clock.move(seconds=12)
    assert await budgets.take("robot", RATES, Use.DIGEST) == NOTHING


async def test_never_more_than_a_window_holds_whatever_they_are_for(budgets: Budgets, clock: HandClock) -> None:
    sent: list[int] = []
    for second in range(300):
        sent += [second for use in Use if not await budgets.take("robot", RATES, use)]
        clock.move(seconds=1)

    assert max(sum(start <= each < start + 60 for each in sent) for start in range(300)) == 20


async def test_processes_share_what_there_is(budgets: Budgets, redis: Redis, clock: HandClock) -> None:
    others = [Budgets(redis, clock) for _ in range(4)]

    taken = await asyncio.gather(*(each.take("robot", RATES, Use.GROUP) for each in others * 10))

    assert sum(not wait for wait in taken) == 10


async def test_accounts_do_not_share(budgets: Budgets) -> None:
    for _ in range(10):
        await budgets.take("one", RATES, Use.GROUP)

    assert await budgets.take("other", RATES, Use.GROUP) == NOTHING


async def test_a_clock_that_is_put_back_blocks_nobody(budgets: Budgets, clock: HandClock) -> None:
    for _ in range(10):
        await budgets.take("robot", RATES, Use.GROUP)

    clock.move(hours=-1)

    assert await budgets.take("robot", RATES, Use.GROUP) == NOTHING


async def test_nothing_is_left_of_what_is_over(budgets: Budgets, redis: Redis) -> None:
    await budgets.take("robot", RATES, Use.DIGEST)

    lives = [await redis.pttl(key) for key in await redis.keys("aa:{rate:*")]

    assert len(lives) == 2
    assert all(0 < life <= 61_000 for life in lives)


async def test_what_goes_out_beside_a_message_makes_the_next_one_wait_for_both(
    budgets: Budgets, clock: HandClock
) -> None:
    rates = (Rate(messages=1, window=SECOND),)
    assert await budgets.take("robot", rates, Use.GROUP) == NOTHING

    await budgets.add("robot", rates)

    assert await budgets.take("robot", rates, Use.GROUP) == 2 * SECOND
    clock.move(seconds=1.5)
    assert await budgets.take("robot", rates, Use.GROUP) == SECOND / 2
    clock.move(seconds=0.5)
    assert await budgets.take("robot", rates, Use.GROUP) == NOTHING


async def test_without_limits_nothing_is_counted_and_without_redis_nothing_is_sent(clock: HandClock) -> None:
    async with Redis.from_url("redis://127.0.0.1:1") as away:
        budgets = Budgets(away, clock)

        assert await budgets.take("robot", (), Use.GROUP) == NOTHING
        with pytest.raises(Unavailable):
            await budgets.take("robot", RATES, Use.GROUP)
