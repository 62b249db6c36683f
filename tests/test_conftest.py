"""The fixtures that every test with an engine builds on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from alertagent.storage.database import Database
from tests.support import connections
from tests.support.engines import PrivatePostgres, PrivateValkey


async def tables(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [row["tablename"] for row in rows]
    finally:
        await connection.close()


async def test_a_database_has_every_migration(database_url: str) -> None:
    assert "schema_migrations" in await tables(database_url)


async def test_an_empty_database_has_no_table(empty_database_url: str) -> None:
    assert await tables(empty_database_url) == []


@pytest.mark.parametrize("run", [1, 2])
async def test_no_test_sees_what_another_has_written(run: int, database_url: str, redis_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE written (by int)")
    await connection.close()
    async with Redis.from_url(redis_url) as client:
        assert await client.keys() == []
        await client.set("written", run)


async def test_a_database_goes_away_in_spite_of_open_connections(empty_database_url: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    connection.terminate()


async def test_a_frozen_valkey_accepts_and_does_not_answer(private_valkey: PrivateValkey) -> None:
    client = Redis.from_url(private_valkey.url, socket_timeout=0.1, retry=Retry(NoBackoff(), 0))
    assert await client.ping()
    private_valkey.freeze()
    with pytest.raises(RedisTimeoutError):
        await client.ping()

    private_valkey.thaw()
    assert await client.ping()
    await client.aclose()


async def test_a_killed_valkey_refuses_until_it_is_started_again(private_valkey: PrivateValkey) -> None:
    async with Redis.from_url(private_valkey.url, retry=Retry(NoBackoff(), 0)) as client:
        await private_valkey.kill()
        with pytest.raises(RedisConnectionError):
            await client.ping()

        await private_valkey.start()
        assert await client.ping()


async def test_a_frozen_postgres_holds_the_connections_it_has(private_postgres: PrivatePostgres) -> None:
    connection = await asyncpg.connect(private_postgres.url)
    private_postgres.freeze()
    with pytest.raises(TimeoutError):
        await connection.fetchval("SELECT 1", timeout=0.1)

    private_postgres.thaw()
    connection.terminate()
    await (await asyncpg.connect(private_postgres.url)).close()


async def test_who_takes_a_further_connection_of_the_same_pool_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_PRODUCT", __file__)
    pool, other = Database(cast("Any", None)), Database(cast("Any", None))
    places: list[str] = []

    @asynccontextmanager
    async def acquired(_pool: Database) -> AsyncIterator[None]:
        yield

    take = connections.noting_further_ones(acquired, places.append)
    async with take(pool), take(other):
        pass
    async with take(pool):
        pass
    assert not places

    async with take(pool):
        await asyncio.create_task(_taken(take(pool)))

    [place] = places
    assert place.startswith(f"{__file__}:")


async def _taken(one: AbstractAsyncContextManager[Any]) -> None:
    async with one:
        pass
