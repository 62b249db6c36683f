"""Notifications for several hearers on one connection, and how far they can be trusted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from alertagent.storage.database import Database
from alertagent.storage.listening import Listening
from tests.support.prometheus import eventually


@dataclass
class Hearer:
    heard: list[str] = field(default_factory=list)
    doubts: int = 0

    def doubt(self) -> None:
        self.doubts += 1


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.connect(database_url) as database:
        yield database


async def test_each_hears_its_own_channels_and_all_are_told_when_it_begins(database: Database) -> None:
    listening, one, other = Listening(database), Hearer(), Hearer()
    listening.subscribe({"a": one.heard.append, "b": one.heard.append}, one.doubt)
    listening.subscribe({"b": other.heard.append}, other.doubt)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(listening.run())
        await eventually(lambda: listening.is_live)
        await database.execute("SELECT pg_notify('a', '1'), pg_notify('b', '2'), pg_notify('c', '3')")

        await eventually(lambda: (one.heard, other.heard) == (["1", "2"], ["2"]))
        assert (one.doubts, other.doubts) == (1, 1)
        task.cancel()


async def test_a_lost_connection_begins_a_new_epoch_twice(database: Database) -> None:
    listening, hearer = Listening(database), Hearer()
    listening.subscribe({"a": hearer.heard.append}, hearer.doubt)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(listening.run())
        await eventually(lambda: listening.is_live)
        before = listening.epoch
        with capture_logs() as logs:
            await database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
            )
            await eventually(lambda: listening.epoch == before + 2)

        assert listening.is_live
        assert hearer.doubts == 3
        assert "database.listening_interrupted" in [entry["event"] for entry in logs]
        task.cancel()


async def test_what_this_process_commits_it_hears_at_once(database: Database) -> None:
    listening, hearer = Listening(database), Hearer()
    listening.subscribe({"a": hearer.heard.append}, hearer.doubt)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(listening.run())
        await eventually(lambda: listening.is_live)

        async with database.transaction() as transaction:
            transaction.tell("a", "mine")
            assert hearer.heard == []
        assert hearer.heard == ["mine"]
        with suppress(ZeroDivisionError):
            async with database.transaction() as transaction:
                transaction.tell("a", "rolled back")
                raise ZeroDivisionError
        assert hearer.heard == ["mine"]
        task.cancel()
