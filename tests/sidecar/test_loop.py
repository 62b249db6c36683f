"""The pace: never a hot loop, however the server answers."""

import time
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from tests.sidecar.conftest import Sidecar
from tests.support.config_server import ConfigServer, answer, rule_file, sha256
from tests.support.prometheus import Prometheus, eventually


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


async def test_a_rejection_that_lasts_is_said_once_and_never_called_over(
    server: ConfigServer, prometheus: Prometheus, sidecar: Sidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    good, better = rule_file("Good"), rule_file("Better")
    await server.offer(good)
    async with sidecar(reload_url=prometheus.reload_url, sync_interval=timedelta(seconds=1)):
        await server.reported(lambda report: report["applied_hash"] == sha256(good))
        await server.offer(rule_file("Broken", expr="sum("))
        await server.reported(lambda report: report["status"] == "failed")
        # Long enough for polls that end without a change, and for another try.
        await server.polled(len(server.polls) + 4)
        quiet = capsys.readouterr().out
        await server.offer(better)
        await server.reported(lambda report: report["applied_hash"] == sha256(better))

    assert quiet.count("config.rejected") == 1
    assert "sync.recovered" not in quiet
    assert capsys.readouterr().out.count("sync.recovered") == 1


async def test_news_that_the_server_missed_go_as_soon_as_it_is_back(
    server: ConfigServer, prometheus: Prometheus, live: Path, sidecar: Sidecar
) -> None:
    async with sidecar(reload_url=prometheus.reload_url, sync_interval=timedelta(seconds=60)):
        await server.reported(lambda report: report["status"] == "success")
        await server.stop()
        live.write_bytes(b"# mine\n" + live.read_bytes())
        await eventually(lambda: live.read_bytes() == server.body)
        await server.start()

        # A poll that is held for a minute must not stand before it.
        await server.reported(lambda report: report["error_class"] == "drift")


async def test_a_report_that_failed_goes_before_the_next_long_poll(
    server: ConfigServer, prometheus: Prometheus, sidecar: Sidecar
) -> None:
    server.refuses_reports = True
    async with sidecar(reload_url=prometheus.reload_url, sync_interval=timedelta(seconds=60)):
        await eventually(lambda: server.refused_reports > 0)
        server.refuses_reports = False

        await server.reported(lambda report: report["status"] == "success")


async def test_reports_that_keep_failing_hurry_the_polls_less_and_less(
    server: ConfigServer, prometheus: Prometheus, sidecar: Sidecar
) -> None:
    server.refuses_reports = True
    async with sidecar(reload_url=prometheus.reload_url):
        await server.polled(4)
        started = time.monotonic()
        await server.polled(6)

    assert time.monotonic() - started > 1.5


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
