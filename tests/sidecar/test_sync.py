"""One pass with everything real: Prometheus judges, a server offers, the file system keeps."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from alertagent.core.configs import marker
from alertagent.sidecar.files import LiveFile
from tests.sidecar.conftest import Sidecar
from tests.support.config_server import ConfigServer, answer, rule_file, sha256
from tests.support.prometheus import Prometheus, Vmalert, eventually, running

GOOD, BETTER = rule_file("First"), rule_file("First", "Second")
BAD = rule_file("Broken", expr="sum(")


def applied(body: bytes) -> Any:
    return lambda report: report["status"] == "success" and report["applied_hash"] == sha256(body)


def failed(error_class: str) -> Any:
    return lambda report: report["status"] == "failed" and report["error_class"] == error_class


async def test_a_good_configuration_is_loaded_proven_and_reported(
    server: ConfigServer, prometheus: Prometheus, live: Path, sidecar: Sidecar
) -> None:
    async with sidecar(reload_url=prometheus.reload_url):
        report = await server.reported(applied(GOOD))

    assert live.read_bytes() == GOOD
    assert await prometheus.alerts() == {"First", "AlertAgentConfig"}
    assert report | {"sync_time": "", "duration_ms": 0} == {
        "cluster_id": "c1",
        "config_type": "prometheus",
        "status": "success",
        "sync_time": "",
        "error_message": None,
        "config_hash": sha256(GOOD),
        "instance": "test-1",
        "applied_hash": sha256(GOOD),
        "rejected_hash": None,
        "phase": "observed",
        "error_class": None,
        "checker": "promtool",
        "target_version": "2.42.0+ds",
        "duration_ms": 0,
    }


async def test_a_change_of_100_rules_runs_within_half_a_second(
    server: ConfigServer, prometheus: Prometheus, sidecar: Sidecar
) -> None:
    changed = rule_file(*(f"Rule{number}" for number in range(100)))
    async with sidecar(reload_url=prometheus.reload_url):
        await server.reported(applied(GOOD))
        await server.polled(2)

        started = time.monotonic()
        await server.offer(changed)
        await server.reported(applied(changed))

        assert time.monotonic() - started < 0.5
    assert "Rule99" in await prometheus.alerts()


async def test_a_cluster_without_rules_gets_a_file_without_rules(
    server: ConfigServer, prometheus: Prometheus, sidecar: Sidecar
) -> None:
    await server.offer(rule_file())
    async with sidecar(reload_url=prometheus.reload_url):
        await server.reported(applied(rule_file()))

    assert await prometheus.alerts() == {"AlertAgentConfig"}


async def test_a_quiet_server_is_asked_with_the_applied_hash_and_told_that_we_live(
    server: ConfigServer, prometheus: Prometheus, sidecar: Sidecar
) -> None:
    async with sidecar(reload_url=prometheus.reload_url):
        await server.polled(3)

    assert server.polls == [None, f'"{sha256(GOOD)}"', f'"{sha256(GOOD)}"']


async def test_a_refused_first_configuration_is_removed_where_nothing_stood(
    server: ConfigServer, prometheus: Prometheus, live: Path, sidecar: Sidecar
) -> None:
    await server.offer(BAD)
    async with sidecar(reload_url=prometheus.reload_url, checker="off"):
        report = await server.reported(failed("refused"))

        assert not live.exists()
        assert report["applied_hash"] is None


async def test_a_rejected_hash_is_tried_again_more_and_more_seldom(
    server: ConfigServer, prometheus: Prometheus, live: Path, sidecar: Sidecar
) -> None:
    async with sidecar(reload_url=prometheus.reload_url):
        await server.reported(applied(GOOD))
        await server.offer(BAD)
        await server.reported(failed("check"))
        await eventually(lambda: _attempts(live) >= 2)

    assert len(server.polls) <= 4 * _attempts(live) + 2


async def test_going_back_from_a_rejected_configuration_ends_the_failure(
    server: ConfigServer, prometheus: Prometheus, sidecar: Sidecar
) -> None:
    async with sidecar(reload_url=prometheus.reload_url):
        await server.reported(applied(GOOD))
        await server.offer(BAD)
        await server.reported(failed("check"))
        server.reports.clear()
        await server.offer(GOOD)
        report = await server.reported(applied(GOOD))

    assert report["rejected_hash"] is None


async def _empty(_: web.Request, __: bytes) -> web.StreamResponse:
    return web.Response(body=b"")


async def _html(_: web.Request, __: bytes) -> web.StreamResponse:
    return web.Response(text="<html>Sign in</html>", content_type="text/html")


async def _cut(_: web.Request, body: bytes) -> web.StreamResponse:
    # At the end of a line, where promtool still accepts it.
    return web.Response(body=b"".join(body.splitlines(keepends=True)[:5]), headers=answer(body).headers.copy())


async def _other_hash(_: web.Request, body: bytes) -> web.StreamResponse:
    return web.Response(body=body, headers={"X-Config-Hash": sha256(b"another")})


async def _other_etag(_: web.Request, body: bytes) -> web.StreamResponse:
    return web.Response(body=body, headers={"X-Config-Hash": sha256(body), "ETag": '"another"'})


async def _without_marker(_: web.Request, __: bytes) -> web.StreamResponse:
    return answer(b"groups: []\n")


async def _torn(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"X-Config-Hash": sha256(body), "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[:40])
    assert request.transport is not None
    request.transport.abort()
    return response


@pytest.mark.parametrize("lie", [_empty, _html, _cut, _other_hash, _other_etag, _without_marker, _torn])
async def test_what_is_not_as_announced_touches_nothing(
    lie: Any, server: ConfigServer, prometheus: Prometheus, live: Path, sidecar: Sidecar
) -> None:
    async with sidecar(reload_url=prometheus.reload_url):
        await server.reported(applied(GOOD))
        before = live.stat()
        server.lie = lie
        await server.offer(BETTER)
        report = await server.reported(failed("integrity"))

        assert (live.stat(), live.read_bytes()) == (before, GOOD)
        assert report["applied_hash"] == sha256(GOOD)
        assert report["rejected_hash"] is None

        server.lie = None
        await server.reported(applied(BETTER))


async def test_the_server_goes_and_comes_back(
    server: ConfigServer, prometheus: Prometheus, live: Path, sidecar: Sidecar
) -> None:
    async with sidecar(reload_url=prometheus.reload_url):
        await server.reported(applied(GOOD))
        await server.stop()
        server.body = BETTER
        await server.start()
        await server.reported(applied(BETTER))

    assert live.read_bytes() == BETTER


async def test_an_edited_live_file_is_restored_reloaded_and_reported(
    server: ConfigServer, prometheus: Prometheus, live: Path, sidecar: Sidecar
) -> None:
    async with sidecar(reload_url=prometheus.reload_url):
        await server.reported(applied(GOOD))
        # The edit keeps the marker, so only a reload can bring the rule back.
        live.write_bytes(GOOD.replace(b"First", b"Edited"))
        await _reload(prometheus)
        report = await server.reported(lambda report: report["error_class"] == "drift")

        assert live.read_bytes() == GOOD
        assert await prometheus.alerts() == {"First", "AlertAgentConfig"}
        assert (report["status"], report["phase"]) == ("success", "observed")


async def test_an_edit_is_undone_even_while_the_server_is_away(
    server: ConfigServer, prometheus: Prometheus, live: Path, sidecar: Sidecar
) -> None:
    async with sidecar(reload_url=prometheus.reload_url):
        await server.reported(applied(GOOD))
        await server.stop()
        with live.open("ab") as file:
            file.write(b"# mine\n")

        await eventually(lambda: live.read_bytes() == GOOD)


async def test_without_the_lifecycle_api_the_operator_is_told_what_to_do(
    server: ConfigServer, tmp_path: Path, live: Path, sidecar: Sidecar
) -> None:
    closed = Prometheus(tmp_path, lifecycle=False)
    async with running(closed) as prometheus, sidecar(reload_url=prometheus.reload_url):
        report = await server.reported(failed("forbidden"))

        assert "--web.enable-lifecycle" in report["error_message"]
        assert live.read_bytes() == GOOD


async def test_rules_that_prometheus_does_not_look_at_are_not_applied(
    server: ConfigServer, tmp_path: Path, live: Path, sidecar: Sidecar
) -> None:
    elsewhere = Prometheus(tmp_path, rule_files=str(tmp_path / "elsewhere" / "*.yml"))
    async with running(elsewhere) as prometheus, sidecar(reload_url=prometheus.reload_url):
        report = await server.reported(failed("not_applied"))

        assert (report["phase"], report["rejected_hash"]) == ("reloaded", sha256(GOOD))
        assert not live.exists()


async def test_a_kept_failure_is_told_once_the_server_takes_reports_again(
    server: ConfigServer, prometheus: Prometheus, sidecar: Sidecar
) -> None:
    server.refuses_reports = True
    async with sidecar(reload_url=prometheus.reload_url):
        await eventually(lambda: _runs(prometheus, {"First", "AlertAgentConfig"}))
        server.refuses_reports = False
        await server.reported(applied(GOOD))


async def test_a_reload_owed_by_a_killed_sidecar_is_made_up_for(
    server: ConfigServer, prometheus: Prometheus, live: Path, sidecar: Sidecar
) -> None:
    """Written and renamed, then killed: Prometheus still runs what it ran before."""
    async with sidecar(reload_url=prometheus.reload_url, once=True) as task:
        assert await task == 0
    assert await prometheus.alerts() == set()
    await server.stop()
    async with sidecar(reload_url=prometheus.reload_url):
        await eventually(lambda: _runs(prometheus, {"First", "AlertAgentConfig"}))


async def test_vmalert_answers_200_and_only_the_marker_tells(
    server: ConfigServer, tmp_path: Path, live: Path, sidecar: Sidecar
) -> None:
    before, good, better = (rule_file(name, interval="1s") for name in ("Before", "Good", "Better"))
    # vmalert's own check passes this one; without -remoteWrite.url its reload refuses it and still answers 200.
    recording = good.replace(b"- alert: Good", b"- record: good:sum")
    recording = recording.replace(f"{marker.revision_of(good)}".encode(), f"{marker.revision_of(recording)}".encode())
    live.write_bytes(before)
    await server.offer(good)
    vmalert = Vmalert(tmp_path, live)
    proof = timedelta(seconds=3)
    async with running(vmalert), sidecar(config_type="vmalert", reload_url=vmalert.reload_url, proof=proof):
        await server.reported(applied(good))
        await server.offer(recording)
        report = await server.reported(failed("not_applied"))

        assert report["checker"] == "vmalert"
        assert live.read_bytes() == good
        assert await vmalert.alerts() == {"Good", "AlertAgentConfig"}
        await server.offer(better)
        await server.reported(applied(better))


def _attempts(live: Path) -> int:
    rejected = LiveFile(live).load_state().rejected
    return rejected.attempts if rejected else 0


async def _runs(prometheus: Prometheus, alerts: set[str]) -> bool:
    return await prometheus.alerts() == alerts


async def _reload(prometheus: Prometheus) -> None:
    async with aiohttp.ClientSession() as session, session.post(prometheus.reload_url) as response:
        assert response.status == 200
