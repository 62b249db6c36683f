import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import timedelta

import pytest

from alertagent.kernel.errors import Permanent, Postponed, RateLimited
from alertagent.queue.options import QueueOptions
from alertagent.queue.policy import Rule, Why
from alertagent.queue.streams import FIELD, GROUP
from alertagent.queue.task import Task
from alertagent.queue.worker import Workers
from tests.queue.bench import AT_ONCE, OPTIONS, Bench, task, until
from tests.support.waiting import Inbox

bound: ContextVar[str] = ContextVar("bound", default="nothing")


async def nothing(_: Task) -> None:
    pass


async def hang(_: Task) -> None:
    await asyncio.Event().wait()


def into(inbox: Inbox[Task]) -> Callable[[Task], Awaitable[None]]:
    async def handle(task: Task) -> None:
        inbox.add(task)

    return handle


async def test_a_task_runs_once_its_transaction_has_committed(bench: Bench) -> None:
    ran: Inbox[Task] = Inbox()
    new = task(payload={"alert": "d9a1"}, priority=2, trace="00-ab-cd-01")
    async with bench.workers({"note": into(ran)}):
        async with bench.database.transaction() as tx:
            await bench.producer.enqueue(tx, new)
            assert not ran.items
        await bench.finished(1)

    handled = ran.items[0]
    assert (handled.id, handled.payload, handled.priority, handled.retry) == (new.id, new.payload, 2, 0)
    assert (handled.queue, handled.type, handled.trace) == ("work", "note", "00-ab-cd-01")
    row = await bench.row(new)
    assert row.status == "completed"
    assert row.create_at <= row.scheduled_at
    assert row.started_at
    assert row.completed_at
    assert row.started_at <= row.completed_at
    assert await bench.entries() == 0


async def test_what_was_enqueued_before_the_first_worker_runs_too(bench: Bench) -> None:
    await bench.enqueue(*(task() for _ in range(50)))

    async with bench.workers({"note": nothing}):
        assert await bench.finished(50) == ["completed"] * 50


async def test_a_higher_priority_runs_first(bench: Bench) -> None:
    ran: Inbox[Task] = Inbox()
    await bench.enqueue(*(task(priority=priority) for priority in (0, 1, 2, 0, 1, 2)))
    await until(lambda: _has(bench, 6))

    async with bench.workers({"note": into(ran)}, options=QueueOptions(default_concurrency=1)):
        await bench.finished(6)

    assert [task.priority for task in ran.items] == [2, 2, 1, 1, 0, 0]


async def test_a_failed_task_is_tried_again_and_may_succeed(bench: Bench) -> None:
    retries: list[int] = []

    async def fail_twice(task: Task) -> None:
        retries.append(task.retry)
        if task.retry < 2:
            raise RuntimeError("not yet")

    new = task()
    async with bench.workers({"note": fail_twice}):
        await bench.enqueue(new)
        assert await bench.finished(3) == ["retried", "retried", "completed"]

    assert retries == [0, 1, 2]
    row = await bench.row(new)
    assert (row.status, row.retry, row.error_message) == ("completed", 2, None)


async def test_the_wait_that_a_handler_asks_for_is_honoured(bench: Bench) -> None:
    started: list[float] = []

    async def limited(task: Task) -> None:
        started.append(asyncio.get_running_loop().time())
        if not task.retry:
            raise RateLimited("slow down", retry_after=timedelta(milliseconds=400))

    async with bench.workers({"note": limited}):
        await bench.enqueue(task())
        await bench.finished(2)

    assert 0.4 <= started[1] - started[0] < 1


async def test_what_is_put_off_spends_no_attempt(bench: Bench) -> None:
    left: list[tuple[int, int]] = []

    async def put_off(task: Task) -> None:
        left.append((task.retry, task.max_retry))
        if task.retry < 3:
            raise Postponed("left alone", retry_after=timedelta(milliseconds=1))
        raise RuntimeError("tried, and failed")

    new = task(max_retry=0)
    async with bench.workers({"note": put_off}, rules={"note": AT_ONCE}):
        await bench.enqueue(new)
        assert await bench.finished(4) == ["retried", "retried", "retried", "buried"]

    row = await bench.row(new)
    assert left == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert (row.status, row.why, row.retry, row.max_retry) == ("failed", "exhausted", 3, 3)


async def test_a_task_that_fails_too_often_is_buried(bench: Bench) -> None:
    async def fail(_: Task) -> None:
        raise RuntimeError("no way")

    new = task(max_retry=1)
    async with bench.workers({"note": fail}):
        await bench.enqueue(new)
        assert await bench.finished(2) == ["retried", "buried"]

    row = await bench.row(new)
    assert (row.status, row.retry, row.error_message) == ("failed", 1, "RuntimeError: no way")
    [letter] = await bench.dead.newest()
    assert (letter.task, letter.why, letter.error, letter.runs) == (new.id, Why.EXHAUSTED, "RuntimeError: no way", 2)
    assert "in fail" in letter.traceback


async def test_a_task_that_cannot_succeed_is_buried_at_once(bench: Bench) -> None:
    async def refuse(_: Task) -> None:
        raise Permanent("no such channel")

    new = task()
    async with bench.workers({"note": refuse}):
        await bench.enqueue(new)
        assert await bench.finished(1) == ["buried"]

    assert (await bench.row(new)).status == "failed"
    assert [letter.why for letter in await bench.dead.newest()] == [Why.PERMANENT]


async def test_a_run_is_limited_in_time(bench: Bench) -> None:
    rule = Rule(timeout=timedelta(milliseconds=50))
    new = task(max_retry=0)
    async with bench.workers({"note": hang}, rules={"note": rule}):
        await bench.enqueue(new)
        assert await bench.finished(1) == ["buried"]

    assert (await bench.row(new)).error_message == "TimeoutError: ran longer than 0.05 s"


async def test_a_handler_that_cancels_itself_has_failed(bench: Bench) -> None:
    async def cancelled(task: Task) -> None:
        if not task.retry:
            raise asyncio.CancelledError

    async with bench.workers({"note": cancelled}):
        await bench.enqueue(task())
        assert await bench.finished(2) == ["retried", "completed"]


async def test_a_type_that_nobody_handles_is_buried(bench: Bench) -> None:
    new = task("mystery")
    async with bench.workers({"note": nothing}):
        await bench.enqueue(new)
        assert await bench.finished(1) == ["buried"]

    assert (await bench.row(new)).status == "failed"
    assert [(letter.task, letter.why) for letter in await bench.dead.newest()] == [(new.id, Why.UNKNOWN_TYPE)]


async def test_what_has_ended_leaves_its_stream(bench: Bench) -> None:
    async with bench.workers({"note": nothing}):
        await bench.enqueue(*(task(priority=priority) for priority in (0, 1, 2)))
        await bench.finished(3)
        await until(lambda: _has(bench, 0))

    for stream in bench.keys.streams:
        assert (await bench.redis.xpending(stream, GROUP))["pending"] == 0


async def test_garbage_is_kept_among_the_dead_letters_and_stops_nothing(bench: Bench) -> None:
    async with bench.workers({"note": nothing}):
        await bench.redis.xadd(bench.keys.stream(1), {FIELD: b"\xff garbage"})
        await bench.redis.xadd(bench.keys.stream(1), {"something": "else"})
        await bench.enqueue(task())
        assert await bench.finished(1) == ["completed"]

    letters = await bench.dead.newest()
    assert [letter.why for letter in letters] == [Why.UNREADABLE, Why.UNREADABLE]
    assert [letter.envelope for letter in letters] == [b"{b'something': b'else'}", b"\xff garbage"]
    assert await bench.entries() == 0


async def test_no_more_run_at_a_time_than_allowed(bench: Bench) -> None:
    running, most = 0, 0

    async def count(_: Task) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    async with bench.workers({"note": count}, options=QueueOptions(concurrency={"work": 3})):
        await bench.enqueue(*(task() for _ in range(30)))
        await bench.finished(30)

    assert most == 3


async def test_a_backlog_lets_more_run_up_to_the_bound(bench: Bench) -> None:
    running: Inbox[Task] = Inbox()

    async def hang_on(task: Task) -> None:
        running.add(task)
        await asyncio.Event().wait()

    options = QueueOptions(concurrency={"work": 6}, least={"work": 2}, grace=timedelta())
    async with bench.workers({"note": hang_on}, options=options):
        await bench.enqueue(*(task() for _ in range(10)))
        await running.wait_for(6, timeout=3)
        await asyncio.sleep(0.7)
        assert len(running.items) == 6


async def test_while_the_first_queue_has_a_backlog_another_runs_one_at_a_time(bench: Bench) -> None:
    free, waiting, running, most = asyncio.Event(), Inbox[Task](), 0, 0
    together = asyncio.Barrier(4)

    async def hold_on(task: Task) -> None:
        waiting.add(task)
        await free.wait()

    async def linger(_: Task) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if free.is_set():
            await together.wait()
        else:
            await asyncio.sleep(0.005)
        running -= 1

    options = QueueOptions(concurrency={"work": 2, "later": 4}, first="work")
    async with bench.workers({"note": hold_on}, options=options, others={"later": {"note": linger}}) as workers:
        await bench.enqueue(*(task() for _ in range(3)))
        await waiting.wait_for(2)
        await until(lambda: _is_short(workers))
        await bench.enqueue(*(task(queue="later") for _ in range(8)))
        await bench.finished(8)
        one_at_a_time = most

        free.set()
        await bench.finished(11)
        await bench.enqueue(*(task(queue="later") for _ in range(4)))
        await bench.finished(15)

    assert one_at_a_time == 1
    assert most == 4


async def _is_short(workers: Workers) -> bool:
    return workers.is_short("work")


async def test_what_a_task_binds_to_its_context_is_not_seen_by_the_next(bench: Bench) -> None:
    seen: list[str] = []

    async def bind(task: Task) -> None:
        seen.append(bound.get())
        bound.set(task.id)

    async with bench.workers({"note": bind}, options=QueueOptions(default_concurrency=1)):
        await bench.enqueue(*(task() for _ in range(3)))
        await bench.finished(3)

    assert seen == ["nothing"] * 3


async def test_two_workers_share_the_work(bench: Bench) -> None:
    ran: list[list[str]] = [[], []]

    def worker(number: int) -> Callable[[Task], Awaitable[None]]:
        async def handle(task: Task) -> None:
            ran[number].append(task.id)
            await asyncio.sleep(0.005)

        return handle

    options = QueueOptions(default_concurrency=5)
    tasks = [task() for _ in range(200)]
    async with (
        bench.workers({"note": worker(0)}, options=options),
        bench.workers({"note": worker(1)}, options=options),
    ):
        await bench.enqueue(*tasks)
        await bench.finished(200)

    assert all(ran)
    assert sorted(ran[0] + ran[1]) == sorted(one.id for one in tasks)


async def test_a_task_longer_than_its_lease_starts_once(bench: Bench) -> None:
    starts = 0

    async def long(_: Task) -> None:
        nonlocal starts
        starts += 1
        await asyncio.sleep(2)

    options = QueueOptions(lease=timedelta(seconds=0.6))
    async with (
        bench.workers({"note": long}, options=options, rules={"note": AT_ONCE}),
        bench.workers({"note": long}, options=options, rules={"note": AT_ONCE}),
    ):
        await bench.enqueue(task())
        assert await bench.finished(1) == ["completed"]

    assert starts == 1


async def test_a_stop_gives_back_what_has_not_ended(bench: Bench) -> None:
    started: Inbox[Task] = Inbox()

    async def hang_on(task: Task) -> None:
        started.add(task)
        await asyncio.Event().wait()

    tasks = [task() for _ in range(10)]
    options = QueueOptions(default_concurrency=3, grace=timedelta(milliseconds=100))
    async with bench.workers({"note": hang_on}, options=options):
        await bench.enqueue(*tasks)
        await started.wait_for(3)

    assert await bench.entries() == 10
    for stream in bench.keys.streams:
        assert await bench.redis.xinfo_consumers(stream, GROUP) == []
    ran: Inbox[Task] = Inbox()
    async with bench.workers({"note": into(ran)}):
        # Well within the lease: given back, not left to be missed.
        await bench.finished(10, timeout=1)
    assert sorted(one.id for one in ran.items) == sorted(one.id for one in tasks)
    assert {one.retry for one in ran.items} == {0}


async def test_a_stop_lets_running_tasks_finish(bench: Bench) -> None:
    started: Inbox[Task] = Inbox()

    async def short(task: Task) -> None:
        started.add(task)
        await asyncio.sleep(0.3)

    new = task()
    async with bench.workers({"note": short}):
        await bench.enqueue(new)
        await started.wait_for(1)

    assert (await bench.row(new)).status == "completed"
    assert len(started.items) == 1


async def test_an_entry_whose_answer_was_lost_is_taken_up(bench: Bench) -> None:
    ran: Inbox[Task] = Inbox()
    first, second = task(), task()
    async with bench.workers({"note": into(ran)}, options=QueueOptions(lease=timedelta(minutes=5))):
        await bench.enqueue(first)
        await bench.finished(1)
        async with bench.database.transaction() as tx:
            await bench.ledger.insert(tx, [second])
        stream = bench.keys.stream(1)
        [consumer] = await bench.redis.xinfo_consumers(stream, GROUP)
        async with bench.redis.pipeline(transaction=True) as pipeline:
            pipeline.xadd(stream, {FIELD: second.envelope})
            pipeline.xreadgroup(GROUP, consumer["name"], {stream: ">"})
            await pipeline.execute()
        await bench.redis.client_kill_filter(_type="normal", skipme=True)
        await bench.finished(2)

    assert [one.id for one in ran.items] == [first.id, second.id]


async def test_a_task_that_was_taken_over_is_given_up(bench: Bench) -> None:
    given_up = asyncio.Event()
    started = asyncio.Event()

    async def hang_on(_: Task) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            given_up.set()
            raise

    new = task()
    async with bench.workers({"note": hang_on}, options=QueueOptions(lease=timedelta(seconds=1))):
        await bench.enqueue(new)
        await started.wait()
        stream = bench.keys.stream(1)
        [(entry, _)] = await bench.redis.xrange(stream)
        await bench.redis.xclaim(stream, GROUP, "thief", 0, [entry])
        async with asyncio.timeout(2):
            await given_up.wait()

    assert (await bench.row(new)).status == "pending"


@pytest.mark.parametrize("mark", ["completed", "failed"])
async def test_an_entry_whose_task_has_ended_is_not_run_again(bench: Bench, mark: str) -> None:
    ran: Inbox[Task] = Inbox()
    old, new = task(), task()
    await bench.enqueue(old)
    await until(lambda: _has(bench, 1))
    await bench.database.execute("UPDATE task_queue SET status = $1, completed_at = now()", mark)

    # It was written before this worker came, so the ledger is asked.
    async with bench.workers({"note": into(ran)}, options=OPTIONS):
        await bench.enqueue(new)
        await bench.finished(1)
        await until(lambda: _has(bench, 0))

    assert [one.id for one in ran.items] == [new.id]


async def _has(bench: Bench, count: int) -> bool:
    return await bench.entries() == count
