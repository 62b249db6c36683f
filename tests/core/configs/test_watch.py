"""Waking across processes: two pools stand for two processes."""

import asyncio

import pytest

from alertagent.core.clusters.changes import count_change, generation
from alertagent.core.configs.watch import CHANNEL, ConfigWatch
from alertagent.storage.database import Database
from alertagent.storage.listening import Listening
from tests.support.prometheus import eventually


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


async def test_the_count_is_asked_for_once_and_then_heard(database_url: str) -> None:
    async with Database.connect(database_url) as here, Database.connect(database_url) as there, asyncio.timeout(10):
        listening = Listening(here)
        watch, asked = ConfigWatch(listening), 0

        async def ask() -> int:
            nonlocal asked
            asked += 1
            return await generation(here)

        async def count_elsewhere() -> int:
            number: int = await there.fetchval("UPDATE config_generation SET generation = generation + 1 RETURNING 1")
            return number

        await watch.count(ask)
        assert (asked, watch.generation) == (1, None)  # nobody listens yet
        task = asyncio.create_task(listening.run())
        await eventually(lambda: listening.is_live)
        before = await watch.count(ask)
        assert await watch.count(ask) == before == watch.generation
        assert asked == 2

        await count_elsewhere()
        await eventually(lambda: watch.generation == before + 1)
        async with here.transaction() as transaction:
            await count_change(transaction)
        assert watch.generation == before + 2
        assert asked == 2
        task.cancel()
        await asyncio.wait([task])


async def test_what_was_counted_while_somebody_asked_is_not_missed(database_url: str) -> None:
    async with Database.connect(database_url) as here, asyncio.timeout(10):
        listening = Listening(here)
        watch = ConfigWatch(listening)
        task = asyncio.create_task(listening.run())
        await eventually(lambda: listening.is_live)

        async def slow() -> int:
            number = await generation(here)
            watch.counted(number + 5)
            return number

        before = await generation(here)
        await watch.count(slow)

        assert watch.generation == before + 5
        task.cancel()
        await asyncio.wait([task])


async def test_a_change_of_a_cluster_wakes_all_of_its_types(database_url: str) -> None:
    async with Database.connect(database_url) as here, asyncio.timeout(10):
        listening = Listening(here)
        watch = ConfigWatch(listening)
        task = asyncio.create_task(listening.run())
        await eventually(lambda: listening.is_live)
        mine = [watch.next_change("c1/prometheus"), watch.next_change("c1/vmalert")]
        other = watch.next_change("c10/prometheus")

        async with here.transaction() as transaction:
            await count_change(transaction, "c1")

        assert [event.is_set() for event in [*mine, other]] == [True, True, False]
        task.cancel()
        await asyncio.wait([task])
