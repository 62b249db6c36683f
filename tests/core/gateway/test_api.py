"""Alertmanager's API v2 over HTTP, and all that karma and Grafana ask of it and read in its answers."""

import asyncio
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import yaml

from alertagent import __version__
from alertagent.app import Service
from alertagent.core.gateway.places import AT_ONCE
from alertagent.web.server import WRITE_TIMEOUT_SECONDS
from tests.support.service import ADMIN_TOKEN, Answer, Api

ALERTS: list[dict[str, Any]] = [
    {
        "labels": {"alertname": "DiskFull", "instance": "db-1", "job": "node"},
        "annotations": {"summary": "the disk is full"},
        "generatorURL": "http://prometheus/graph",
    },
    {"labels": {"alertname": "HostDown"}},
]
SILENCE = {
    "matchers": [{"name": "alertname", "value": "DiskFull", "isRegex": False}],
    "startsAt": "2026-01-01T00:00:00.000Z",
    "endsAt": "2098-01-01T00:00:00.000Z",
    "createdBy": "ann",
    "comment": "a new disk comes",
}


@pytest.fixture
async def firing(api: Api) -> Api:
    assert (await api.post("//api/v2/alerts", ALERTS)).status == 200
    return api


async def silence(api: Api, **changes: Any) -> str:
    answer = await api.post("//api/v2/silences", {**SILENCE, **changes})
    assert answer.status == 200, answer.body
    id: str = answer.json["silenceID"]
    return id


async def test_karma_finds_all_that_it_reads(firing: Api) -> None:
    """Source: prymitive/karma, `internal/alertmanager/models.go` (Pull), `internal/mapper/v017/api.go`."""
    id = await silence(firing)

    metrics = (await firing.as_(None).get("//metrics")).body.decode()
    assert 'alertmanager_build_info{version="0.28.0"} 1.0\n' in metrics
    status = (await firing.get("//api/v2/status")).json
    assert status["versionInfo"]["version"] == "0.28.0"
    assert status["cluster"] == {"status": "disabled", "peers": []}
    [held] = (await firing.get("//api/v2/silences")).json
    assert (held["id"], held["createdBy"], held["comment"]) == (id, "ann", "a new disk comes")
    assert held["matchers"] == [{"name": "alertname", "value": "DiskFull", "isRegex": False, "isEqual": True}]
    assert datetime.fromisoformat(held["startsAt"]) < datetime.fromisoformat(held["endsAt"])
    groups = (await firing.get("//api/v2/alerts/groups")).json
    assert [(group["receiver"]["name"], group["labels"]) for group in groups] == [
        ("default", {"alertname": "DiskFull"}),
        ("default", {"alertname": "HostDown"}),
    ]
    [alert] = groups[0]["alerts"]
    assert alert["status"] == {"state": "suppressed", "silencedBy": [id], "inhibitedBy": [], "mutedBy": []}
    assert (alert["labels"], alert["annotations"]) == (ALERTS[0]["labels"], ALERTS[0]["annotations"])
    assert (alert["generatorURL"], len(alert["fingerprint"])) == ("http://prometheus/graph", 16)
    assert datetime.fromisoformat(alert["startsAt"]) <= datetime.now(UTC)


async def test_karma_and_grafana_make_change_and_end_silences(firing: Api) -> None:
    """Source: prymitive/karma, `cmd/karma/proxy.go`; grafana/grafana, `pkg/services/ngalert/api/lotex_am.go`."""
    id = await silence(firing)
    stored = (await firing.get(f"//api/v2/silence/{id}")).json

    again = await silence(firing, **{**stored, "comment": "it came", "endsAt": "2097-01-01T00:00:00.000Z"})
    assert again == id
    assert (await firing.get(f"//api/v2/silence/{id}")).json["comment"] == "it came"

    ended = await firing.delete(f"//api/v2/silence/{id}")
    assert (ended.status, ended.body) == (200, b"")
    assert (await firing.get(f"//api/v2/silence/{id}")).json["status"] == {"state": "expired"}
    assert (await firing.delete(f"//api/v2/silence/{id}")).status == 200
    assert await silence(firing, id=id) != id


async def test_grafana_asks_with_flags_and_quoted_matchers(firing: Api) -> None:
    """Source: grafana/grafana, `public/app/features/alerting/unified/api/alertmanager.ts`."""
    await silence(firing)
    query = {"silenced": "true", "active": "true", "inhibited": "true", "filter": 'alertname=~"Disk.*"'}

    found = (await firing.get("//api/v2/alerts", params=query)).json
    active = (await firing.get("//api/v2/alerts", params={**query, "silenced": "false"})).json

    assert [alert["labels"]["alertname"] for alert in found] == ["DiskFull"]
    assert active == []
    assert (await firing.get("//api/v2/receivers")).json == [{"name": "default"}]


async def test_the_status_shows_the_routing_in_force_and_whose_it_is(api: Api) -> None:
    await api.post("/channels", {"name": "ops", "plugin_name": "console", "config": {}, "default": True})

    status = (await api.get("//api/v2/status")).json

    assert set(status) == {"cluster", "config", "uptime", "versionInfo"}
    assert status["versionInfo"]["revision"] == f"AlertAgent {__version__}"
    assert datetime.fromisoformat(status["uptime"]) <= datetime.now(UTC)
    configuration = yaml.safe_load(status["config"]["original"])
    assert configuration["route"]["receiver"] == "default"
    assert configuration["receivers"] == [{"name": "default"}, {"name": "ops"}]


async def test_no_secret_of_a_channel_is_in_the_configuration(api: Api) -> None:
    config = {"url": "http://127.0.0.1:9/CANARY", "headers": {"X-Key": "CANARY"}}
    await api.post("/channels", {"name": "hook", "plugin_name": "webhook", "config": config})
    stored = await api.put("/routing", {"route": {"receiver": "hook"}})
    assert stored.status == 200, stored.body

    answer = await api.get("//api/v2/status")

    assert b"hook" in answer.body
    assert b"CANARY" not in answer.body


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_silence_that_nobody_knows_is_told_by_the_status_alone(api: Api, method: str) -> None:
    answer = await api.call(method, "//api/v2/silence/01a20567-2085-490e-8405-53c844613db1")

    assert (answer.status, answer.body) == (404, b"")


async def test_a_change_of_a_silence_that_nobody_knows_is_told_in_words(api: Api) -> None:
    answer = await api.post("//api/v2/silences", {**SILENCE, "id": "01a20567-2085-490e-8405-53c844613db1"})

    assert (answer.status, answer.json) == (404, "silence not found")


async def test_a_silence_may_mute_everything_as_alertmanagers_may(firing: Api) -> None:
    await silence(firing, matchers=[{"name": "alertname", "value": ".+", "isRegex": True}])

    assert (await firing.get("//api/v2/alerts?silenced=false")).json == []


async def test_the_audit_log_names_the_token_whoever_the_silence_says_it_is_by(service: Service, api: Api) -> None:
    made = await api.post("/tokens", {"name": "karma", "scopes": ["silences:write"]})
    id = await silence(api.as_(made.data["token"]))

    actor = await service.parts.database.fetchval("SELECT actor FROM audit_log WHERE subject_id = $1", id)
    assert actor == f"karma ({made.data['id']})"
    assert (await api.get(f"/silences/{id}")).data["created_by"] == "ann"


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json


async def test_what_is_asked_wrongly_is_answered_in_a_bare_text(api: Api) -> None:
    assert refusal(await api.get("//api/v2/alerts?filter=foo"))[0] == 400
    assert refusal(await api.get("//api/v2/alerts?filter=foo"))[1].startswith("bad matcher format: foo")
    assert refusal(await api.get("//api/v2/alerts/groups?receiver=("))[1].startswith("failed to parse receiver param: ")


async def test_a_token_may_come_as_a_password(firing: Api) -> None:
    credential = b64encode(f"karma:{ADMIN_TOKEN}".encode()).decode()
    headers = {"Authorization": f"Basic {credential}"}

    assert len((await firing.as_(None).get("//api/v2/alerts", headers=headers)).json) == 2
    assert (await firing.as_(None).post("//api/v2/alerts", ALERTS, headers=headers)).status == 200
    assert (await firing.as_(None).get("/alerts", headers=headers)).status == 401


async def test_answers_are_not_kept_by_anybody(api: Api) -> None:
    assert (await api.get("//api/v2/alerts")).headers["Cache-Control"] == "no-store"


@pytest.fixture
async def large(api: Api) -> int:
    """How many alerts fire: so many that an answer has its place before it is more than lies between the two sides."""
    count, a_post = 10_000, 500
    for start in range(0, count, a_post):
        alerts = [
            {"labels": {"alertname": "A", "instance": str(number)}, "annotations": {"text": "x" * 1_000}}
            for number in range(start, start + a_post)
        ]
        assert (await api.post("//api/v2/alerts", alerts)).status == 200
    return count


async def test_readers_who_leave_in_the_midst_of_a_large_answer_free_their_places(api: Api, large: int) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    for _ in range(AT_ONCE):
        async with (
            aiohttp.ClientSession(api.address, headers=headers) as session,
            session.get("/api/v2/alerts") as answer,
        ):
            assert "Content-Length" not in answer.headers
            await answer.content.readany()

    async with asyncio.timeout(20):
        answers = [await api.get("//api/v2/alerts") for _ in range(AT_ONCE)]

    assert [len(answer.json) for answer in answers] == [large] * AT_ONCE


async def test_a_reader_who_stops_reading_holds_nobody_up_for_long_and_is_cut_off(api: Api, large: int) -> None:
    async with AsyncExitStack() as stack:
        began = asyncio.get_running_loop().time()
        stalled = [await stack.enter_async_context(reading(api, "/api/v2/alerts")) for _ in range(AT_ONCE)]
        for reader in stalled:
            assert b"200" in await reader.readline()

        async with asyncio.timeout(WRITE_TIMEOUT_SECONDS / 2):
            few = await api.get('//api/v2/alerts?filter=instance="7"')
        async with asyncio.timeout(2 * WRITE_TIMEOUT_SECONDS):
            all_of_them = await api.get("//api/v2/alerts")
        taken = asyncio.get_running_loop().time() - began

        assert (len(few.json), len(all_of_them.json)) == (1, large)
        assert taken >= WRITE_TIMEOUT_SECONDS  # it had to wait for a place
        for reader in stalled:
            with suppress(ConnectionResetError):
                assert not (await reader.read()).endswith(b"\r\n0\r\n\r\n")


@asynccontextmanager
async def reading(api: Api, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """The answer to a GET. Of what is not read of it, little lies on this side."""
    host, _, port = api.address.removeprefix("http://").partition(":")
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=narrow, limit=1024)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n".encode())
    try:
        yield reader
    finally:
        writer.transport.abort()
