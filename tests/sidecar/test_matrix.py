"""What may go wrong between a server and each type of target, with everything real: binaries, files, HTTP."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.sidecar.conftest import Sidecar
from tests.sidecar.stands import Stand, files_of, files_on
from tests.support.config_server import ConfigServer, sha256
from tests.support.prometheus import eventually, free_port, running


def applied(body: bytes) -> Any:
    return lambda report: report["status"] == "success" and report["applied_hash"] == sha256(body)


def failed(error_class: str) -> Any:
    return lambda report: report["status"] == "failed" and report["error_class"] == error_class


async def test_a_change_is_checked_loaded_proven_and_reported(
    server: ConfigServer, up: Stand, sidecar: Sidecar
) -> None:
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
        assert await up.runs("First")
        await server.offer(up.better)
        report = await server.reported(applied(up.better))

        assert await up.runs("First", "Second")
    assert up.is_on_disk(up.better)
    assert (report["checker"], report["phase"], report["rejected_hash"]) == (up.tool, "observed", None)


async def test_a_restart_finds_what_runs_and_reloads_nothing(server: ConfigServer, up: Stand, sidecar: Sidecar) -> None:
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
    server.polls.clear()
    server.reports.clear()
    port = free_port()
    async with sidecar(up, listen=("127.0.0.1", port)):
        await server.reported(applied(up.good))

        assert server.polls[0] == f'"{sha256(up.good)}"'
        assert await metric(port, "reloads_total") == 0


async def test_what_the_tool_refuses_is_never_put_in_place(server: ConfigServer, up: Stand, sidecar: Sidecar) -> None:
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
        before = up.live.stat()
        await server.offer(up.bad)
        report = await server.reported(failed("check"))

        assert up.live.stat() == before
        assert (report["applied_hash"], report["rejected_hash"]) == (sha256(up.good), sha256(up.bad))
        assert report["error_message"].startswith(f"{up.tool}: ")
        await server.offer(up.better)
        await server.reported(applied(up.better))
    assert up.is_on_disk(up.better)


async def test_what_the_target_refuses_is_rolled_back_at_once(
    server: ConfigServer, up: Stand, sidecar: Sidecar
) -> None:
    await server.offer(up.good)
    async with sidecar(up, checker="off"):
        await server.reported(applied(up.good))
        await server.offer(up.bad)
        report = await server.reported(failed(up.refusal))

        assert up.is_on_disk(up.good)
        assert (report["applied_hash"], report["checker"]) == (sha256(up.good), "unchecked")
        # A bad file left behind would stop the target's next start.
        await up.target.stop()
        await up.target.start()
        assert await up.runs("First")
        await server.offer(up.better)
        await server.reported(applied(up.better))
        assert await up.runs("First", "Second")


async def test_the_first_configuration_if_refused_gives_way_to_what_stood_there(
    server: ConfigServer, idle: Stand, sidecar: Sidecar
) -> None:
    theirs = files_of(idle.make("Theirs"))[""]
    if idle.config_type != "alertmanager":
        idle.live.write_bytes(theirs[: theirs.rfind(b"- name: alertagent:meta")])
    before = files_on(idle.live)
    await server.offer(idle.bad)
    async with running(idle.target), sidecar(idle, checker="off"):
        report = await server.reported(failed(idle.refusal))

        assert files_on(idle.live) == before
        assert report["applied_hash"] is None


async def test_without_its_tool_a_configuration_is_at_least_looked_at(
    server: ConfigServer, up: Stand, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    await server.offer(up.good)
    async with sidecar(up):
        report = await server.reported(applied(up.good))
        assert report["checker"] == "unchecked"
        await server.offer(up.nonsense)
        report = await server.reported(failed("check"))

        assert up.is_on_disk(up.good)
        assert report["rejected_hash"] == sha256(up.nonsense)


async def test_a_tool_that_dies_is_no_obstacle_and_the_report_says_unchecked(
    server: ConfigServer, up: Stand, sidecar: Sidecar, tmp_path: Path
) -> None:
    dying = tmp_path / "dying"
    dying.write_text("#!/bin/sh\nkill -9 $$\n")
    dying.chmod(0o755)
    await server.offer(up.good)
    async with sidecar(up, checker=str(dying)):
        report = await server.reported(applied(up.good))

    assert report["checker"] == "unchecked"


async def test_a_target_that_starts_late_is_reloaded_and_nothing_is_rolled_back(
    server: ConfigServer, idle: Stand, sidecar: Sidecar
) -> None:
    await server.offer(idle.good)
    async with sidecar(idle):
        report = await server.reported(failed("unreachable"))
        assert report["rejected_hash"] is None
        assert idle.is_on_disk(idle.good)
        async with running(idle.target):
            await server.reported(applied(idle.good))

            assert await idle.runs("First")


async def test_a_change_made_while_the_target_is_down_runs_when_it_is_back(
    server: ConfigServer, up: Stand, sidecar: Sidecar
) -> None:
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
        await up.target.stop()
        await server.offer(up.better)
        await server.reported(failed("unreachable"))
        # Until the new one is proven, the templates of the old one stay for the way back.
        await eventually(lambda: files_of(up.better).items() <= files_on(up.live).items())
        await up.target.start()
        await server.reported(applied(up.better))

        assert await up.runs("First", "Second")


async def test_an_edited_file_is_restored_reloaded_and_reported(
    server: ConfigServer, up: Stand, sidecar: Sidecar
) -> None:
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
        up.live.write_bytes(up.live.read_bytes().replace(b"First", b"Edited"))
        await reload(up)
        report = await server.reported(lambda report: report["error_class"] == "drift")

        assert up.is_on_disk(up.good)
        await eventually(lambda: up.runs("First"))
        assert report["status"] == "success"


async def test_a_removed_file_is_restored(server: ConfigServer, up: Stand, sidecar: Sidecar) -> None:
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
        up.live.unlink()
        await server.reported(lambda report: report["error_class"] == "drift")

        assert up.is_on_disk(up.good)


async def test_an_edit_that_took_the_last_good_copy_along_is_fetched_anew(
    server: ConfigServer, up: Stand, sidecar: Sidecar
) -> None:
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
        server.reports.clear()
        next(up.live.parent.glob(".*last-good")).unlink()
        up.live.write_bytes(b"# mine\n" + up.live.read_bytes())
        await server.reported(applied(up.good))

        await eventually(lambda: up.is_on_disk(up.good))


async def test_there_and_back_ends_where_it_began_with_three_reloads_at_most(
    server: ConfigServer, up: Stand, sidecar: Sidecar
) -> None:
    port = free_port()
    await server.offer(up.good)
    async with sidecar(up, listen=("127.0.0.1", port)):
        await server.polled(1)
        await server.offer(up.better)
        await server.offer(up.good)
        await server.polled(3)
        await server.reported(applied(up.good))
        await eventually(lambda: up.is_on_disk(up.good))

        assert await up.runs("First")
        assert await metric(port, "reloads_total") <= 3


async def _broken(_: web.Request, __: bytes) -> web.StreamResponse:
    return web.Response(status=500, text="out of order")


async def _silent(_: web.Request, __: bytes) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("lie", [_broken, _silent])
async def test_a_server_out_of_order_touches_nothing_and_is_not_hammered(
    lie: Any, server: ConfigServer, up: Stand, sidecar: Sidecar
) -> None:
    port = free_port()
    await server.offer(up.good)
    async with sidecar(up, listen=("127.0.0.1", port)):
        await server.reported(applied(up.good))
        before = up.live.stat()
        server.lie = lie
        polls = len(server.polls)
        await asyncio.sleep(3)

        # Each pause is drawn from twice as long a span as the one before.
        assert len(server.polls) - polls <= 12
        assert up.live.stat() == before
        assert await status(port, "/healthz") == await status(port, "/readyz") == 200
        server.reports.clear()
        server.lie = None


async def test_a_restart_is_ready_while_the_server_is_away(server: ConfigServer, up: Stand, sidecar: Sidecar) -> None:
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
    await server.stop()
    port = free_port()
    async with sidecar(up, listen=("127.0.0.1", port)):
        await eventually(lambda: answers(port, "/readyz"))

        assert await metric(port, "target_up") == 1
    assert up.is_on_disk(up.good)


async def test_the_wrong_address_is_one_clear_line(
    server: ConfigServer, up: Stand, sidecar: Sidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    await server.offer(up.good)
    wrong = f"{up.target.url}/somewhere/else/-/reload"
    async with sidecar(up, reload_url=wrong):
        report = await server.reported(failed("misdirected"))
        await server.polled(3)

    assert "is the reload URL right?" in report["error_message"]
    assert up.is_on_disk(up.good)
    assert capsys.readouterr().out.count("is the reload URL right?") == 1
    assert len(server.polls) < 8


async def test_two_sidecars_of_one_directory_are_one_too_many(
    server: ConfigServer, up: Stand, sidecar: Sidecar
) -> None:
    await server.offer(up.good)
    async with sidecar(up):
        await server.polled(1)
        async with sidecar(up) as second:
            assert await second == 3


async def test_once_writes_what_is_wanted_with_its_templates_and_asks_no_target(
    server: ConfigServer, idle: Stand, sidecar: Sidecar
) -> None:
    await server.offer(idle.good)
    async with sidecar(idle, once=True) as task:
        assert await task == 0
    assert idle.is_on_disk(idle.good)

    async with running(idle.target), sidecar(idle):
        await server.reported(applied(idle.good))


async def test_a_disk_that_takes_no_more_changes_nothing(
    server: ConfigServer, up: Stand, sidecar: Sidecar, full_disk: Any
) -> None:
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
        before = files_on(up.live)
        large = up.make(*(f"R{number}" for number in range(2000)))
        with full_disk(1 << 14):
            await server.offer(large)
            report = await server.reported(failed("io"))
            assert files_on(up.live) | before == files_on(up.live)
        assert report["rejected_hash"] is None
        await server.reported(applied(large))

    assert up.is_on_disk(large)
    assert not list(up.live.parent.glob(".*.tmp"))


async def metric(port: int, name: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as response:
        lines = (await response.text()).splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"alertagent_sidecar_{name} "))


async def status(port: int, path: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status


async def answers(port: int, path: str) -> bool:
    try:
        return await status(port, path) == 200
    except aiohttp.ClientError:
        return False


async def reload(stand: Stand) -> None:
    async with aiohttp.ClientSession() as session, session.post(stand.target.reload_url) as response:
        assert response.status == 200
