"""How many messages an account at a provider may still take, counted in Redis for all processes together.

A provider that gets more than it bears blocks the whole robot, so a window is never overdrawn: a message is counted
before it is sent. Messages of one group each may use a half of a long window; the other half is for digests, which keep
a distance from each other, so that whatever comes finds its place in one soon.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Unavailable
from alertagent.kernel.ids import new_id
from alertagent.plugins.base import Rate

# In a window as short as this one waits for room instead of leaving some to others.
SHORT = timedelta(seconds=10)
DIGESTS_A_WINDOW = 5

# What lies further ahead than this was counted before a clock was put back.
AHEAD = timedelta(seconds=1)

MILLISECOND = timedelta(milliseconds=1)


class Use(StrEnum):
    """What a message is: about one group, a digest, or what did not fit into the message before it."""

    GROUP = "group"
    DIGEST = "digest"
    CONTINUATION = "continuation"


class Budgets:
    """The rates of all accounts."""

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self._redis: Any = redis  # untyped: the types of its answers are unions of everything
        self._clock = clock
        script = files("alertagent.core.notify") / "lua" / "take.lua"
        self._take: Any = redis.register_script(script.read_text("utf-8"))

    async def take(self, account: str, rates: Sequence[Rate], use: Use) -> timedelta:
        """Count a message; nothing: it may be sent, else it may not for so long. Raises Unavailable without Redis.

        `account` names the robot without telling its secrets.
        """
        if not rates:
            return timedelta()
        keys = [_all(account)]
        distance = timedelta()
        if use is Use.DIGEST:
            keys.append(f"aa:{{rate:{account}}}:digests")
            distance = max(rate.window for rate in rates) / DIGESTS_A_WINDOW
        windows = [each for rate in rates for each in (rate.window // MILLISECOND, _share(rate, use))]
        with _reached():
            wait = await self._take(keys=keys, args=[self._now(), new_id(), distance // MILLISECOND, *windows])
        return int(wait) * MILLISECOND

    async def add(self, account: str, rates: Sequence[Rate]) -> None:
        """Count what goes out beside the message that was just taken, behind it: what follows waits for both.

        Raises Unavailable.
        """
        shortest = min(rates, key=lambda rate: rate.window)
        turn = min(shortest.window / shortest.messages, AHEAD)
        with _reached():
            await self._redis.zadd(_all(account), {new_id(): self._now() + turn // MILLISECOND})

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(
            f"Redis does not tell how many messages have been sent: {error}", retry_after=timedelta(seconds=5)
        ) from error


def _all(account: str) -> str:
    return f"aa:{{rate:{account}}}:all"


def _share(rate: Rate, use: Use) -> int:
    if use is Use.GROUP and rate.window > SHORT:
        return max(rate.messages // 2, 1)
    return rate.messages
