"""Server-sent events as a page gets them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from alertagent.app import Service, running
from alertagent.core.events.model import NAMED, Topic
from alertagent.web import server
from tests.core.alerts.house import until
from tests.core.alerts.test_api import firing, webhook
from tests.support.service import ADMIN_TOKEN, Api, make_settings

HEADERS = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@asynccontextmanager
async def page(address: str, query: str = "", **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """A page that listens: its connection, once the server has answered."""
    async with (
        aiohttp.ClientSession(headers=HEADERS | headers) as session,
        session.get(f"{address}/api/v1/events{query}") as response,
    ):
        assert (await response.content.readuntil(b"\n\n")) == b"retry: 2000\n\n"
        yield response


async def next_of(response: aiohttp.ClientResponse, name: str) -> bytes:
    """The next event of this name."""
    async with asyncio.timeout(10):
        while True:
            text = await response.content.readuntil(b"\n\n")
            if f"event: {name}\n".encode() in text:
                return text


async def test_a_page_hears_of_alerts_actions_rules_and_tasks(api: Api, service: Service) -> None:
    async with page(service.address) as listening:
        await api.post("/alerts/webhook", webhook(firing()))
        (alert,) = (await api.get("/alerts")).data

        assert alert["id"].encode() in await next_of(listening, "alerts")
        await next_of(listening, "tasks")
        rule = await api.post("/rules", {"name": "HostDown", "expression": "up == 0"})
        assert rule.data["id"].encode() in await next_of(listening, "rules")
        await api.post(f"/alerts/{alert['id']}/ack")
        assert alert["id"].encode() in await next_of(listening, "alerts")


async def test_the_answer_is_a_stream_that_nobody_keeps(service: Service) -> None:
    async with page(service.address) as listening:
        assert listening.headers["Content-Type"] == "text/event-stream"
        assert listening.headers["Cache-Control"] == "no-store"
        assert listening.headers["X-Content-Type-Options"] == "nosniff"
        assert listening.headers["X-Request-ID"]


async def test_a_page_that_comes_back_says_what_it_knows(api: Api, service: Service) -> None:
    async with page(service.address, "?topics=alerts") as listening:
        await api.post("/alerts/webhook", webhook(firing("a")))
        known = await next_of(listening, "alerts")
    await api.post("/alerts/webhook", webhook(firing("b")))
    id = known.split(b"\n")[0].removeprefix(b"id: ").decode()

    async with page(service.address, "?topics=alerts", **{"Last-Event-ID": id}) as again:
        assert b"reset" not in await next_of(again, "alerts")
    async with page(service.address, "?last_event_id=unknown-1") as stranger:
        await next_of(stranger, "reset")


async def test_only_known_topics_can_be_asked_for(api: Api) -> None:
    answer = await api.get("/events", params={"topics": "alerts,nothing"})

    assert (answer.status, "known: alerts" in answer.error["message"]) == (400, True)
    assert (await api.as_(None).get("/events")).status == 401


async def test_a_stop_ends_the_connections_of_pages_in_good_time(database_url: str, redis_url: str) -> None:
    async with asyncio.timeout(20), running(make_settings(database_url, redis_url)) as service:
        opened = page(service.address)
        listening = await opened.__aenter__()

        service.parts.events.close()

        assert b"event: alerts" not in await listening.content.read()
        await opened.__aexit__(None, None, None)


async def test_a_page_that_stops_reading_is_cut_off(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels and buffers take some megabytes before anything is felt."""
    monkeypatch.setattr(server, "WRITE_TIMEOUT_SECONDS", 0.2)
    events = service.parts.events
    names = [f"{number}-" + "x" * 9000 for number in range(NAMED)]
    async with page(service.address) as listening:
        assert listening.connection is not None
        assert listening.connection.transport is not None
        listening.connection.transport.pause_reading()

        async def is_gone() -> bool:
            events.changed(Topic.ALERTS, names)
            return events._readers == 0

        await until(is_gone, timeout=60)
