"""A 304 at once is the 304 of the ordinary way, and whatever is not certain takes that one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from alertagent.kernel.errors import Problem, Unavailable
from alertagent.web.access import scoped, viewer
from alertagent.web.call import Call
from alertagent.web.models import Model
from alertagent.web.protocol import Runner
from alertagent.web.replies import Raw
from alertagent.web.routes import Asked, get
from alertagent.web.server import application, collect
from tests.web.raw import exchange, request
from tests.web.small import Door, Memory


class Query(Model):
    name: str
    size: int = 1
    wait: bool = False


@dataclass
class ThingsApi:
    """Things whose tag is known at once until `is_forgotten`; it counts what goes the ordinary way."""

    ordinary: int = 0
    is_forgotten: bool = False
    problem: Problem | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    current: Raw = field(
        default_factory=lambda: Raw(body=b"thing", content_type="text/plain", etag="t1", headers={"X-Thing": "yes"})
    )

    @get("/things", access=viewer("things:read"), at_once="known")
    async def read(self, call: Call, query: Query) -> Raw:
        """A thing."""
        self.ordinary += 1
        return self.current

    def known(self, asked: Asked, query: Query) -> Raw | Awaitable[Raw] | None:
        if self.is_forgotten or query.size > 1:
            return None
        return self.wait(asked.known) if query.wait else self.current

    async def wait(self, known: str) -> Raw:
        self.entered.set()
        await self.changed.wait()
        if self.problem is not None:
            raise self.problem
        return self.current

    @get("/secrets", access=scoped("secrets"), at_once="known")
    async def secret(self, call: Call, query: Query) -> Raw:
        """Nobody here may see it."""
        raise AssertionError


@pytest.fixture
def things() -> ThingsApi:
    return ThingsApi()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def address(things: ThingsApi, registry: CollectorRegistry) -> AsyncIterator[str]:
    runner = Runner(
        application(collect([things]), authenticator=Door(), replies=Memory(), registry=registry),
        access_log=None,
        shutdown_timeout=0.1,
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


def asking(path: str = "/api/v1/things?name=a", *, tag: str = '"t1"', **headers: str) -> bytes:
    given = {"Authorization": "Bearer ann", "If_None_Match": tag, **headers}
    lines = [f"{name.replace('_', '-')}: {value}".encode() for name, value in given.items()]
    return request("GET", path, *lines, token=b"")


async def test_it_is_the_answer_of_the_ordinary_way(address: str, things: ThingsApi) -> None:
    ids = {"X_Request_ID": "r1", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    at_once = await exchange(address, asking(**ids))
    things.is_forgotten = True
    ordinary = await exchange(address, asking(**ids))

    assert (at_once.status, ordinary.status, things.ordinary) == (304, 304, 1)
    assert at_once.body == b""
    assert {**at_once.headers, "date": ""} == {**ordinary.headers, "date": ""}
    assert (at_once.headers["x-thing"], at_once.headers["x-request-id"]) == ("yes", "r1")


async def test_what_is_current_may_change(address: str, things: ThingsApi) -> None:
    assert (await exchange(address, asking())).status == 304
    things.current = Raw(body=b"other", content_type="text/plain", etag="t2", headers={"X-Thing": "no"})

    old, new = await exchange(address, asking()), await exchange(address, asking(tag='"t2"'))

    assert (old.status, old.body, new.status, new.headers["x-thing"]) == (200, b"other", 304, "no")
    assert things.ordinary == 1


UNCERTAIN = {
    "another tag": (asking(tag='"t0"'), 200),
    "several tags": (asking(tag='"t0", "t1"'), 304),
    "a weak tag": (asking(tag='W/"t1"'), 304),
    "any tag": (asking(tag="*"), 304),
    "a question that is not at hand": (asking("/api/v1/things?name=a&size=2"), 304),
    "a connection that is to end": (asking(Connection="close"), 304),
}


@pytest.mark.parametrize(("sent", "status"), UNCERTAIN.values(), ids=UNCERTAIN)
async def test_what_is_not_certain_goes_the_ordinary_way(
    address: str, things: ThingsApi, sent: bytes, status: int
) -> None:
    assert (await exchange(address, sent)).status == status
    assert things.ordinary == 1


REFUSED = {
    "a stranger": (asking(Authorization="Bearer mallory"), 401),
    "nobody": (asking(Authorization=""), 401),
    "no scheme": (asking(Authorization="ann"), 401),
    "another scheme": (asking(Authorization="Basic ann"), 401),
    "one who may not": (asking("/api/v1/secrets?name=a"), 403),
    "an unknown parameter": (asking("/api/v1/things?name=a&colour=red"), 400),
    "a parameter twice": (asking("/api/v1/things?name=a&name=b"), 400),
    "a missing parameter": (asking("/api/v1/things"), 400),
    "an unknown path": (asking("/api/v1/thing?name=a"), 404),
}


@pytest.mark.parametrize(("sent", "status"), REFUSED.values(), ids=REFUSED)
async def test_nobody_gets_in_this_way_who_would_not_otherwise(
    address: str, things: ThingsApi, sent: bytes, status: int
) -> None:
    for _ in range(2):
        assert (await exchange(address, sent)).status == status
    assert things.ordinary == 0


@pytest.mark.parametrize(("becomes", "status", "body"), [("t1", 304, b""), ("t2", 200, b"new")])
async def test_who_waits_gets_what_came_of_it(
    address: str, things: ThingsApi, becomes: str, status: int, body: bytes
) -> None:
    waiting = asyncio.create_task(exchange(address, asking("/api/v1/things?name=a&wait=true")))
    await things.entered.wait()
    things.current = Raw(body=b"new", content_type="text/plain", etag=becomes, headers={"X-Thing": "new"})
    things.changed.set()

    answer = await waiting

    assert (answer.status, answer.body, answer.headers["etag"]) == (status, body, f'"{becomes}"')
    assert (answer.headers["x-thing"], answer.headers["x-content-type-options"]) == ("new", "nosniff")
    assert answer.headers.get("content-type") == ("text/plain" if body else None)
    assert things.ordinary == 0


async def test_trouble_while_somebody_waits_is_told_the_ordinary_way(address: str, things: ThingsApi) -> None:
    things.problem = Unavailable("the database is away")
    things.changed.set()

    answer = await exchange(address, asking("/api/v1/things?name=a&wait=true"))

    assert (answer.status, things.ordinary) == (304, 1)


async def test_each_is_counted_and_told(address: str, registry: CollectorRegistry) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            await exchange(address, asking(X_Request_ID="r1"))

    labels = {"route": "/api/v1/things", "method": "GET", "code": "304"}
    assert registry.get_sample_value("alertagent_http_request_duration_seconds_count", labels) == 3
    assert [(entry["event"], entry["actor"], entry["request_id"]) for entry in logs] == [
        ("request.served", "ann", "r1")
    ] * 3


async def test_a_request_without_ids_gets_some(address: str) -> None:
    one, other = await exchange(address, asking()), await exchange(address, asking())

    assert one.headers["x-request-id"] != other.headers["x-request-id"]
    assert one.headers["traceparent"] != other.headers["traceparent"]
