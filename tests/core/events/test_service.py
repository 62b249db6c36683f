"""Hints within a process and between processes, with Redis there and away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from alertagent.core.events import service as events_service
from alertagent.core.events.model import Topic
from alertagent.core.events.service import KEPT, Events, channel_of
from alertagent.kernel.errors import Unavailable
from alertagent.queue.connection import connect
from tests.core.alerts.house import until
from tests.support.engines import PrivateValkey

ALERTS, RULES = Topic.ALERTS, Topic.RULES


@asynccontextmanager
async def process(url: str) -> AsyncIterator[Events]:
    """What one process runs; it hears of the others once this begins."""
    async with connect(url) as redis:
        events, before = Events(redis), await subscribers(redis)
        async with events.running():
            await until(lambda: more_than(redis, before))
            yield events
            events.close()


async def subscribers(redis: Redis) -> int:
    ((_, count),) = await redis.pubsub_numsub(channel_of(redis))
    return int(count)


async def more_than(redis: Redis, before: int) -> bool:
    return await subscribers(redis) > before


class Reader:
    """Reads as a page does, in a task of its own, and keeps what it gets."""

    def __init__(self, events: Events, last_id: str | None = None, topics: frozenset[Topic] = frozenset()) -> None:
        self.text = b""
        self._task = asyncio.create_task(self._read(events, last_id, topics))

    async def _read(self, events: Events, last_id: str | None, topics: frozenset[Topic]) -> None:
        async for part in events.read(last_id, topics):
            self.text += part

    @property
    def events(self) -> list[str]:
        return [line.removeprefix(b"event: ").decode() for line in self.text.split(b"\n") if line.startswith(b"event:")]

    @property
    def last_id(self) -> str:
        return [line for line in self.text.split(b"\n") if line.startswith(b"id: ")][-1].removeprefix(b"id: ").decode()

    async def until(self, is_enough: Callable[["Reader"], bool]) -> None:
        async def enough() -> bool:
            return is_enough(self)

        await until(enough)

    async def ended(self) -> None:
        async with asyncio.timeout(10):
            await self._task


async def started(events: Events, last_id: str | None = None, topics: frozenset[Topic] = frozenset()) -> Reader:
    reader = Reader(events, last_id, topics)
    await reader.until(lambda reader: b"retry:" in reader.text)
    return reader


async def test_a_hint_reaches_the_readers_of_every_process(redis_url: str) -> None:
    async with process(redis_url) as here, process(redis_url) as there:
        near, far = await started(here), await started(there)

        here.changed(ALERTS, ["a"])
        await near.until(lambda reader: reader.events == ["alerts"])
        await far.until(lambda reader: reader.events == ["alerts"])
        there.changed(RULES, ["r"])
        await near.until(lambda reader: reader.events == ["alerts", "rules"])

        assert b'"ids":["a"]' in far.text
        assert far.events == ["alerts", "rules"]


async def test_a_storm_costs_a_reader_few_messages(redis_url: str) -> None:
    async with process(redis_url) as events:
        reader = await started(events)

        for number in range(10_000):
            events.changed(ALERTS, [str(number)])

        await reader.until(lambda reader: b'"count":10000' in reader.text)
        assert reader.events == ["alerts"]


async def test_a_reader_goes_on_where_it_was_or_is_told_to_look_at_everything(redis_url: str) -> None:
    async with process(redis_url) as events:
        first = await started(events)
        events.changed(ALERTS, ["a"])
        await first.until(lambda reader: reader.events == ["alerts"])
        events.changed(RULES, ["r"])
        await first.until(lambda reader: reader.events == ["alerts", "rules"])
        id = first.last_id.rpartition("-")[0] + "-1"

        again, stranger = await started(events, id), await started(events, "other-7")

        await again.until(lambda reader: reader.events == ["rules"])
        await stranger.until(lambda reader: reader.events == ["reset"])
        assert stranger.last_id == first.last_id


async def test_a_reader_of_some_topics_hears_of_no_other(redis_url: str) -> None:
    async with process(redis_url) as events:
        reader = await started(events, topics=frozenset({RULES}))

        events.changed(ALERTS, ["a"])
        events.changed(RULES, ["r"])

        await reader.until(lambda reader: b"rules" in reader.text)
        assert reader.events == ["rules"]


async def test_a_quiet_connection_is_kept_alive_and_a_long_one_ends(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_service, "HEARTBEAT", events_service.EVERY / 2)
    monkeypatch.setattr(events_service, "LONGEST", events_service.EVERY * 3)
    async with process(redis_url) as events:
        reader = await started(events)

        await reader.ended()

        assert reader.text.count(b": \n\n") >= 2


async def test_who_reads_too_slowly_is_let_go_and_told_to_look_when_he_comes_again(redis_url: str) -> None:
    async with process(redis_url) as events:
        slow = events.read(None, frozenset())
        assert b"retry" in await anext(slow)
        fast = await started(events)
        events.changed(ALERTS, ["a"])
        await fast.until(lambda reader: reader.events != [])

        # While nobody takes the next part, more happens than is kept.
        for _ in range(KEPT + 1):
            events._tell([None])

        assert [part async for part in slow] == []
        assert (await started(events, fast.last_id)).events[:1] in ([], ["reset"])


async def test_a_stop_lets_all_readers_go(redis_url: str) -> None:
    async with process(redis_url) as events:
        reader = await started(events)

        events.close()

        await reader.ended()
        with pytest.raises(Unavailable, match="stopping"):
            events.require_room()


async def test_too_many_readers_are_asked_to_come_later(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_service, "MAX_READERS", 1)
    async with process(redis_url) as events:
        events.require_room()
        reader = await started(events)

        with pytest.raises(Unavailable, match="1 pages"):
            events.require_room()

        events.close()
        await reader.ended()


async def test_without_redis_a_process_tells_its_own_readers_and_afterwards_they_look_at_everything(
    private_valkey: PrivateValkey,
) -> None:
    async with process(private_valkey.url) as events:
        reader = await started(events)
        await private_valkey.kill()

        events.changed(ALERTS, ["a"])
        await reader.until(lambda reader: reader.events == ["alerts"])
        await private_valkey.start()

        await reader.until(lambda reader: reader.events == ["alerts", "reset"])


async def test_what_another_release_says_and_nobody_understands_is_left_alone(redis_url: str) -> None:
    async with process(redis_url) as events, connect(redis_url) as redis:
        reader = await started(events)

        for raw in (b"", b"7", b"{}", b'{"from": "x", "hints": [{"topic": "new", "count": 1, "ids": []}]}'):
            await redis.publish(channel_of(redis), raw)
        events.changed(RULES, ["r"])

        await reader.until(lambda reader: reader.events == ["rules"])
