"""The process: how it starts, how it ends, what it costs."""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from alertagent.sidecar.main import Options, run
from tests.sidecar.conftest import Sidecar
from tests.support.config_server import TOKEN, ConfigServer, rule_file, sha256
from tests.support.prometheus import Prometheus, eventually, free_port

Process = asyncio.subprocess.Process
GOOD = rule_file("First")


@asynccontextmanager
async def started(server: ConfigServer, live: Path, reload_url: str, **words: Any) -> AsyncIterator[Process]:
    words |= {
        "endpoint": server.url,
        "cluster_id": "c1",
        "config_type": "prometheus",
        "config_path": str(live),
        "reload_url": reload_url,
        "token": TOKEN,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.sidecar.started", json.dumps(words), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_0(
    number: signal.Signals, server: ConfigServer, live: Path, prometheus: Prometheus
) -> None:
    async with started(server, live, prometheus.reload_url) as process:
        await server.polled(2)
        process.send_signal(number)
        async with asyncio.timeout(5):
            output, _ = await process.communicate()

    assert process.returncode == 0
    assert b"sidecar.stopped" in output
    assert TOKEN.encode() not in output


async def test_a_second_one_in_the_same_directory_exits_3(
    server: ConfigServer, live: Path, sidecar: Sidecar, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    async with sidecar():
        await server.polled(1)
        assert await run(options) == 3

    assert "another sidecar already owns" in capsys.readouterr().out


async def test_once_writes_and_asks_no_target(server: ConfigServer, live: Path, options: Options) -> None:
    assert await run(replace(options, once=True)) == 0
    assert await run(replace(options, once=True)) == 0

    assert live.read_bytes() == GOOD
    assert server.reports == []


async def test_once_refuses_what_the_checker_refuses(
    server: ConfigServer, live: Path, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    live.write_bytes(b"groups: []\n")
    await server.offer(rule_file("Broken", expr="sum("))

    assert await run(replace(options, once=True)) == 1
    assert live.read_bytes() == b"groups: []\n"
    assert "parse error" in capsys.readouterr().out


async def test_once_says_when_the_server_is_away(
    server: ConfigServer, live: Path, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    await server.stop()

    assert await run(replace(options, once=True)) == 1
    assert not live.exists()
    assert "not reachable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"config_type": "nagios"}, "prometheus, vmalert, alertmanager"),
        ({"reload_url": "http://host:9090"}, "/-/reload"),
        ({"endpoint": "alertagent:9000"}, "https://HOST"),
        ({"checker": "/no/such/tool"}, "/no/such/tool"),
        ({"config_path": Path("/no/such/directory/rules.yml")}, "/no/such/directory"),
        ({"listen": ("256.0.0.1", 1)}, "cannot listen"),
    ],
)
async def test_what_cannot_work_is_one_clear_line_and_1(
    change: dict[str, Any], words: str, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(replace(options, **change)) == 1
    assert words in capsys.readouterr().out


def test_the_token_is_not_shown_with_the_options(options: Options) -> None:
    assert TOKEN not in repr(options)


@pytest.mark.parametrize(("interval", "wait"), [(0.2, 1), (30, 30), (600, 60)])
def test_a_poll_is_held_for_the_interval_and_a_minute_at_most(interval: float, wait: int, options: Options) -> None:
    changed = replace(options, sync_interval=timedelta(seconds=interval))

    assert changed.wait == timedelta(seconds=wait)


async def test_kills_at_any_time_leave_a_whole_file_and_the_last_start_applies(
    server: ConfigServer, prometheus: Prometheus, live: Path
) -> None:
    bodies = [rule_file(*(f"{name}{number}" for number in range(500))) for name in "AB"]
    for turn in range(10):
        await server.offer(bodies[turn % 2])
        polls = len(server.polls)
        async with started(server, live, prometheus.reload_url) as process:
            await server.polled(polls + 1)
            # Somewhere in the 0.2 s or so that an apply takes.
            await asyncio.sleep(random.random() * 0.2)
            process.kill()
        assert not live.exists() or live.read_bytes() in bodies

    server.reports.clear()
    async with started(server, live, prometheus.reload_url):
        await server.reported(lambda report: report["applied_hash"] == sha256(server.body))
        assert live.read_bytes() == server.body
        assert not list(live.parent.glob(".*.tmp"))


async def test_it_is_light(server: ConfigServer, prometheus: Prometheus, live: Path) -> None:
    port = free_port()
    async with started(server, live, prometheus.reload_url, listen=["127.0.0.1", port]) as process:
        await eventually(lambda: _answers(port, "/healthz"), within=30)
        took = _processor_seconds(process)
        await eventually(lambda: _answers(port, "/readyz"), within=30)
        memory = _resident(process)

    assert took <= 0.8
    assert memory <= 48 << 20


def _processor_seconds(process: Process) -> float:
    """What it has worked, however busy the machine is with other things."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(process: Process) -> int:
    pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


async def _answers(port: int, path: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
