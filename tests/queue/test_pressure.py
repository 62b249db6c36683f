from dataclasses import replace
from datetime import timedelta

import pytest

from alertagent.kernel.errors import Unavailable
from alertagent.queue.pressure import Bounds, Pressure, judge
from alertagent.queue.producer import Producer
from alertagent.queue.statistics import InRedis, QueueStatistics, Statistics
from tests.queue.bench import QUEUE, Bench, task, until

BOUNDS = Bounds(depth=100, oldest=timedelta(minutes=1))
REDIS = InRedis(depth={2: 0, 1: 0, 0: 0}, held=0, delayed=0, dead=0, consumers=1)
CALM = QueueStatistics(queue=QUEUE, due=0, oldest=timedelta(), rate=0, paused_by=None, redis=REDIS)
OLD = {"oldest": timedelta(seconds=61)}


@pytest.mark.parametrize(
    ("changes", "message", "seconds"),
    [
        (
            {"redis": replace(REDIS, depth={2: 500, 1: 100, 0: 0}), "rate": 50.0},
            "the queue work is full: 600 tasks wait",
            10,
        ),
        ({"redis": replace(REDIS, depth={2: 101}), "rate": 50.0}, "the queue work is full: 101 tasks wait", 1),
        ({"redis": None, "due": 101}, "the queue work is full: 101 tasks wait", 60),
        (OLD, "the queue work is full: the oldest task has waited for 61 s", 60),
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
    full_to_the_brim = replace(REDIS, depth={2: 100, 1: 0, 0: 0})
    assert judge(replace(CALM, redis=full_to_the_brim, oldest=timedelta(minutes=1)), BOUNDS) is None


@pytest.mark.parametrize("changes", [{"paused_by": "ann"}, {"redis": None}], ids=["paused", "without Redis"])
def test_the_age_of_what_nobody_could_have_worked_on_refuses_nothing(changes: dict[str, object]) -> None:
    assert judge(replace(CALM, **OLD, **changes), BOUNDS) is None  # type: ignore[arg-type]  # see above


async def test_producers_are_told_until_there_is_room_again(bench: Bench) -> None:
    measured: list[tuple[int, bool]] = []
    pressure = Pressure(
        Statistics([QUEUE], redis=bench.redis, ledger=bench.ledger),
        bounds={QUEUE: Bounds(depth=1)},
        measured=lambda found, is_full: measured.append((found.depth, is_full)),
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
    assert measured == [(2, True), (0, False)]


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
