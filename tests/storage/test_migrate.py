"""Migrations on fresh, current, edited and newer databases."""

import asyncio

import asyncpg
import pytest
from structlog.testing import capture_logs

from alertagent.kernel.errors import Fatal, Unavailable
from alertagent.storage import migrate as module
from alertagent.storage.migrate import LOCK, Migration, migrate, migrations, status

ALL = [migration.number for migration in migrations()]


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def value(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def test_the_numbers_go_up_one_by_one() -> None:
    assert list(range(1, len(ALL) + 1)) == ALL


async def test_a_fresh_database_gets_them_all_and_a_current_one_none(empty_database_url: str) -> None:
    with capture_logs() as logs:
        assert [each.number for each in await migrate(empty_database_url)] == ALL
        assert await migrate(empty_database_url) == []

    assert [entry["number"] for entry in logs if entry["event"] == "migration.applied"] == ALL


async def test_the_status_changes_nothing(empty_database_url: str) -> None:
    before = await status(empty_database_url)
    assert (before.applied, [each.number for each in before.pending]) == ((), ALL)
    assert await value(empty_database_url, "SELECT to_regclass('schema_migrations')") is None

    with capture_logs():
        await migrate(empty_database_url)
    after = await status(empty_database_url)

    assert (after.applied, after.pending) == (tuple(ALL), ())


async def test_of_several_at_once_one_migrates_and_the_others_find_nothing_to_do(empty_database_url: str) -> None:
    with capture_logs():
        applied = await asyncio.gather(*(migrate(empty_database_url) for _ in range(5)))

    assert sorted(len(each) for each in applied) == [0, 0, 0, 0, len(ALL)]


async def test_the_lock_is_given_back(empty_database_url: str) -> None:
    with capture_logs():
        await migrate(empty_database_url)

    held = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK & 0xFFFFFFFF}"
    assert await value(empty_database_url, held) == 0


async def test_an_applied_migration_that_was_edited_is_refused_by_name(database_url: str) -> None:
    await run(database_url, "UPDATE schema_migrations SET checksum = 'other' WHERE number = 1")

    with pytest.raises(Fatal, match="0001_initial was applied with another content"):
        await migrate(database_url)
    with pytest.raises(Fatal, match="0001_initial"):
        await status(database_url)


async def test_a_newer_database_is_left_alone(database_url: str) -> None:
    newer = "INSERT INTO schema_migrations (number, name, checksum) VALUES (9999, 'future', 'x')"
    await run(database_url, newer)

    assert await migrate(database_url) == []
    assert (await status(database_url)).applied == (*ALL, 9999)


async def test_a_migration_that_fails_leaves_nothing_and_says_which_one(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Migration(9000, "bad", "CREATE TABLE half (id int); SELECT 1/0;")
    monkeypatch.setattr(module, "migrations", lambda: [*migrations(), bad])

    with pytest.raises(Fatal, match="9000_bad failed: division by zero"):
        await migrate(database_url)

    assert await value(database_url, "SELECT to_regclass('half')") is None
    assert (await status(database_url)).pending == (bad,)


async def test_a_role_that_may_not_make_tables_is_told(database_url: str, empty_database_url: str) -> None:
    await run(empty_database_url, "REVOKE ALL ON SCHEMA public FROM PUBLIC", "ALTER SCHEMA public OWNER TO pg_monitor")
    await run(empty_database_url, "CREATE ROLE poor_test LOGIN PASSWORD 'poor'")
    try:
        head, _, tail = empty_database_url.rpartition("@")
        poor = (
            f"postgresql://poor_test:poor@{tail}"
            if head
            else empty_database_url.replace("://", "://poor_test:poor@", 1)
        )
        with pytest.raises(Fatal, match="0001_initial failed: "):
            await migrate(poor)
    finally:
        await run(empty_database_url, "DROP ROLE poor_test")


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with capture_logs(), pytest.raises(Unavailable):
        await migrate("postgresql://127.0.0.1:1/none")
