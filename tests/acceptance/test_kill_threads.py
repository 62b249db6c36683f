"""kill -9 of `serve` when a provider has taken a message and nobody has written that down.

The next process goes on where this one was: in the same thread, and with the end. A kill costs one repetition of the
message that was under way, and no other.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import aiohttp
import asyncpg
import orjson
import pytest
from aiohttp import web

from alertagent.kernel.clock import rfc3339
from tests.support.chats import SlackApi
from tests.support.prometheus import eventually
from tests.support.serve import Serve
from tests.support.service import Api
from tests.support.sink import Answer, Sink

AT_ONCE = {"group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
FIRST, SECOND, END = "[FIRING] A", "[FIRING] A (2)", "[RESOLVED] A (2)"
# A dead worker keeps its tasks for ten seconds.
WITHIN = 30


class HoldingSlack(SlackApi):
    """Takes everything, and keeps its first answer to one method and title back."""

    def __init__(self, method: str, title: str) -> None:
        super().__init__()
        self._held = method, title
        self.holds = asyncio.Event()
        self.released = asyncio.Event()

    @property
    def titles(self) -> list[str]:
        return [post["text"] for post in self.posts]

    def has_said(self, title: str) -> bool:
        return title in self.titles

    async def _take(self, request: web.Request) -> web.Response:
        answer = await super()._take(request)
        asked = request.path.rpartition("/")[2], (await request.json())["text"]
        if asked == self._held and not self.released.is_set():
            self.holds.set()
            await self.released.wait()
        return answer


@pytest.fixture
async def serve(database_url: str, redis_url: str) -> AsyncIterator[Serve]:
    async with Serve.on(database_url, redis_url) as serve:
        yield serve


async def call(serve: Serve, method: str, path: str, body: Any) -> None:
    async with aiohttp.ClientSession() as session:
        answer = await Api(session, serve.address).call(method, path, json=body)
        assert answer.status < 300, answer.body


async def post(serve: Serve, status: str, *instances: str) -> None:
    """Alerts of one group that began a minute ago, or end now."""
    now = datetime.now(UTC)
    times = {"startsAt": rfc3339(now - timedelta(minutes=1))} if status == "firing" else {"endsAt": rfc3339(now)}
    alerts = [{"labels": {"alertname": "A", "instance": instance}, **times} for instance in instances]
    await call(serve, "POST", "//api/v2/alerts", alerts)


async def add(serve: Serve, name: str, plugin: str, config: dict[str, Any], **values: Any) -> None:
    await call(serve, "POST", "/channels", {"name": name, "plugin_name": plugin, "config": config, **values})


async def all_is_told(database_url: str) -> None:
    """Until no delivery is under way."""
    connection = await asyncpg.connect(database_url)

    async def is_idle() -> bool:
        pending = "SELECT count(*) FROM notification_deliveries WHERE status = 'pending'"
        return bool(await connection.fetchval(pending) == 0)

    try:
        await eventually(is_idle, within=WITHIN)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("method", "title", "expected"),
    [
        ("chat.postMessage", FIRST, [FIRST, FIRST, SECOND, END]),
        ("chat.postMessage", SECOND, [FIRST, SECOND, SECOND, END]),
        ("chat.update", END, [FIRST, SECOND, END]),
        ("chat.postMessage", END, [FIRST, SECOND, END, END]),
    ],
    ids=["first", "reply", "change", "end"],
)
async def test_a_thread_is_continued_and_ended(
    method: str, title: str, expected: list[str], serve: Serve, database_url: str
) -> None:
    async with HoldingSlack(method, title) as slack:
        config = {"bot_token": SlackApi.TOKEN, "channel": "#alerts", "base_url": slack.origin}
        await add(serve, "slack", "slack", config)
        await call(serve, "PUT", "/routing", {"route": {"receiver": "slack", **AT_ONCE}})

        for status, instances, said in (("firing", "1", FIRST), ("firing", "2", SECOND), ("resolved", "12", END)):
            await post(serve, status, *instances)
            if said == title:
                await eventually(slack.holds.is_set, within=WITHIN)
                await serve.kill()
                slack.released.set()
                await serve.start()
            else:
                await eventually(partial(slack.has_said, said), within=WITHIN)
            await all_is_told(database_url)

    begun = expected.count(FIRST)
    root = f"1503435956.{246 + begun:06}"
    assert slack.titles == expected
    assert [said.get("thread_ts") for said in slack.posts] == [None] * begun + [root] * (len(expected) - begun)
    assert slack.shown[root]["text"] == END


@pytest.mark.parametrize("held", ["firing", "resolved"])
async def test_who_stood_in_hears_of_the_end(held: str, serve: Serve, database_url: str) -> None:
    async with Sink() as broken, Sink() as sink:
        broken.answer_always(Answer(status=400))
        await add(serve, "second", "webhook", {"url": sink.url})
        await add(serve, "first", "webhook", {"url": broken.url}, default=True, fallback=["second"])
        for status in ("firing", "resolved"):
            so_far = len(sink.requests)
            if status == held:
                sink.answer_next(Answer(hold=True))
            await post(serve, status, "1")
            await sink.wait_for(so_far + 1, WITHIN)
            if status == held:
                await serve.kill()
                sink.release()
                await serve.start()
                await sink.wait_for(so_far + 2, WITHIN)
            await all_is_told(database_url)

    connection = await asyncpg.connect(database_url)
    waiting = await connection.fetchval("SELECT count(*) FROM awaited_ends")
    await connection.close()
    assert [orjson.loads(request.body)["status"] for request in sink.requests] == sorted(["firing", "resolved", held])
    assert waiting == 0
