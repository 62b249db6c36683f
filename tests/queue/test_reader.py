"""Which of the waiting tasks are read first."""

import asyncio

from alertagent.queue.options import QueueOptions
from alertagent.queue.task import Task
from tests.queue.bench import Bench, task, until
from tests.support.waiting import Inbox

FIVE = QueueOptions(default_concurrency=5)


async def test_a_backlog_of_several_priorities_is_read_from_the_highest(bench: Bench) -> None:
    ran: Inbox[Task] = Inbox()

    async def run(task: Task) -> None:
        ran.add(task)
        await asyncio.sleep(0.002)

    await bench.enqueue(*(task(priority=priority) for _ in range(30) for priority in (0, 1, 2)))
    await until(lambda: _has(bench, 90))
    async with bench.workers({"note": run}, options=FIVE):
        await bench.finished(90)

    priorities = [one.priority for one in ran.items]
    # One in some turns goes to the lowest.
    assert priorities[:30].count(2) >= 25
    assert priorities[-30:].count(0) >= 20


async def test_a_high_priority_overtakes_a_backlog_that_was_alone(bench: Bench) -> None:
    ran: Inbox[Task] = Inbox()

    async def run(task: Task) -> None:
        ran.add(task)
        await asyncio.sleep(0.002)

    await bench.enqueue(*(task(priority=0) for _ in range(300)))
    async with bench.workers({"note": run}, options=FIVE):
        await ran.wait_for(50)
        await bench.enqueue(*(task(priority=2) for _ in range(20)))
        await bench.finished(320)

    high = [place for place, one in enumerate(ran.items) if one.priority == 2]
    assert high[-1] < 200


async def test_a_low_priority_is_read_though_a_higher_one_has_a_backlog(bench: Bench) -> None:
    ran: Inbox[Task] = Inbox()

    async def run(task: Task) -> None:
        ran.add(task)
        await asyncio.sleep(0)

    await bench.enqueue(*(task(priority=2) for _ in range(600)), task(priority=0))
    await until(lambda: _has(bench, 601))
    async with bench.workers({"note": run}, options=FIVE):
        await bench.finished(601)

    assert 0 in [one.priority for one in ran.items[:400]]


async def _has(bench: Bench, count: int) -> bool:
    return await bench.entries() == count
