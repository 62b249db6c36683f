from datetime import UTC, datetime, timedelta

import pytest

from alertagent.queue.delayed import Promoter
from alertagent.queue.task import Task
from tests.queue.bench import QUEUE, Bench, task, until
from tests.support.waiting import Inbox


@pytest.mark.parametrize("milliseconds", [20, 300, 900])
async def test_a_task_runs_when_it_is_due_and_not_before(bench: Bench, milliseconds: int) -> None:
    late: Inbox[timedelta] = Inbox()

    async def watch(task: Task) -> None:
        late.add(datetime.now(UTC) - task.due)

    async with bench.workers({"note": watch}):
        await bench.enqueue(task())
        await late.wait_for(1)
        await bench.enqueue(task(due=datetime.now(UTC) + timedelta(milliseconds=milliseconds)))
        await late.wait_for(2)

    # On a busy machine the loop itself is late; usually it is a few milliseconds.
    assert timedelta() <= late.items[1] < timedelta(milliseconds=200)


async def test_what_is_due_goes_to_the_stream_of_its_priority(bench: Bench) -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=500)
    await bench.enqueue(*(task(priority=priority, due=soon) for priority in (0, 1, 2)))
    await bench.enqueue(task(due=soon + timedelta(seconds=30)))
    await until(lambda: _delayed(bench, 4))
    promoter = Promoter(QUEUE, bench.redis)

    async def promoted() -> bool:
        await promoter.promote()
        return await _delayed(bench, 1)

    await until(promoted)

    assert [await bench.redis.xlen(stream) for stream in bench.keys.streams] == [1, 1, 1]
    assert 25 < await promoter.promote() <= 30


async def test_garbage_in_the_set_is_passed_on_to_be_buried(bench: Bench) -> None:
    await bench.redis.zadd(bench.keys.delayed, {"garbage": 1, "9garbage": 1})

    await Promoter(QUEUE, bench.redis).promote()

    assert [await bench.redis.xlen(stream) for stream in bench.keys.streams] == [1, 1, 0]


async def _delayed(bench: Bench, count: int) -> bool:
    return int(await bench.redis.zcard(bench.keys.delayed)) == count
