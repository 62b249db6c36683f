"""A handler has its runner for itself: its context, its cancellation, its time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta

import pytest
import structlog

from alertagent.queue.options import QueueOptions
from alertagent.queue.policy import Rule
from alertagent.queue.task import NewTask, Task
from alertagent.queue.worker import Workers
from tests.queue.bench import AT_ONCE, QUEUE, Bench, task
from tests.support.waiting import Inbox

bound: ContextVar[str] = ContextVar("bound", default="nothing")
ONE = QueueOptions(default_concurrency=1)
SHORT = Rule(timeout=timedelta(milliseconds=50), base=AT_ONCE.base, cap=AT_ONCE.cap)


async def test_as_many_wait_at_once_as_may_run(bench: Bench) -> None:
    together = asyncio.Barrier(20)

    async def meet(_: Task) -> None:
        await together.wait()

    async with bench.workers({"note": meet}, options=QueueOptions(default_concurrency=20)):
        await bench.enqueue(*(task() for _ in range(40)))
        assert await bench.finished(40) == ["completed"] * 40


async def test_handlers_that_wait_keep_their_contexts_apart(bench: Bench) -> None:
    seen: dict[str, tuple[str, object]] = {}

    async def bind(task: Task) -> None:
        bound.set(task.id)
        await asyncio.sleep(0.001)
        in_the_log = structlog.contextvars.get_contextvars()["task_id"]
        seen[task.id] = (bound.get(), await asyncio.create_task(_said(in_the_log)))

    tasks = [task() for _ in range(20)]
    async with bench.workers({"note": bind}, options=QueueOptions(default_concurrency=5)):
        await bench.enqueue(*tasks)
        await bench.finished(20)

    assert seen == {one.id: (one.id, (one.id, one.id)) for one in tasks}


async def _said(in_the_log: str) -> tuple[str, str]:
    """From another asyncio task, which a handler has started: it has the handler's context."""
    return bound.get(), in_the_log


async def test_a_handlers_own_time_limits_are_its_own(bench: Bench) -> None:
    async def give_up(_: Task) -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            await asyncio.sleep(0.01)

    async with bench.workers({"note": give_up}, options=ONE):
        await bench.enqueue(*(task() for _ in range(3)))
        assert await bench.finished(3) == ["completed"] * 3


async def test_an_exception_of_what_a_handler_awaits_reaches_it(bench: Bench) -> None:
    caught: Inbox[str] = Inbox()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("inner")

    async def catch(_: Task) -> None:
        try:
            await asyncio.create_task(fail())
        except RuntimeError as error:
            caught.add(str(error))

    async with bench.workers({"note": catch}):
        await bench.enqueue(task())
        assert await bench.finished(1) == ["completed"]

    assert caught.items == ["inner"]


async def test_a_handler_need_not_be_a_coroutine(bench: Bench) -> None:
    def later(_: Task) -> Awaitable[None]:
        return asyncio.ensure_future(asyncio.sleep(0.001))

    async with bench.workers({"note": later}):
        await bench.enqueue(task())
        assert await bench.finished(1) == ["completed"]


async def test_after_one_that_ran_too_long_the_others_go_on(bench: Bench) -> None:
    ran: Inbox[str] = Inbox()

    async def run(task: Task) -> None:
        ran.add(task.id)
        if task.payload:
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    first, *others = [task(payload={"hang": True}, max_retry=0), *(task() for _ in range(5))]
    async with bench.workers({"note": run}, options=ONE, rules={"note": SHORT}):
        await bench.enqueue(first, *others)
        assert sorted(await bench.finished(6)) == ["buried", *["completed"] * 5]

    assert ran.items == [one.id for one in (first, *others)]


async def test_one_that_ran_too_long_may_clean_up(bench: Bench) -> None:
    cleaned: Inbox[str] = Inbox()

    async def hang(task: Task) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            cleaned.add(task.id)

    new = task(max_retry=0)
    async with bench.workers({"note": hang}, rules={"note": SHORT}):
        await bench.enqueue(new)
        assert await bench.finished(1) == ["buried"]

    assert cleaned.items == [new.id]
    assert (await bench.row(new)).error_message == "TimeoutError: ran longer than 0.05 s"


async def test_one_that_ends_all_the_same_when_its_time_is_over_has_ended(bench: Bench) -> None:
    await _ends(bench, _swallow, ["completed"])


async def test_one_that_fails_otherwise_when_its_time_is_over_has_failed_so(bench: Bench) -> None:
    new = await _ends(bench, _turn_into_another, ["buried"])

    assert (await bench.row(new)).error_message == "LookupError: gone"


async def _ends(bench: Bench, handler: Callable[[Task], Awaitable[None]], outcomes: list[str]) -> NewTask:
    new = task(max_retry=0)
    async with bench.workers({"note": handler}, rules={"note": SHORT}):
        await bench.enqueue(new)
        assert await bench.finished(1) == outcomes
    return new


async def _swallow(_: Task) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return


async def _turn_into_another(_: Task) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError as error:
        raise LookupError("gone") from error


async def test_a_stop_does_not_wait_for_one_whose_clean_up_hangs(bench: Bench) -> None:
    cleaning = asyncio.Event()

    async def hang(_: Task) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await asyncio.Event().wait()

    new = task()
    options = QueueOptions(default_concurrency=1, grace=timedelta(milliseconds=100))
    async with bench.workers({"note": hang}, options=options, rules={"note": SHORT}):
        await bench.enqueue(new)
        await cleaning.wait()

    assert (await bench.row(new)).status == "pending"
    assert await bench.entries() == 1


async def test_workers_that_are_broken_off_start_nothing_any_more(bench: Bench) -> None:
    begun: Inbox[Task] = Inbox()

    async def go_on_regardless(task: Task) -> None:
        begun.add(task)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    workers = Workers(
        {QUEUE: {"note": go_on_regardless}},
        redis=bench.redis,
        ledger=bench.ledger,
        options=ONE,
        producer=bench.producer,
    )
    await bench.enqueue(task(), task())
    working = asyncio.create_task(workers.run())
    await begun.wait_for(1)

    working.cancel()

    with pytest.raises(asyncio.CancelledError):
        await working
    assert len(begun.items) == 1
