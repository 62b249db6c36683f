"""An engine goes away while AlertAgent serves: what callers see meanwhile, and that nothing accepted is lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import orjson
from redis.asyncio import Redis

from alertagent.kernel.clock import rfc3339
from tests.support.engines import PrivatePostgres, PrivateValkey
from tests.support.prometheus import eventually
from tests.support.serve import Serve
from tests.support.service import Answer, Api
from tests.support.sink import Received, Sink

# Prometheus gives its Alertmanager ten seconds; ours is to answer long before.
PATIENCE = 5


def alert(name: str) -> dict[str, Any]:
    """It has been firing for longer than `group_wait`, so it is told at once."""
    return {"labels": {"alertname": name}, "startsAt": rfc3339(datetime.now(UTC) - timedelta(minutes=1))}


async def post(api: Api, *names: str) -> Answer:
    return await api.post("//api/v2/alerts", [alert(name) for name in names])


def told(requests: Iterable[Received]) -> list[str]:
    """The alerts that the channel heard of, with repetitions."""
    return [item["labels"]["alertname"] for request in requests for item in orjson.loads(request.body)["alerts"]]


@asynccontextmanager
async def client(serve: Serve) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=40)) as session:
        yield Api(session, serve.address)


async def make_channel(api: Api, sink: Sink) -> None:
    channel = {"name": "sink", "plugin_name": "webhook", "config": {"url": sink.url}, "default": True}
    made = await api.post("/channels", channel)
    assert made.status == 201, made.body


async def hears(sink: Sink, *names: str, within: float = 20) -> None:
    """Each of these alerts arrives, and none twice."""
    await sink.wait_for(lambda requests: {*names} <= {*told(requests)}, within)
    heard = told(sink.requests)
    assert sorted(heard) == sorted(set(heard))


async def test_alerts_are_taken_while_redis_is_away_and_told_once_it_is_back(
    database_url: str, private_valkey: PrivateValkey
) -> None:
    async with Serve.on(database_url, private_valkey.url) as serve, Sink() as sink, client(serve) as api:
        await make_channel(api, sink)
        await private_valkey.kill()

        for number in range(5):
            assert (await post(api, f"Away{number}")).status == 200
        assert (await api.get("//readyz")).status == 200
        assert (await api.get("//readyz?verbose")).json["checks"]["redis"] != "ok"

        await private_valkey.start()
        await hears(sink, *(f"Away{number}" for number in range(5)))
        assert (await post(api, "Back")).status == 200
        await hears(sink, "Back")


async def test_alerts_are_taken_at_full_pace_while_redis_is_frozen(
    database_url: str, private_valkey: PrivateValkey
) -> None:
    async with Serve.on(database_url, private_valkey.url) as serve, Sink() as sink, client(serve) as api:
        await make_channel(api, sink)
        private_valkey.freeze()

        began = time.monotonic()
        for number in range(5):
            assert (await post(api, f"Frozen{number}")).status == 200
        assert time.monotonic() - began < 2

        private_valkey.thaw()
        await hears(sink, *(f"Frozen{number}" for number in range(5)))


async def test_a_start_without_redis_says_so_and_takes_alerts(database_url: str, private_valkey: PrivateValkey) -> None:
    await private_valkey.kill()

    async with Serve.on(database_url, private_valkey.url) as serve, Sink() as sink, client(serve) as api:
        assert '"effect":"alerts are accepted, tasks wait"' in await serve.said("redis.unavailable")
        await make_channel(api, sink)
        assert (await post(api, "Early")).status == 200

        await private_valkey.start()
        await hears(sink, "Early")


async def test_alerts_survive_a_flush_of_redis(database_url: str, private_valkey: PrivateValkey) -> None:
    """A flush on the heels of every acceptance, so that it takes away tasks in all states."""
    urls = database_url, private_valkey.url
    async with Serve.on(*urls) as serve, Sink() as sink, client(serve) as api, Redis.from_url(urls[1]) as redis:
        await make_channel(api, sink)
        names = [f"Flushed{number}" for number in range(20)]

        for name in names:
            assert (await post(api, name)).status == 200
            await redis.flushall()

        await hears(sink, *names, within=30)


async def test_without_the_database_posts_are_refused_for_a_while_and_taken_again_afterwards(
    private_postgres: PrivatePostgres, redis_url: str
) -> None:
    async with Serve.on(private_postgres.url, redis_url) as serve, Sink() as sink, client(serve) as api:
        await make_channel(api, sink)
        assert (await post(api, "Before")).status == 200
        await hears(sink, "Before")
        await private_postgres.kill()

        await refuses(api, within=3)
        assert (await api.get("//readyz")).status == 503
        assert (await api.get("//healthz")).status == 200

        await private_postgres.start()
        await eventually(lambda: takes(api, "After"))
        await hears(sink, "After")
        assert serve.is_running


async def test_a_frozen_database_is_answered_for_in_time(private_postgres: PrivatePostgres, redis_url: str) -> None:
    async with Serve.on(private_postgres.url, redis_url) as serve, Sink() as sink, client(serve) as api:
        await make_channel(api, sink)
        private_postgres.freeze()

        await asyncio.gather(*(refuses(api, within=PATIENCE) for _ in range(20)))
        await refuses(api, within=PATIENCE)
        assert (await api.get("//readyz")).status == 503

        private_postgres.thaw()
        await eventually(lambda: takes(api, "After"), within=20)
        await hears(sink, "After")
        assert serve.is_running


async def test_a_frozen_database_does_not_hold_up_the_end(private_postgres: PrivatePostgres, redis_url: str) -> None:
    async with Serve.on(private_postgres.url, redis_url) as serve, client(serve) as api:
        private_postgres.freeze()
        await refuses(api, within=PATIENCE)

        assert await serve.terminate(within=15) == 0


async def refuses(api: Api, *, within: float) -> None:
    """A post is answered so that its sender tries again."""
    began = time.monotonic()
    refused = await post(api, "During")
    took = time.monotonic() - began

    assert refused.status == 503, refused.body
    assert refused.error["type"] == "unavailable"
    assert refused.json["path"] == "/api/v2/alerts"
    assert int(refused.headers["Retry-After"]) >= 1
    assert took < within


async def takes(api: Api, name: str) -> bool:
    return (await post(api, name)).status == 200
