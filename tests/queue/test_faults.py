"""What the queue survives, with real engines and real kills."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from alertagent.kernel.errors import Permanent, Unavailable
from alertagent.queue import streams
from alertagent.queue.options import QueueOptions
from alertagent.queue.policy import Why
from alertagent.queue.task import NewTask, Task
from alertagent.storage.migrate import migrate
from tests.queue.bench import OPTIONS, Bench, open_bench, task, until
from tests.support.engines import PrivatePostgres, PrivateValkey
from tests.support.proxy import proxied
from tests.support.waiting import Inbox

FAKETIME = next(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")


async def nothing(_: Task) -> None:
    pass


@asynccontextmanager
async def worker_process(
    handler: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.queue.process",
        handler,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **(environment or {})},
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


async def all_started(process: asyncio.subprocess.Process, count: int) -> None:
    assert process.stdout
    async with asyncio.timeout(10):
        for _ in range(count):
            assert await process.stdout.readline()


async def test_a_killed_workers_task_is_taken_over_within_one_and_a_half_leases(
    bench: Bench, database_url: str, redis_url: str
) -> None:
    new, ran = task(), Inbox[Task]()

    async def take_over(task: Task) -> None:
        ran.add(task)

    async with worker_process("hang", database_url, redis_url) as process:
        await bench.enqueue(new)
        await started(process, new.id)
        async with bench.workers({"note": take_over}):
            process.kill()
            killed = monotonic()
            await bench.finished(1)

    assert monotonic() - killed < 1.5 * OPTIONS.lease.total_seconds()
    assert [one.id for one in ran.items] == [new.id]
    assert (await bench.row(new)).status == "completed"


@pytest.mark.parametrize("grace", [OPTIONS.grace, QueueOptions().grace], ids=["short", "as it comes"])
async def test_a_stop_by_signal_loses_nothing_and_ends_nothing_twice(
    bench: Bench, database_url: str, redis_url: str, grace: timedelta
) -> None:
    seconds = grace.total_seconds()
    short = [task(payload={"seconds": seconds / 2}) for _ in range(25)]
    long = [task(payload={"seconds": 60}) for _ in range(25)]
    ran: Inbox[Task] = Inbox()

    async def take_over(task: Task) -> None:
        ran.add(task)

    async with worker_process("linger", database_url, redis_url, str(seconds)) as process:
        await bench.enqueue(*long[:15], *short, *long[15:])
        await all_started(process, 50)
        began = monotonic()
        process.terminate()
        assert await process.wait() == 0
        assert monotonic() - began < seconds + 5

    assert await _statuses(bench) == {"completed": 25, "pending": 25}
    async with bench.workers({"note": take_over}):
        await bench.finished(25)
    assert await _statuses(bench) == {"completed": 50}
    assert sorted(one.id for one in ran.items) == sorted(one.id for one in long)
    assert {one.retry for one in ran.items} == {0}


@pytest.mark.skipif(not FAKETIME and "CI" not in os.environ, reason="needs libfaketime")
async def test_a_clock_that_jumps_by_an_hour_holds_up_nothing(
    bench: Bench, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    clock = tmp_path / "offset"
    clock.write_text("+0s")
    environment = {
        "LD_PRELOAD": FAKETIME,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    async with worker_process("nothing", database_url, redis_url, environment=environment):
        for offset in ("+0s", "+3600s", "-3600s"):
            clock.write_text(offset)
            soon = datetime.now(UTC) + timedelta(seconds=0.5)
            await bench.enqueue(*(task() for _ in range(20)), *(task(due=soon) for _ in range(5)))
            await until(lambda: _all_ended(bench))

    assert await _statuses(bench) == {"completed": 75}


async def test_a_task_that_kills_its_worker_again_and_again_is_buried(
    bench: Bench, database_url: str, redis_url: str
) -> None:
    new = task()
    await bench.enqueue(new)
    async with worker_process("hang", database_url, redis_url) as process:
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
        await bench.redis.flushdb()
        await bench.enqueue(*tasks[150:])
        await bench.finished(200)
        await bench.redis.flushdb()
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
        await bench.redis.flushdb()
        await private_valkey.kill()
        async with bench.workers({"note": nothing}):
            await bench.enqueue(task())
            await private_valkey.start()
            assert await bench.finished(51) == ["completed"] * 51


async def test_redis_may_come_back_as_it_was_a_while_ago(database_url: str, data_dir: Path, tmp_path: Path) -> None:
    ran: Inbox[str] = Inbox()

    async def run(task: Task) -> None:
        ran.add(task.id)

    old, new = [task() for _ in range(20)], [task() for _ in range(20)]
    async with PrivateValkey(data_dir) as valkey, open_bench(database_url, valkey.url) as bench:
        await bench.enqueue(*old)
        await until(lambda: _has(bench, 20))
        await valkey.stop()
        await _copy(data_dir / "valkey", tmp_path / "older")
        await valkey.start()
        async with bench.workers({"note": run}):
            await bench.finished(20)
        await bench.enqueue(*new)
        await until(lambda: _has(bench, 20))
        await valkey.kill()
        await asyncio.to_thread(shutil.rmtree, data_dir / "valkey")
        await _copy(tmp_path / "older", data_dir / "valkey")
        await valkey.start()
        async with bench.workers({"note": run}):
            await until(lambda: _all_ended(bench))
            await until(lambda: _has(bench, 0))

    assert sorted(ran.items) == sorted(one.id for one in (*old, *new))


@pytest.mark.parametrize(
    "request_",
    [streams.add.digest.encode(), b"EVALSHA", b"XREADGROUP", b"XACK"],
    ids=["add", "script", "read", "end"],
)
async def test_an_answer_that_is_lost_has_no_second_effect(
    database_url: str, private_valkey: PrivateValkey, request_: bytes
) -> None:
    ran: Inbox[str] = Inbox()

    async def run(task: Task) -> None:
        ran.add(task.id)

    tasks = [task() for _ in range(30)]
    async with (
        proxied(private_valkey.url) as (url, proxy),
        open_bench(database_url, url) as bench,
        bench.workers({"note": run}),
    ):
        await bench.enqueue(*tasks[:10])
        await bench.finished(10)
        proxy.swallow_answer_to(request_)
        await bench.enqueue(*tasks[10:20])
        async with asyncio.timeout(10):
            await proxy.swallowed.wait()
        await bench.enqueue(*tasks[20:])
        await bench.finished(30)
        await until(lambda: _has(bench, 0))

    assert sorted(ran.items) == sorted(one.id for one in tasks)


async def test_a_full_redis_takes_nothing_and_loses_nothing(database_url: str, private_valkey: PrivateValkey) -> None:
    async with open_bench(database_url, private_valkey.url) as bench, bench.workers({"note": nothing}):
        await bench.enqueue(task())
        await bench.finished(1)
        await bench.redis.config_set("maxmemory", 1)
        await bench.enqueue(*(task() for _ in range(50)))
        await asyncio.sleep(0.5)
        assert await bench.open_rows() == 50

        await bench.redis.config_set("maxmemory", 0)
        assert await bench.finished(51) == ["completed"] * 51


async def test_a_full_redis_loses_neither_retries_nor_dead_letters(
    database_url: str, private_valkey: PrivateValkey
) -> None:
    ran, full = Inbox[Task](), asyncio.Event()

    async def fail(task: Task) -> None:
        ran.add(task)
        await full.wait()
        if task.retry == task.payload["retries"]:
            raise Permanent("no")
        raise RuntimeError("not yet")

    async with open_bench(database_url, private_valkey.url) as bench, bench.workers({"note": fail}):
        await bench.producer.send(*(task(payload={"retries": retries}, durable=False) for retries in (0, 1)))
        await bench.enqueue(task(payload={"retries": 0}))
        await ran.wait_for(3)
        await bench.redis.config_set("maxmemory", 1)
        full.set()
        await bench.finished(3)
        await asyncio.sleep(0.3)
        await bench.redis.config_set("maxmemory", 0)

        assert len(await bench.letters(3)) == 3


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


async def test_postgresql_may_restart_while_tasks_come_in_and_run(
    redis_url: str, private_postgres: PrivatePostgres
) -> None:
    await migrate(private_postgres.url)
    ran, accepted, refused = Inbox[str](), list[NewTask](), Inbox[Unavailable]()

    async def run(task: Task) -> None:
        ran.add(task.id)

    async with open_bench(private_postgres.url, redis_url) as bench, bench.workers({"note": run}):

        async def enqueue_on() -> None:
            while True:
                new = [task() for _ in range(5)]
                try:
                    await bench.enqueue(*new)
                except Unavailable as error:
                    refused.add(error)
                    await asyncio.sleep(0.02)
                else:
                    accepted.extend(new)

        enqueueing = asyncio.create_task(enqueue_on())
        for end in (private_postgres.kill, private_postgres.stop):
            await ran.wait_for(50)
            await end()
            await refused.wait_for(len(refused.items) + 1)
            await private_postgres.start()
            await ran.wait_for(len(ran.items) + 50)
        enqueueing.cancel()
        await asyncio.wait([enqueueing])
        await until(lambda: _all_ended(bench), timeout=20)

        rows = await bench.database.fetch("SELECT id, status FROM task_queue")
    assert {row["status"] for row in rows} == {"completed"}
    assert {one.id for one in accepted} <= {str(row["id"]) for row in rows} == set(ran.items)


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


async def _copy(source: Path, target: Path) -> None:
    """With its owner, who need not be ourselves."""
    process = await asyncio.create_subprocess_exec("cp", "-a", str(source), str(target))
    assert await process.wait() == 0


async def _all_ended(bench: Bench) -> bool:
    return await bench.open_rows() == 0


async def _has(bench: Bench, count: int) -> bool:
    return await bench.entries() == count


async def _statuses(bench: Bench) -> dict[str, int]:
    rows = await bench.database.fetch("SELECT status, count(*) AS count FROM task_queue GROUP BY status")
    return {row["status"]: row["count"] for row in rows}
