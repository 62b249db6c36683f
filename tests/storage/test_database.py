"""Transactions, notifications, and what an absent server looks like from here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest
from structlog.testing import capture_logs

from alertagent.kernel.errors import Unavailable
from alertagent.storage import database as module
from alertagent.storage.database import Database
from tests.support.engines import PrivatePostgres
from tests.support.prometheus import eventually


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.connect(database_url, connections=4) as database:
        await database.execute("CREATE TABLE notes (id int PRIMARY KEY, body jsonb)")
        yield database


async def written(database: Database) -> list[int]:
    return [row["id"] for row in await database.fetch("SELECT id FROM notes ORDER BY id")]


async def is_away(database: Database) -> bool:
    """The processes of a killed server outlive it by a moment."""
    try:
        await database.fetchval("SELECT 1")
    except Unavailable:
        return True
    return False


async def test_a_transaction_is_stored_whole_at_its_end(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.execute("INSERT INTO notes VALUES (1)")
        assert await transaction.fetchval("SELECT count(*) FROM notes") == 1
        assert await written(database) == []

    assert await written(database) == [1]


async def test_an_exception_takes_everything_back_and_passes_through(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as transaction:
            await transaction.execute("INSERT INTO notes VALUES (1)")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await written(database) == []


async def test_a_cancelled_transaction_is_taken_back_and_its_connection_is_usable(database: Database) -> None:
    async def stuck() -> None:
        async with database.transaction() as transaction:
            await transaction.execute("INSERT INTO notes VALUES (1)")
            await transaction.execute("SELECT pg_advisory_xact_lock(1)")

    async def is_stuck() -> bool:
        return bool(
            await database.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        )

    async with database.transaction() as holder:
        await holder.execute("SELECT pg_advisory_xact_lock(1)")
        for _ in range(6):  # more often than there are connections
            task = asyncio.create_task(stuck())
            await eventually(is_stuck)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    assert await written(database) == []


async def test_what_waits_for_the_commit_runs_once_it_is_durable(database: Database) -> None:
    rung: list[str] = []
    async with database.transaction() as transaction:
        transaction.after_commit(lambda: rung.append("first"))
        transaction.after_commit(lambda: rung.append("second"))
        await transaction.execute("INSERT INTO notes VALUES (1)")
        assert rung == []

    assert rung == ["first", "second"]


async def test_what_waits_for_the_commit_never_runs_when_there_is_none(database: Database) -> None:
    rung: list[str] = []

    async def fail() -> None:
        async with database.transaction() as transaction:
            transaction.after_commit(lambda: rung.append("never"))
            raise LookupError

    async def fail_in_the_commit() -> None:
        async with database.transaction() as transaction:
            transaction.after_commit(lambda: rung.append("never"))
            await transaction.execute("CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
            await transaction.execute("INSERT INTO late VALUES (1), (1)")

    with pytest.raises(LookupError):
        await fail()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await fail_in_the_commit()
    assert rung == []


async def test_a_statements_own_errors_pass_through(database: Database) -> None:
    await database.execute("INSERT INTO notes VALUES (1)")

    with pytest.raises(asyncpg.UniqueViolationError):
        await database.execute("INSERT INTO notes VALUES (1)")
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await database.fetch("SELEC 1")
    with pytest.raises(asyncpg.DataError):
        await database.fetch("SELECT $1::int", "not a number")


async def test_json_survives_the_way_there_and_back(database: Database) -> None:
    values: list[object] = [None, {}, {"a": [1, 2.5, "三", None, True]}, [], "text", 0, 2**53, {"\u2028": "🔥"}]
    for value in values:
        assert await database.fetchval("SELECT $1::jsonb", value) == value


async def test_a_row_that_is_not_there_is_none(database: Database) -> None:
    assert await database.fetchrow("SELECT * FROM notes") is None


async def test_without_a_free_connection_the_caller_is_told_soon(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACQUIRE_TIMEOUT", module.ACQUIRE_TIMEOUT / 20)
    async with Database.connect(database_url, connections=1) as database, database.transaction():
        with capture_logs(), pytest.raises(Unavailable) as caught:
            await database.fetchval("SELECT 1")

    assert caught.value.code == "database.unavailable"
    assert caught.value.retry_after == module.RETRY_AFTER


async def test_a_deadlock_is_worth_another_try(database: Database) -> None:
    await database.execute("INSERT INTO notes VALUES (1), (2)")
    both = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with database.transaction() as transaction:
            await transaction.execute("SET LOCAL deadlock_timeout = '10ms'")
            await transaction.execute("SELECT FROM notes WHERE id = $1 FOR UPDATE", first)
            await both.wait()
            await transaction.execute("SELECT FROM notes WHERE id = $1 FOR UPDATE", second)

    with capture_logs():
        ends = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)

    assert sorted(type(end).__name__ for end in ends) == ["NoneType", "Unavailable"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("://", "://nobody:wrong@"), "nobody"),
        (("/test_", "/no_such_"), "no_such_"),
    ],
)
async def test_a_server_that_does_not_let_us_in_is_as_good_as_away(
    database_url: str, change: tuple[str, str], reason: str
) -> None:
    head, _, tail = database_url.rpartition("@")
    url = (f"postgresql://{tail}" if change[0] == "://" and head else database_url).replace(*change)

    with capture_logs(), pytest.raises(Unavailable, match=reason):
        async with Database.connect(url):
            pass


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with capture_logs(), pytest.raises(Unavailable, match="database is not available"):
        async with Database.connect("postgresql://127.0.0.1:1/none"):
            pass


async def test_a_killed_server_is_unavailable_until_it_is_back(private_postgres: PrivatePostgres) -> None:
    async with Database.connect(private_postgres.url, connections=2) as database:
        assert await database.fetchval("SELECT 1") == 1
        await private_postgres.kill()

        with capture_logs():
            await eventually(lambda: is_away(database))
            for _ in range(4):
                with pytest.raises(Unavailable) as caught:
                    await database.fetchval("SELECT 1")
                assert caught.value.retry_after == module.RETRY_AFTER
            with pytest.raises(Unavailable):
                async with database.transaction():
                    pass

        await private_postgres.start()
        assert await database.fetchval("SELECT 2") == 2


async def test_a_server_killed_inside_a_transaction_ends_it_as_unavailable(private_postgres: PrivatePostgres) -> None:
    rung: list[str] = []

    async def interrupted(database: Database) -> None:
        async with database.transaction() as transaction:
            transaction.after_commit(lambda: rung.append("never"))
            await transaction.execute("CREATE TABLE t (id int)")
            await private_postgres.kill()
            await transaction.execute("SELECT pg_sleep(60)")  # who sleeps notices at once

    async with Database.connect(private_postgres.url, connections=2) as database:
        with capture_logs(), pytest.raises(Unavailable):
            await interrupted(database)

        await private_postgres.start()
        assert await database.fetchval("SELECT to_regclass('t')") is None
    assert rung == []


async def test_a_backend_ended_by_an_administrator_is_unavailable_once(database: Database) -> None:
    async def ended() -> None:
        async with database.transaction() as transaction:
            pid = await transaction.fetchval("SELECT pg_backend_pid()")
            await database.execute("SELECT pg_terminate_backend($1)", pid)
            await transaction.execute("SELECT 1")

    with capture_logs(), pytest.raises(Unavailable):
        await ended()
    assert await database.fetchval("SELECT 1") == 1


class Ear:
    """What was heard, awaitable."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def __call__(self, channel: str, payload: str) -> None:
        self._heard.put_nowait((channel, payload))

    async def next(self) -> tuple[str, str]:
        async with asyncio.timeout(10):
            return await self._heard.get()


async def test_a_listener_first_looks_for_itself_and_then_hears_each_notification(database: Database) -> None:
    ear = Ear()
    task = asyncio.create_task(database.listen(["one", "two"], ear))
    assert await ear.next() == ("", "")

    await database.execute("SELECT pg_notify('one', 'a'), pg_notify('two', '二'), pg_notify('three', 'not ours')")

    assert [await ear.next(), await ear.next()] == [("one", "a"), ("two", "二")]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_listener_whose_connection_is_lost_says_so(database: Database) -> None:
    ear = Ear()
    task = asyncio.create_task(database.listen(["one"], ear))
    await ear.next()

    await database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
    )

    with capture_logs(), pytest.raises(Unavailable):
        async with asyncio.timeout(10):
            await task


async def test_a_listener_that_was_let_go_leaves_its_connection_to_others(database_url: str) -> None:
    async with Database.connect(database_url, connections=1) as database:
        for _ in range(3):
            ear = Ear()
            task = asyncio.create_task(database.listen(["one"], ear))
            await ear.next()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        assert await database.fetchval("SELECT count(*) FROM pg_listening_channels()") == 0
