"""Tasks that are not durable: Redis is all they have."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid, Permanent, Unavailable
from alertagent.queue.connection import connect
from alertagent.queue.producer import Producer
from alertagent.queue.task import NewTask, Task
from tests.queue.bench import Bench, task


def volatile(**changes: Any) -> NewTask:
    return task(durable=False, **changes)


async def test_they_run_and_are_tried_again_without_a_row(bench: Bench) -> None:
    async def fail_once(task: Task) -> None:
        if not task.retry:
            raise RuntimeError("not yet")

    async with bench.workers({"note": fail_once}):
        await bench.producer.send(volatile(), volatile(due=datetime.now(UTC) + timedelta(milliseconds=100)))
        assert sorted(await bench.finished(4)) == ["completed", "completed", "retried", "retried"]

    assert await bench.database.fetch("SELECT FROM task_queue") == []
    assert await bench.entries() == 0


async def test_they_run_though_they_were_there_before_the_worker(bench: Bench) -> None:
    async def nothing(_: Task) -> None:
        pass

    await bench.producer.send(*(volatile() for _ in range(5)))

    async with bench.workers({"note": nothing}):
        assert await bench.finished(5) == ["completed"] * 5


async def test_they_are_buried_and_requeued_like_others(bench: Bench) -> None:
    fails = True

    async def fail(_: Task) -> None:
        if fails:
            raise Permanent("no")

    new = volatile()
    async with bench.workers({"note": fail}):
        await bench.producer.send(new)
        await bench.finished(1)
        fails = False
        [letter] = await bench.letters(1)
        assert letter.task == new.id
        assert await bench.dead.requeue([letter.id]) == [letter]
        assert await bench.finished(2) == ["buried", "completed"]


async def test_who_sends_them_learns_that_redis_is_away(bench: Bench) -> None:
    async with connect("redis://127.0.0.1:1/0") as away, Producer(away, bench.ledger).running() as producer:
        with pytest.raises(Unavailable):
            await producer.send(volatile(), volatile())
        await producer.send()


async def test_they_have_no_key_and_are_not_mixed_up_with_others(bench: Bench) -> None:
    with pytest.raises(Invalid, match="must be durable"):
        volatile(dedup="once")
    with pytest.raises(ValueError, match="needs its row"):
        await bench.producer.send(task())
    with pytest.raises(ValueError, match="has no row"):
        await bench.enqueue(volatile())
