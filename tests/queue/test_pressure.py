from dataclasses import replace
from datetime import timedelta

import pytest

from alertagent.kernel.errors import Unavailable
from alertagent.queue.pressure import Bounds, Pressure, judge
from alertagent.queue.producer import Producer
from alertagent.queue.statistics import QueueStatistics, Statistics
from tests.queue.bench import QUEUE, Bench, task, until

BOUNDS = Bounds(depth=100, oldest=timedelta(minutes=1))
CALM = QueueStatistics(queue=QUEUE, due=0, oldest=timedelta(), rate=0, paused=False, redis=None)


@pytest.mark.parametrize(
    ("changes", "message", "seconds"),
    [
        ({"due": 600, "rate": 50.0}, "the queue work is full: 600 tasks wait", 10),
        ({"due": 101, "rate": 50.0}, "the queue work is full: 101 tasks wait", 1),
        ({"due": 101}, "the queue work is full: 101 tasks wait", 60),
        ({"oldest": timedelta(seconds=61)}, "the queue work is full: the oldest task has waited for 61 s", 60),
    ],
    ids=["deep", "a little too deep", "stuck", "old"],
)
def test_a_queue_past_a_bound_says_when_it_may_have_room(
    changes: dict[str, object], message: str, seconds: int
) -> None:
    full = judge(replace(CALM, **changes), BOUNDS)  # type: ignore[arg-type]  # of whatever type each field has

    assert full
    assert (full.message, full.retry_after) == (message, timedelta(seconds=seconds))


def test_up_to_its_bounds_a_queue_has_room() -> None:
    assert judge(replace(CALM, due=100, oldest=timedelta(minutes=1)), BOUNDS) is None


async def test_producers_are_told_until_there_is_room_again(bench: Bench) -> None:
    measured: list[QueueStatistics] = []
    pressure = Pressure(
        Statistics([QUEUE], redis=bench.redis, ledger=bench.ledger),
        bounds={QUEUE: Bounds(depth=1)},
        measured=measured.append,
    )
    producer = Producer(bench.redis, bench.ledger, pressure=pressure)
    await bench.enqueue(task(), task())
    await until(lambda: _has(bench, 2))

    await pressure.measure()
    with pytest.raises(Unavailable, match="2 tasks wait"):
        producer.require_room(QUEUE)
    producer.require_room("other")

    await bench.redis.flushdb()
    await pressure.measure()
    producer.require_room(QUEUE)
    assert [found.depth for found in measured] == [2, 0]


async def test_a_running_producer_measures_by_itself(bench: Bench) -> None:
    pressure = Pressure(Statistics([QUEUE], redis=bench.redis, ledger=bench.ledger), bounds={QUEUE: Bounds(depth=0)})
    producer = Producer(bench.redis, bench.ledger, pressure=pressure)
    await bench.enqueue(task())

    async def is_full() -> bool:
        try:
            producer.require_room(QUEUE)
        except Unavailable:
            return True
        return False

    async with producer.running():
        await until(is_full, timeout=2)


async def _has(bench: Bench, count: int) -> bool:
    return await bench.entries() == count
