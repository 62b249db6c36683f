import signal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from alertagent.engines import EVERYWHERE, Carriers, embedded
from alertagent.engines.account import choose_account
from alertagent.engines.carriers import System
from alertagent.engines.process import Process
from alertagent.kernel.errors import Fatal
from tests.support.engines import PrivatePostgres
from tests.support.processes import running_in


async def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row.values()) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def start(data_dir: Path) -> str:
    """Start PostgreSQL and stop it again. Returns its URL."""
    async with embedded(data_dir, postgres=True, redis=False) as engines:
        assert engines.database_url
        await fetch(engines.database_url, "SELECT 1")
        return engines.database_url


async def test_the_server_is_private_careful_and_small(private_postgres: PrivatePostgres) -> None:
    expected = {
        "data_checksums": "on",
        "fsync": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "max_parallel_workers": "0",
        "max_parallel_workers_per_gather": "0",
        "password_encryption": "scram-sha-256",
        "server_encoding": "UTF8",
        "shared_buffers": "4096",  # pages of 8 KiB
        "synchronous_commit": "on",
        "unix_socket_permissions": "0700",
    }

    settings: dict[str, str] = dict(await fetch(private_postgres.url, "SELECT name, setting FROM pg_settings"))

    assert {name: settings[name] for name in expected} == expected
    assert settings.get("io_method", "sync") == "sync"  # known from 18 on


async def test_texts_are_ordered_by_code_points_and_known_beyond_ascii(private_postgres: PrivatePostgres) -> None:
    ordered = "SELECT 'Z' < 'a' AND 'z' < 'ä', lower('ÄÖÜ')"
    provider = "SELECT datlocprovider::text FROM pg_database WHERE datname = current_database()"

    [(version,)] = await fetch(private_postgres.url, "SELECT current_setting('server_version_num')::int / 10000")

    assert await fetch(private_postgres.url, ordered) == [(True, "äöü")]
    assert await fetch(private_postgres.url, provider) == [("b" if version >= 17 else "c",)]


async def test_our_role_owns_our_database(private_postgres: PrivatePostgres) -> None:
    facts = "current_user, datname, pg_get_userbyid(datdba)"

    found = await fetch(private_postgres.url, f"SELECT {facts} FROM pg_database WHERE datname = current_database()")

    assert found == [("alertagent", "alertagent", "alertagent")]


async def test_nobody_enters_without_the_password(private_postgres: PrivatePostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(private_postgres.url, password="guess")


async def test_what_was_committed_survives_a_kill(private_postgres: PrivatePostgres) -> None:
    await fetch(private_postgres.url, "CREATE TABLE notes AS SELECT 'disk full' AS text")

    await private_postgres.kill()
    await private_postgres.start()

    assert await fetch(private_postgres.url, "SELECT text FROM notes") == [("disk full",)]


async def test_our_environment_does_not_reach_the_server(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGDATABASE", "nowhere")

    await start(data_dir)


async def test_a_pid_file_that_names_a_stranger_is_no_obstacle(data_dir: Path) -> None:
    await start(data_dir)
    # After a reboot the number of a killed server may belong to any process; the same user's alone worry PostgreSQL.
    stranger = Process.spawn(("/bin/sleep", "60"), account=choose_account(()), log=data_dir / "stranger.log")
    pid_file = data_dir / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{stranger.pid}\n{data_dir}/postgres\n1700000000\n5432\n")

    await start(data_dir)

    assert stranger.is_running
    await stranger.stop([(signal.SIGKILL, 5)])


async def test_data_of_another_major_version_is_refused(data_dir: Path) -> None:
    await start(data_dir)
    version = data_dir / "postgres" / "PG_VERSION"
    version.write_text("13\n")

    with pytest.raises(
        Fatal, match=r"postgres was written by PostgreSQL 13, but .* is PostgreSQL 1\d: .*database\.url"
    ):
        await start(data_dir)

    assert running_in(data_dir) == []
    assert version.read_text() == "13\n"


async def test_a_directory_without_a_database_is_not_touched(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "diary").touch()

    with pytest.raises(Fatal, match="postgres is not a PostgreSQL data directory"):
        await start(data_dir)

    assert [path.name for path in (data_dir / "postgres").iterdir()] == ["diary"]


async def test_a_lost_password_is_told_from_a_server_that_is_away(data_dir: Path) -> None:
    await start(data_dir)
    (data_dir / "postgres.password").unlink()

    with pytest.raises(Fatal, match=r"does not take the password in .*postgres\.password"):
        await start(data_dir)

    assert running_in(data_dir) == []


async def test_a_failing_initdb_is_quoted_and_leaves_no_database(data_dir: Path) -> None:
    postgres, initdb = data_dir / "bin" / "postgres", data_dir / "bin" / "initdb"
    postgres.parent.mkdir()
    postgres.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.1'\n")
    initdb.write_text("#!/bin/sh\necho 'initdb: error: could not write file: No space left on device'\nexit 1\n")
    postgres.chmod(0o755)
    initdb.chmod(0o755)
    carriers = Carriers(postgres=(System(programs=(str(postgres),)),), redis=EVERYWHERE.redis)

    with pytest.raises(Fatal, match=r"initdb could not make .*: No space left on device \(log: .*postgres\.log\)"):
        async with embedded(data_dir, postgres=True, redis=False, carriers=carriers):
            pytest.fail("no database to run")

    assert not (data_dir / "postgres").exists()
    await start(data_dir)
