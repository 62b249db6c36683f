"""Taking over what a killed process left running; tests/engines/test_embedded.py has the ordinary case."""

import signal
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from alertagent.engines import embedded
from alertagent.engines.engine import last_words
from alertagent.engines.process import Process
from tests.support.processes import holder, running_in


async def test_an_orphan_with_other_settings_is_replaced(data_dir: Path) -> None:
    with holder(data_dir, "PrivatePostgres(data_dir, jit='on')") as service:
        service.kill()
    left = running_in(data_dir)

    async with embedded(data_dir, postgres=True, redis=False) as engines:
        assert engines.database_url
        connection = await asyncpg.connect(engines.database_url)
        assert await connection.fetchval("SHOW jit") == "off"
        await connection.close()
        assert len(running_in(data_dir)) == len(left) == 1
        assert running_in(data_dir) != left

    assert running_in(data_dir) == []


async def test_an_orphan_on_its_way_out_is_waited_for(data_dir: Path) -> None:
    with holder(data_dir) as service:
        service.kill()
    left = [Process(pid) for pid in running_in(data_dir)]
    for process in left:
        process.send(signal.SIGTERM)

    async with embedded(data_dir, postgres=True, redis=True) as engines:
        assert engines.database_url
        await (await asyncpg.connect(engines.database_url)).close()

    for process in left:
        await process.ended()
    assert running_in(data_dir) == []


async def test_an_orphan_whose_socket_was_removed_is_replaced(data_dir: Path) -> None:
    with holder(data_dir) as service:
        service.kill()
    (data_dir / "run" / "valkey.sock").unlink()

    async with embedded(data_dir, postgres=True, redis=True) as engines:
        assert engines.redis_url
        async with Redis.from_url(engines.redis_url) as client:
            assert await client.ping()

    assert running_in(data_dir) == []


def test_last_words_fit_on_one_line(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("one\ntwo\n\n  three\nfour\n")

    assert last_words(log) == f"two | three | four (log: {log})"


def test_a_silent_end_is_called_so(tmp_path: Path) -> None:
    assert last_words(tmp_path / "missing.log").startswith("it said nothing")
