from datetime import UTC, datetime, timedelta

from alertagent.queue.options import HORIZON
from alertagent.queue.reconciler import BEHIND, Reconciler
from alertagent.queue.streams import FIELD
from alertagent.queue.task import NewTask, decode
from tests.queue.bench import OPTIONS, QUEUE, Bench, task

AN_HOUR = timedelta(hours=1)


async def written(bench: Bench, *tasks: NewTask, age: timedelta = AN_HOUR) -> None:
    """Rows of some age about which Redis was never told."""
    async with bench.database.transaction() as tx:
        await bench.ledger.insert(tx, tasks)
        await tx.execute(
            "UPDATE task_queue SET updated_at = updated_at - $1::interval, scheduled_at = scheduled_at - $1::interval",
            age,
        )


def reconciler(bench: Bench) -> Reconciler:
    return Reconciler([QUEUE], redis=bench.redis, ledger=bench.ledger, options=OPTIONS)


async def test_a_task_whose_ring_was_lost_is_added_and_marked(bench: Bench) -> None:
    new = task(priority=2)
    await written(bench, new)

    assert await reconciler(bench).reconcile(QUEUE) == 1
    assert await reconciler(bench).reconcile(QUEUE) == 0

    [(_, fields)] = await bench.redis.xrange(bench.keys.stream(2))
    added, again = decode(QUEUE, fields[FIELD])
    assert (added.id, again) == (new.id, True)


async def test_a_young_row_may_still_be_on_its_way(bench: Bench) -> None:
    await written(bench, task(), age=timedelta())

    assert await reconciler(bench).reconcile(QUEUE) == 0


async def test_what_redis_has_is_not_added_again(bench: Bench) -> None:
    waiting, delayed, lost = task(), task(due=datetime.now(UTC) + timedelta(seconds=30)), task()
    await written(bench, waiting, delayed, lost)
    await bench.redis.xadd(bench.keys.stream(1), {FIELD: waiting.envelope})
    await bench.redis.xadd(bench.keys.stream(1), {FIELD: b"garbage"})
    await bench.redis.zadd(bench.keys.delayed, {b"1" + delayed.envelope: 9e12})

    assert await reconciler(bench).reconcile(QUEUE) == 1


async def test_a_task_in_our_own_hands_is_not_lost(bench: Bench) -> None:
    new = task()
    await written(bench, new)
    ours = Reconciler([QUEUE], redis=bench.redis, ledger=bench.ledger, options=OPTIONS, held=lambda _: [new.id])

    assert await ours.reconcile(QUEUE) == 0


async def test_a_stream_that_is_merely_behind_is_left_alone_until_it_is_gone(bench: Bench) -> None:
    await written(bench, task())
    await bench.redis.set(bench.keys.epoch, "before")
    async with bench.redis.pipeline() as pipeline:
        for _ in range(BEHIND + 1):
            await pipeline.xadd(bench.keys.stream(1), {FIELD: b"garbage"})
        await pipeline.execute()

    assert await reconciler(bench).reconcile(QUEUE) == 0

    await bench.redis.flushdb()
    assert await reconciler(bench).reconcile(QUEUE) == 1


async def test_after_a_flush_the_delayed_tasks_come_back_too(bench: Bench) -> None:
    due = datetime.now(UTC) + timedelta(seconds=30)
    await written(bench, task(due=due + AN_HOUR))

    await reconciler(bench).reconcile(QUEUE)

    [(_, score)] = await bench.redis.zrange(bench.keys.delayed, 0, -1, withscores=True)
    assert score == -(-due.timestamp() * 1000 // 1)


async def test_a_long_delay_waits_in_the_ledger_until_it_is_near(bench: Bench) -> None:
    far, near = datetime.now(UTC) + 2 * HORIZON, datetime.now(UTC) + HORIZON / 2
    await bench.redis.set(bench.keys.epoch, "before")
    await bench.enqueue(task(due=far))
    await written(bench, task(due=near + 2 * HORIZON), age=2 * HORIZON)
    await bench.database.execute("UPDATE task_queue SET scheduled_at = $1 WHERE scheduled_at < now()", far)
    await bench.redis.delete(bench.keys.delayed)

    for _ in range(2):
        await reconciler(bench).reconcile(QUEUE)

    [(_, score)] = await bench.redis.zrange(bench.keys.delayed, 0, -1, withscores=True)
    assert abs(score / 1000 - near.timestamp()) < 1


async def test_one_at_a_time_reconciles(bench: Bench) -> None:
    await written(bench, task())
    async with bench.database.transaction() as tx:
        assert await bench.ledger.try_lock(tx, QUEUE)
        assert await reconciler(bench).reconcile(QUEUE) == 0

    assert await reconciler(bench).reconcile(QUEUE) == 1
