import asyncio

from alertagent.kernel.errors import Unavailable
from alertagent.queue.options import QueueOptions
from alertagent.queue.streams import GROUP
from alertagent.queue.task import Task
from tests.queue.bench import QUEUE, Bench, task, until
from tests.support.waiting import Inbox


async def nothing(_: Task) -> None:
    pass


async def test_a_paused_queue_starts_nothing_until_it_is_resumed(bench: Bench) -> None:
    gate, ran = asyncio.Event(), Inbox[Task]()

    async def run(task: Task) -> None:
        ran.add(task)
        await gate.wait()

    async with bench.workers({"note": run}, options=QueueOptions(default_concurrency=1)):
        await bench.enqueue(*(task() for _ in range(3)))
        await ran.wait_for(1)
        await bench.ledger.pause(bench.database, QUEUE, "ann")
        await until(lambda: _paused(bench))
        await asyncio.sleep(0.2)
        gate.set()
        assert await bench.finished(1) == ["completed"]
        await asyncio.sleep(0.2)
        assert len(ran.items) == 1

        await bench.ledger.resume(bench.database, QUEUE)
        await bench.finished(3, timeout=1)


async def test_a_paused_worker_keeps_nothing_that_it_does_not_run(bench: Bench) -> None:
    gate = asyncio.Event()

    async def run(_: Task) -> None:
        await gate.wait()

    async with bench.workers({"note": run}, options=QueueOptions(default_concurrency=1)):
        await bench.enqueue(*(task() for _ in range(4)))
        await until(lambda: _held(bench, 2))
        await bench.ledger.pause(bench.database, QUEUE, "ann")
        await until(lambda: _held(bench, 1))
        await bench.enqueue(task())
        gate.set()
        await bench.finished(1)
        await until(lambda: _held(bench, 0))
        assert await bench.entries() == 4

        await bench.ledger.resume(bench.database, QUEUE)
        assert await bench.finished(5) == ["completed"] * 5


async def test_a_pause_holds_for_workers_that_come_later_and_though_redis_is_flushed(bench: Bench) -> None:
    await bench.ledger.pause(bench.database, QUEUE, "ann")
    await bench.ledger.pause(bench.database, QUEUE, "bob")
    await bench.enqueue(task())
    async with bench.workers({"note": nothing}):
        await bench.redis.flushdb()
        await asyncio.sleep(0.5)
        assert bench.observer.finished.items == []

        await bench.ledger.resume(bench.database, QUEUE)
        assert await bench.finished(1) == ["completed"]


async def test_orders_come_through_though_the_connection_is_lost(bench: Bench) -> None:
    async with bench.workers({"note": nothing}):
        await bench.enqueue(task())
        await bench.finished(1)
        await bench.database.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        await until(lambda: _ordered(bench))
        await asyncio.sleep(0.3)
        await bench.enqueue(task())
        await asyncio.sleep(0.3)
        assert len(bench.observer.finished.items) == 1


async def _paused(bench: Bench) -> bool:
    return (await bench.ledger.backlogs([QUEUE]))[QUEUE].paused_by is not None


async def _ordered(bench: Bench) -> bool:
    """Whether a pause could be ordered: the pool may still hand out connections that were cut."""
    try:
        await bench.ledger.pause(bench.database, QUEUE, "ann")
    except Unavailable:
        return False
    return True


async def _held(bench: Bench, count: int) -> bool:
    pending = [await bench.redis.xpending(stream, GROUP) for stream in bench.keys.streams]
    return sum(int(each["pending"]) for each in pending) == count
