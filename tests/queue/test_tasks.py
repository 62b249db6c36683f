import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alertagent.kernel.errors import Conflict, NotFound, Permanent, Postponed
from alertagent.queue import streams
from alertagent.queue.connection import connect
from alertagent.queue.ledger import Entry
from alertagent.queue.options import HORIZON, QueueOptions
from alertagent.queue.policy import Why
from alertagent.queue.task import NewTask, Task
from alertagent.queue.tasks import LISTING, Tasks
from alertagent.storage.database import Transaction
from alertagent.storage.pages import PageRequest
from tests.queue.bench import QUEUE, Bench, Finished, task, until
from tests.support.waiting import Inbox

ONE_AT_A_TIME = QueueOptions(default_concurrency=1)


@pytest.fixture
def tasks(bench: Bench) -> Tasks:
    return Tasks([QUEUE], redis=bench.redis, ledger=bench.ledger)


async def nothing(_: Task) -> None:
    pass


async def refuse(_: Task) -> None:
    raise Permanent("no such channel")


class Hanging:
    """A handler that hangs until it is cancelled, and tells of both."""

    def __init__(self) -> None:
        self.started: Inbox[str] = Inbox()
        self.cancelled: Inbox[str] = Inbox()

    async def __call__(self, task: Task) -> None:
        self.started.add(task.id)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.add(task.id)
            raise


@pytest.mark.parametrize("due", [None, timedelta(seconds=30), timedelta(hours=3)], ids=["now", "soon", "far"])
async def test_a_cancelled_task_never_starts(bench: Bench, tasks: Tasks, due: timedelta | None) -> None:
    unwanted = task(due=due and datetime.now(UTC) + due)
    await bench.enqueue(unwanted)

    cancelled = await tasks.cancel(unwanted.id, by="ann")

    assert (cancelled.status, cancelled.why, cancelled.error_message) == ("failed", "cancelled", "cancelled by ann")
    [letter] = await bench.dead.newest()
    assert (letter.task, letter.why, letter.by) == (unwanted.id, Why.CANCELLED, "ann")
    async with bench.workers({"note": nothing}):
        await bench.enqueue(task())
        await until(lambda: _completed(bench))
        assert await bench.ledger.get(unwanted.id) == cancelled


@pytest.mark.parametrize("pause", [timedelta(seconds=30), timedelta(hours=3)], ids=["in redis", "in the ledger"])
async def test_what_was_put_off_is_hastened_and_runs_once(bench: Bench, tasks: Tasks, pause: timedelta) -> None:
    ran = Inbox[Task]()

    async def run(task: Task) -> None:
        ran.add(task)
        if not task.retry:
            raise Postponed("not now", retry_after=pause)

    async with bench.workers({"note": run}):
        put_off = task(max_retry=0)
        await bench.enqueue(put_off)
        await bench.finished(1)
        await until(lambda: _delayed(bench, int(pause < HORIZON)))
        waiting = await bench.redis.zrange(bench.keys.delayed, 0, -1)

        assert await tasks.hasten([put_off.id], within=timedelta(seconds=1)) == 1
        assert await tasks.hasten([put_off.id], within=timedelta(seconds=1)) == 0
        for copy in waiting:  # is due now, too
            await bench.redis.zadd(bench.keys.delayed, {copy: 0})
        assert await bench.finished(2) == ["retried", "completed"]
        await until(lambda: _entries(bench, 0))

    assert [one.retry for one in ran.items] == [0, 2]


async def test_what_is_hastened_starts_though_redis_never_heard_of_it(bench: Bench, tasks: Tasks) -> None:
    put_off = task()
    await bench.enqueue(put_off)
    later = "UPDATE task_queue SET retry_count = 1, scheduled_at = now() + interval '1 hour'"
    await bench.database.execute(later)
    await tasks.hasten([put_off.id], within=timedelta(milliseconds=50))
    await bench.redis.flushdb()

    async with bench.workers({"note": nothing}):
        assert await bench.finished(1) == ["completed"]


async def test_only_what_was_put_off_is_hastened(bench: Bench, tasks: Tasks) -> None:
    hanging, running, planned = Hanging(), task(), task(due=datetime.now(UTC) + timedelta(seconds=30))
    async with bench.workers({"note": hanging}):
        await bench.enqueue(running, planned)
        await hanging.started.wait_for(1)

        assert await tasks.hasten([running.id, planned.id], within=timedelta()) == 0


async def test_a_running_task_is_cancelled_with_its_handler(bench: Bench, tasks: Tasks) -> None:
    hanging, unwanted = Hanging(), task()
    async with bench.workers({"note": hanging}):
        await bench.enqueue(unwanted)
        await hanging.started.wait_for(1)
        await tasks.cancel(unwanted.id, by="ann")
        await hanging.cancelled.wait_for(1, timeout=1)
        assert await bench.finished(1) == ["cancelled"]
        await until(lambda: _entries(bench, 0))

    row = await bench.row(unwanted)
    assert (row.status, row.why) == ("failed", "cancelled")
    assert len(await bench.dead.newest()) == 1


async def test_a_task_that_was_read_ahead_is_cancelled_too(bench: Bench, tasks: Tasks) -> None:
    hanging, running, waiting = Hanging(), task(), task()
    async with bench.workers({"note": hanging}, options=ONE_AT_A_TIME):
        await bench.enqueue(running, waiting)
        await hanging.started.wait_for(1)
        for each in (waiting, running):
            await tasks.cancel(each.id, by="ann")
        assert await bench.finished(2) == ["cancelled"] * 2
        await until(lambda: _entries(bench, 0))

    assert hanging.started.items == [running.id]


async def test_a_handler_that_will_not_be_cancelled_ends_without_consequence(bench: Bench, tasks: Tasks) -> None:
    started, stubborn = asyncio.Event(), task()

    async def insist(_: Task) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async with bench.workers({"note": insist}):
        await bench.enqueue(stubborn)
        await started.wait()
        await tasks.cancel(stubborn.id, by="ann")
        await until(lambda: _entries(bench, 0))

    assert (await bench.row(stubborn)).status == "failed"
    assert bench.observer.finished.items == []


async def test_what_has_ended_cannot_be_cancelled(bench: Bench, tasks: Tasks) -> None:
    new = task()
    async with bench.workers({"note": nothing}):
        await bench.enqueue(new)
        await bench.finished(1)

    with pytest.raises(Conflict, match="it is completed"):
        await tasks.cancel(new.id, by="ann")


async def test_a_failed_task_is_tried_again_by_its_id(bench: Bench, tasks: Tasks) -> None:
    new = await failed(bench)

    assert (await tasks.retry(new.id)).status == "pending"

    assert await bench.dead.newest() == []
    async with bench.workers({"note": nothing}):
        assert await bench.finished(2) == ["buried", "completed"]
    row = await bench.row(new)
    assert (row.status, row.retry, row.why) == ("completed", 0, None)
    with pytest.raises(Conflict, match="it is completed"):
        await tasks.retry(new.id)


@pytest.mark.parametrize("id", ["nonsense", "0192f0c1-aaaa-7000-8000-000000000001"])
async def test_what_is_not_there_cannot_be_steered(tasks: Tasks, id: str) -> None:
    with pytest.raises(NotFound):
        await tasks.get(id)
    with pytest.raises(NotFound):
        await tasks.cancel(id, by="ann")
    with pytest.raises(NotFound):
        await tasks.retry(id)


async def test_what_a_worker_holds_is_processing(bench: Bench, tasks: Tasks) -> None:
    hanging, running, waiting = Hanging(), task(), task(due=datetime.now(UTC) + timedelta(seconds=30))
    async with bench.workers({"note": hanging}):
        await bench.enqueue(running, waiting)
        await hanging.started.wait_for(1)

        assert await statuses(tasks) == {running.id: "processing", waiting.id: "pending"}
        assert (await tasks.get(running.id)).status == "processing"
        assert await statuses(tasks, 'status="processing"') == {running.id: "processing"}
        assert await statuses(tasks, 'status="pending"') == {waiting.id: "pending"}


async def test_a_list_goes_by_queue_type_and_status_a_page_at_a_time(bench: Bench, tasks: Tasks) -> None:
    new = await failed(bench)
    await bench.enqueue(others := task(queue="other"))
    page = [task("page") for _ in range(3)]
    for each in page:
        await bench.enqueue(each)
    newest = sorted((each.id for each in page), reverse=True)

    pages = PageRequest(filter=['type="page"'], limit=2)

    first = await tasks.page(pages)
    second = await tasks.page(replace(pages, cursor=first.next_cursor))

    assert [each.id for each in [*first.tasks, *second.tasks]] == newest
    assert (first.total, second.next_cursor, first.live) == (3, None, True)
    assert await statuses(tasks, 'queue="other"') == {others.id: "pending"}
    assert await statuses(tasks, 'status="failed"') == {new.id: "failed"}
    assert await statuses(tasks, 'why="permanent"', 'status!="pending"') == {new.id: "failed"}
    assert await statuses(tasks, 'status="completed"') == {}
    assert await statuses(tasks, 'status="nonsense"') == {}
    assert await statuses(tasks, 'status="failed"', 'status="pending"') == {}


@pytest.mark.parametrize("sort", [None, *(f"{way}{name}" for name in LISTING.columns for way in ("", "-"))])
async def test_every_sort_goes_through_all_tasks_once(bench: Bench, tasks: Tasks, sort: str | None) -> None:
    later = datetime.now(UTC) + timedelta(seconds=30)
    everything = [task(priority=number % 3, due=[None, later][number % 2]) for number in range(5)]
    await bench.enqueue(*everything)
    await bench.ledger.complete({each.id: datetime.now(UTC) for each in everything[:2]})
    seen: list[str] = []
    request = PageRequest(sort=sort, limit=2)

    while True:
        page = await tasks.page(request)
        seen += [each.id for each in page.tasks]
        if page.next_cursor is None:
            break
        request = replace(request, cursor=page.next_cursor)

    assert sorted(seen) == sorted(each.id for each in everything)


async def test_what_is_no_task_in_the_hands_of_a_worker_hides_nothing(bench: Bench, tasks: Tasks) -> None:
    await bench.enqueue(new := task())
    await streams.join(bench.redis, bench.keys)
    await bench.redis.xadd(bench.keys.stream(1), {streams.FIELD: b'{"id": "nonsense"}'})
    await bench.redis.xreadgroup(streams.GROUP, "somebody", {bench.keys.stream(1): ">"})

    assert new.id in await statuses(tasks)


async def test_a_change_brings_along_what_belongs_to_it_or_is_not_made(bench: Bench, tasks: Tasks) -> None:
    noted: list[str] = []

    async def note(_tx: Transaction, entry: Entry) -> None:
        noted.append(f"{entry.id} {entry.status}")
        if len(noted) == 3:
            raise RuntimeError("the note cannot be kept")

    await bench.enqueue(new := task())

    await tasks.cancel(new.id, by="ann", also=note)
    await tasks.retry(new.id, also=note)
    with pytest.raises(RuntimeError):
        await tasks.cancel(new.id, by="ann", also=note)

    assert noted == [f"{new.id} failed", f"{new.id} pending", f"{new.id} failed"]
    assert (await bench.row(new)).status == "pending"


async def test_without_redis_tasks_are_listed_and_steered_all_the_same(bench: Bench) -> None:
    async with connect("redis://127.0.0.1:1/0") as away:
        tasks = Tasks([QUEUE], redis=away, ledger=bench.ledger)
        await bench.enqueue(new := task())

        page = await tasks.page(PageRequest())
        assert ([each.status for each in page.tasks], page.live) == (["pending"], False)
        assert (await tasks.cancel(new.id, by="ann")).status == "failed"
        assert (await tasks.retry(new.id)).status == "pending"


async def failed(bench: Bench) -> NewTask:
    new = task()
    async with bench.workers({"note": refuse}):
        await bench.enqueue(new)
        await bench.finished(1)
    return new


async def statuses(tasks: Tasks, *filter: str) -> dict[str, str]:
    return {each.id: each.status for each in (await tasks.page(PageRequest(filter=filter))).tasks}


async def _entries(bench: Bench, count: int) -> bool:
    return await bench.entries() == count


async def _completed(bench: Bench) -> bool:
    return Finished("note", "completed") in bench.observer.finished.items


async def _delayed(bench: Bench, count: int) -> bool:
    return int(await bench.redis.zcard(bench.keys.delayed)) == count
