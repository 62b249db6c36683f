"""What the queue survives, with real engines and real kills."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic

from alertagent.queue.policy import Why
from alertagent.queue.task import Task
from alertagent.storage.migrate import migrate
from tests.queue.bench import OPTIONS, Bench, open_bench, task, until
from tests.support.engines import PrivatePostgres, PrivateValkey
from tests.support.waiting import Inbox


async def nothing(_: Task) -> None:
    pass


@asynccontextmanager
async def worker_process(bench_urls: tuple[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.queue.process", *bench_urls, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def started(process: asyncio.subprocess.Process, id: str) -> None:
    assert process.stdout
    async with asyncio.timeout(10):
        while (await process.stdout.readline()).decode().strip() != id:
            pass


async def test_a_killed_workers_task_is_taken_over_within_one_and_a_half_leases(
    bench: Bench, database_url: str, redis_url: str
) -> None:
    new, ran = task(), Inbox[Task]()

    async def take_over(task: Task) -> None:
        ran.add(task)

    async with worker_process((database_url, redis_url)) as process:
        await bench.enqueue(new)
        await started(process, new.id)
        async with bench.workers({"note": take_over}):
            process.kill()
            killed = monotonic()
            await bench.finished(1)

    assert monotonic() - killed < 1.5 * OPTIONS.lease.total_seconds()
    assert [one.id for one in ran.items] == [new.id]
    assert (await bench.row(new)).status == "completed"


async def test_a_task_that_kills_its_worker_again_and_again_is_buried(
    bench: Bench, database_url: str, redis_url: str
) -> None:
    new = task()
    await bench.enqueue(new)
    async with worker_process((database_url, redis_url)) as process:
        await started(process, new.id)
        process.kill()
        await process.wait()

    options = replace(OPTIONS, max_deliveries=1)
    async with bench.workers({"note": nothing}, options=options):
        assert await bench.finished(1) == ["buried"]

    [letter] = await bench.dead.newest()
    assert (letter.task, letter.why, letter.deliveries) == (new.id, Why.CRASHED, 2)
    assert (await bench.row(new)).status == "failed"


async def test_every_task_ends_though_redis_is_flushed(bench: Bench) -> None:
    async def work(task: Task) -> None:
        await asyncio.sleep(0.01)
        if task.payload["n"] % 7 == 0 and not task.retry:
            raise RuntimeError("once")

    tasks = [task(payload={"n": n}) for n in range(300)]
    tasks += [task(payload={"n": 1}, due=datetime.now(UTC) + timedelta(seconds=1)) for _ in range(20)]
    async with bench.workers({"note": work}):
        await bench.enqueue(*tasks[:150])
        await bench.finished(50)
        await bench.redis.flushall()
        await bench.enqueue(*tasks[150:])
        await bench.finished(200)
        await bench.redis.flushall()
        await until(lambda: _all_ended(bench), timeout=20)

    assert await _statuses(bench) == {"completed": 320}


async def test_redis_may_be_killed_and_come_back(database_url: str, private_valkey: PrivateValkey) -> None:
    async with open_bench(database_url, private_valkey.url) as bench, bench.workers({"note": nothing}):
        await bench.enqueue(*(task() for _ in range(50)))
        await bench.finished(50)
        await private_valkey.kill()
        await bench.enqueue(*(task() for _ in range(50)))
        await private_valkey.start()
        back = monotonic()
        await bench.enqueue(task())
        await bench.finished(51)
        assert monotonic() - back < 3

        await until(lambda: _all_ended(bench))


async def test_redis_may_come_back_empty(database_url: str, private_valkey: PrivateValkey) -> None:
    async with open_bench(database_url, private_valkey.url) as bench:
        await bench.enqueue(*(task() for _ in range(50)))
        await until(lambda: _has(bench, 50))
        await bench.redis.flushall()
        await private_valkey.kill()
        async with bench.workers({"note": nothing}):
            await bench.enqueue(task())
            await private_valkey.start()
            assert await bench.finished(51) == ["completed"] * 51


async def test_a_redis_that_does_not_answer_delays_nobody(database_url: str, private_valkey: PrivateValkey) -> None:
    async with open_bench(database_url, private_valkey.url) as bench, bench.workers({"note": nothing}):
        private_valkey.freeze()
        began = monotonic()
        await bench.enqueue(*(task() for _ in range(20)))
        assert monotonic() - began < 1
        private_valkey.thaw()
        assert await bench.finished(20) == ["completed"] * 20


async def test_what_has_ended_is_written_down_once_postgresql_is_back(
    redis_url: str, private_postgres: PrivatePostgres
) -> None:
    await migrate(private_postgres.url)
    ran: Inbox[Task] = Inbox()
    proceed = asyncio.Event()

    async def wait(task: Task) -> None:
        ran.add(task)
        await proceed.wait()

    async with open_bench(private_postgres.url, redis_url) as bench, bench.workers({"note": wait}):
        tasks = [task() for _ in range(10)]
        await bench.enqueue(*tasks)
        await ran.wait_for(10)
        await private_postgres.kill()
        proceed.set()
        await private_postgres.start()
        assert await bench.finished(10) == ["completed"] * 10

        assert await _statuses(bench) == {"completed": 10}
    assert len(ran.items) == 10


async def test_a_stop_does_not_wait_for_a_redis_that_is_away(database_url: str, private_valkey: PrivateValkey) -> None:
    ran: Inbox[Task] = Inbox()

    async def run(task: Task) -> None:
        ran.add(task)
        await asyncio.Event().wait()

    async with open_bench(database_url, private_valkey.url) as bench:
        async with bench.workers({"note": run}):
            new = task()
            await bench.enqueue(new)
            await ran.wait_for(1)
            private_valkey.freeze()
            began = monotonic()
        assert monotonic() - began < OPTIONS.grace.total_seconds() + 6
        private_valkey.thaw()

        async with bench.workers({"note": nothing}):
            assert await bench.finished(1) == ["completed"]


async def _all_ended(bench: Bench) -> bool:
    return await bench.open_rows() == 0


async def _has(bench: Bench, count: int) -> bool:
    return await bench.entries() == count


async def _statuses(bench: Bench) -> dict[str, int]:
    rows = await bench.database.fetch("SELECT status, count(*) AS count FROM task_queue GROUP BY status")
    return {row["status"]: row["count"] for row in rows}
