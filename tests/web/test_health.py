"""What probes see."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from alertagent.kernel.errors import Unavailable
from alertagent.web import health
from alertagent.web.health import HealthApi, Readiness
from alertagent.web.server import application, collect
from tests.support.serving import serving
from tests.web.small import Door, Memory


class Part:
    """A part of the service whose state a test decides."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.hangs = False

    async def check(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.trouble is not None:
            raise self.trouble


@pytest.fixture
def database() -> Part:
    return Part()


@pytest.fixture
def redis() -> Part:
    return Part()


@pytest.fixture
def readiness(database: Part, redis: Part) -> Readiness:
    return Readiness(needed={"database": database.check}, shown={"redis": redis.check})


@pytest.fixture
async def client(readiness: Readiness) -> AsyncIterator[aiohttp.ClientSession]:
    registry = CollectorRegistry()
    Counter("things", "Some.", registry=registry).inc(3)
    api = HealthApi(readiness, registry, lambda: {"openapi": "3.1.0"})
    app = application(collect([api]), authenticator=Door(), replies=Memory(), registry=registry)
    async with serving(app) as origin, aiohttp.ClientSession(origin) as session:
        yield session


async def test_a_process_that_turns_is_healthy_whatever_its_parts_do(
    client: aiohttp.ClientSession, database: Part, redis: Part
) -> None:
    database.hangs = redis.hangs = True
    for path in ("/healthz", "/-/healthy"):
        assert await (await client.get(path)).text() == "ok\n"
        assert (await client.head(path)).status == 200


async def test_it_is_ready_with_its_database_and_shows_the_rest_when_asked(
    client: aiohttp.ClientSession, redis: Part
) -> None:
    redis.trouble = Unavailable("Redis does not answer")

    assert await (await client.get("/readyz")).text() == "ok\n"
    for query in ("verbose", "verbose=", "verbose=1"):
        shown = await (await client.get(f"/-/ready?{query}")).json()
        assert shown == {"status": "ready", "checks": {"database": "ok", "redis": "does not answer"}}


@pytest.mark.parametrize("trouble", [Unavailable("10.0.0.7 is away"), OSError("10.0.0.7 refused"), OSError()])
async def test_without_its_database_it_is_not_ready_and_tells_strangers_no_address(
    client: aiohttp.ClientSession, database: Part, trouble: Exception
) -> None:
    database.trouble = trouble

    response = await client.get("/readyz")

    error = (await response.json())["error"]
    assert (response.status, response.headers["Retry-After"]) == (503, "2")
    assert (error["code"], error["message"]) == ("process.not_ready", "not ready: database: does not answer")
    database.trouble = None
    assert (await client.get("/readyz")).status == 200


async def test_a_part_that_does_not_answer_holds_a_probe_for_so_long_only(
    client: aiohttp.ClientSession, database: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT_SECONDS", 0.05)
    database.hangs = True

    async with asyncio.timeout(5):
        assert (await client.get("/readyz")).status == 503


async def test_a_process_that_stops_wants_no_work(client: aiohttp.ClientSession, readiness: Readiness) -> None:
    readiness.is_stopping = True

    response = await client.get("/readyz")

    assert (response.status, (await response.json())["error"]["message"]) == (503, "not ready: process: stopping")
    assert (await client.get("/healthz")).status == 200


async def test_metrics_are_in_prometheus_text_format(client: aiohttp.ClientSession) -> None:
    response = await client.get("/metrics")

    assert "things_total 3.0" in await response.text()
    assert response.content_type == "text/plain"


async def test_the_description_is_served(client: aiohttp.ClientSession) -> None:
    assert await (await client.get("/api/openapi.json")).json() == {"openapi": "3.1.0"}
