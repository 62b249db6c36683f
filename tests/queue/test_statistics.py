import asyncio
from datetime import UTC, datetime, timedelta

from alertagent.kernel.errors import Permanent
from alertagent.queue.connection import connect
from alertagent.queue.options import QueueOptions
from alertagent.queue.statistics import InRedis, Statistics
from alertagent.queue.task import Task
from tests.queue.bench import QUEUE, Bench, task, until
from tests.support.waiting import Inbox

ONE_AT_A_TIME = QueueOptions(default_concurrency=1, grace=timedelta())


async def test_a_queue_that_was_never_used_is_empty(bench: Bench) -> None:
    found = (await Statistics([QUEUE], redis=bench.redis, ledger=bench.ledger).read())[QUEUE]

    assert (found.due, found.oldest, found.rate, found.paused, found.depth) == (0, timedelta(), 0, False, 0)
    assert found.redis == InRedis(depth={2: 0, 1: 0, 0: 0}, held=0, delayed=0, dead=0, consumers=0)


async def test_it_tells_what_waits_runs_is_delayed_and_dead(bench: Bench) -> None:
    started: Inbox[Task] = Inbox()

    async def work(task: Task) -> None:
        if task.payload:
            raise Permanent("no")
        started.add(task)
        await asyncio.Event().wait()

    later = datetime.now(UTC) + timedelta(seconds=30)
    async with bench.workers({"note": work}, options=ONE_AT_A_TIME):
        await bench.enqueue(task(payload={"dead": True}))
        await bench.finished(1)
        await bench.enqueue(task(), task(due=later))
        await started.wait_for(1)
        await bench.enqueue(*(task(priority=priority) for priority in (0, 1, 1, 2, 2)))
        await bench.ledger.pause(bench.database, QUEUE, "ann")
        await until(lambda: _rung(bench))
        found = (await Statistics([QUEUE, "other"], redis=bench.redis, ledger=bench.ledger).read())[QUEUE]

    assert (found.due, found.paused_by, found.paused, found.rate) == (6, "ann", True, 0.1)
    assert timedelta() < found.oldest < timedelta(seconds=5)
    assert found.redis
    assert found.redis.held + sum(found.redis.depth.values()) == 6
    assert found.redis.held >= 1
    assert (found.redis.delayed, found.redis.dead, found.redis.consumers) == (1, 1, 1)


async def test_without_redis_the_ledger_says_how_much_is_due(bench: Bench) -> None:
    async with connect("redis://127.0.0.1:1/0") as away:
        await bench.enqueue(task(), task())
        found = (await Statistics([QUEUE], redis=away, ledger=bench.ledger).read())[QUEUE]

    assert (found.redis, found.depth) == (None, 2)


async def _rung(bench: Bench) -> bool:
    """Whether Redis has heard of all that was committed: one that runs, five that wait, one that is delayed."""
    return await bench.entries() == 7 and int(await bench.redis.zcard(bench.keys.delayed)) == 1
