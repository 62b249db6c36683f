from contextlib import suppress
from datetime import UTC, datetime

from redis.asyncio import Redis

from alertagent.queue import streams
from alertagent.queue.connection import connect
from alertagent.queue.ledger import Ledger
from alertagent.queue.producer import Producer
from tests.queue.bench import Bench, task, until


async def test_a_transaction_that_rolls_back_leaves_nothing(bench: Bench) -> None:
    abandoned, committed = task(), task()
    with suppress(RuntimeError):
        async with bench.database.transaction() as tx:
            await bench.producer.enqueue(tx, abandoned)
            raise RuntimeError("the caller's own failure")
    await bench.enqueue(committed)
    await until(lambda: _entries(bench, 1))

    assert await bench.ledger.get(abandoned.id) is None
    assert (await bench.row(committed)).status == "pending"


async def test_tasks_of_several_queues_are_written_together(bench: Bench) -> None:
    tasks = [task(), task(queue="other", priority=2, max_retry=9, payload={"n": 1}, trace="00-ab-cd-01")]

    await bench.enqueue(*tasks)
    await bench.enqueue()

    row = await bench.row(tasks[1])
    assert (row.queue, row.type, row.priority, row.max_retry) == ("other", "note", 2, 9)
    assert (row.payload, row.trace, row.retry, row.started_at) == ({"n": 1}, "00-ab-cd-01", 0, None)
    await until(lambda: _entries(bench, 1))
    assert await bench.redis.xlen(streams.Keys("other").stream(2)) == 1


async def test_rows_that_the_caller_wrote_itself_are_announced(bench: Bench) -> None:
    new = task()
    async with bench.database.transaction() as tx:
        await bench.ledger.insert(tx, [new])

    bench.producer.announce([new])

    await until(lambda: _entries(bench, 1))


async def test_without_redis_tasks_are_accepted_all_the_same(bench: Bench) -> None:
    away: Redis = connect("redis://127.0.0.1:1/0")
    producer = Producer(away, Ledger(bench.database))
    new = task()

    async with away, bench.database.transaction() as tx:
        await producer.enqueue(tx, new)

    assert (await bench.row(new)).status == "pending"


async def test_while_a_task_is_open_its_key_admits_no_second_one(bench: Bench) -> None:
    first, second = task(dedup="sync prod"), task(dedup="sync prod")
    other_key, other_queue, keyless = task(dedup="sync test"), task(queue="other", dedup="sync prod"), task()

    async with bench.database.transaction() as tx:
        assert await bench.producer.enqueue(tx, first, keyless) == (first, keyless)
    async with bench.database.transaction() as tx:
        assert await bench.producer.enqueue(tx, second, other_key, other_queue) == [other_key, other_queue]

    await until(lambda: _entries(bench, 3))
    await bench.ledger.complete({first.id: datetime.now(UTC)})
    async with bench.database.transaction() as tx:
        assert await bench.producer.enqueue(tx, second) == (second,)


async def test_a_task_that_is_reopened_gives_up_its_key(bench: Bench) -> None:
    old, new = task(dedup="sync prod"), task(dedup="sync prod")
    await bench.enqueue(old)
    await bench.ledger.cancel(bench.database, [old.id], "cancelled")
    await bench.enqueue(new)

    assert [row.id for row in await bench.ledger.reopen([old.id])] == [old.id]


async def _entries(bench: Bench, count: int) -> bool:
    return await bench.entries() == count
