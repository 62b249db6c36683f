"""The pace: never a hot loop, however the server answers."""

import time
from pathlib import Path

import pytest
from aiohttp import web

from tests.sidecar.conftest import Sidecar
from tests.support.config_server import ConfigServer, answer, rule_file, sha256
from tests.support.prometheus import Prometheus


async def _not_modified(request: web.Request, body: bytes) -> web.StreamResponse:
    return web.Response(status=304) if "If-None-Match" in request.headers else answer(body)


async def _always_all(_: web.Request, body: bytes) -> web.StreamResponse:
    return answer(body)


async def _busy(_: web.Request, __: bytes) -> web.StreamResponse:
    return web.json_response({"error": {"message": "shutting down"}}, status=503, headers={"Retry-After": "2"})


async def _unauthorized(_: web.Request, __: bytes) -> web.StreamResponse:
    return web.json_response({"error": {"message": "no such token"}}, status=401)


@pytest.mark.parametrize("lie", [_not_modified, _always_all])
async def test_a_server_that_holds_no_poll_is_asked_once_a_second(
    lie: object, server: ConfigServer, prometheus: Prometheus, sidecar: Sidecar
) -> None:
    server.lie = lie  # type: ignore[assignment]  # a table of them
    async with sidecar(reload_url=prometheus.reload_url):
        await server.polled(2)
        started = time.monotonic()
        await server.polled(4)

    assert time.monotonic() - started > 1.8


async def test_retry_after_is_honoured(server: ConfigServer, sidecar: Sidecar) -> None:
    server.lie = _busy
    async with sidecar():
        await server.polled(1)
        started = time.monotonic()
        await server.polled(2)

    assert time.monotonic() - started >= 1.95


async def test_a_lasting_failure_is_logged_once_and_touches_nothing(
    server: ConfigServer, live: Path, sidecar: Sidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    server.lie = _unauthorized
    async with sidecar():
        await server.polled(3)

    assert capsys.readouterr().out.count("no such token") == 1
    assert list(live.parent.iterdir()) == []
    assert server.reports == []


async def test_a_rejected_configuration_gives_way_at_once(
    server: ConfigServer, prometheus: Prometheus, sidecar: Sidecar
) -> None:
    good = rule_file("Good")
    async with sidecar(reload_url=prometheus.reload_url):
        await server.reported(lambda report: report["status"] == "success")
        await server.offer(rule_file("Broken", expr="sum("))
        await server.reported(lambda report: report["status"] == "failed")
        started = time.monotonic()
        await server.offer(good)
        await server.reported(lambda report: report["applied_hash"] == sha256(good))

    assert time.monotonic() - started < 1
