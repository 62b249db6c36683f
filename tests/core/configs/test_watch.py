"""Waking across processes: two pools stand for two processes."""

import asyncio

import pytest

from alertagent.core.configs.watch import CHANNEL, ConfigWatch
from alertagent.storage.database import Database
from alertagent.storage.listening import Listening


async def test_a_change_told_elsewhere_wakes_those_who_wait_for_it(database_url: str) -> None:
    async with Database.connect(database_url) as here, Database.connect(database_url) as there, asyncio.timeout(10):
        listening = Listening(here)
        watch = ConfigWatch(listening)
        waits = [watch.next_change("c1/prometheus"), watch.next_change("c1/prometheus")]
        begun = watch.next_change("begun")
        task = asyncio.create_task(listening.run())
        # Whoever waited before listening began may have missed something, so all are woken once.
        await begun.wait()
        assert all(event.is_set() for event in waits)

        waits, other = [watch.next_change("c1/prometheus") for _ in range(2)], watch.next_change("c2/prometheus")
        await there.execute(f"SELECT pg_notify('{CHANNEL}', 'c1/prometheus')")
        for event in waits:
            await event.wait()

        assert not other.is_set()
        task.cancel()
        await asyncio.wait([task])


async def test_a_lost_connection_wakes_everybody_and_listens_again(database_url: str) -> None:
    async with Database.connect(database_url) as database, asyncio.timeout(20):
        listening = Listening(database)
        watch = ConfigWatch(listening)
        begun = watch.next_change("c1/prometheus")
        task = asyncio.create_task(listening.run())
        await begun.wait()

        waiting = watch.next_change("c1/prometheus")
        await database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%' AND pid <> pg_backend_pid()"
        )
        await waiting.wait()

        waiting = watch.next_change("c1/prometheus")
        await database.execute(f"SELECT pg_notify('{CHANNEL}', 'c1/prometheus')")
        await waiting.wait()
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize("asked_before", [True, False])
async def test_once_closed_nobody_waits(database_url: str, asked_before: bool) -> None:
    async with Database.connect(database_url) as database:
        watch = ConfigWatch(Listening(database))
        early = watch.next_change("c1/prometheus")

        watch.close()

        assert (early if asked_before else watch.next_change("c1/prometheus")).is_set()
