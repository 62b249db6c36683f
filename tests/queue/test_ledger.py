from dataclasses import replace
from datetime import UTC, datetime, timedelta

from alertagent.queue.ledger import Judged
from tests.queue.bench import Bench, task

NOW = datetime(2026, 11, 22, tzinfo=UTC)


async def test_a_task_ends_once(bench: Bench) -> None:
    new = task()
    await bench.enqueue(new)

    assert await bench.ledger.complete({new.id: NOW}) == {new.id}
    assert await bench.ledger.complete({new.id: NOW + timedelta(seconds=1)}) == set()
    assert await bench.ledger.judge([judged(new.id)]) == set()
    assert (await bench.row(new)).status == "completed"


async def test_an_attempt_is_judged_once(bench: Bench) -> None:
    new = task()
    await bench.enqueue(new)

    assert await bench.ledger.judge([judged(new.id, delay=timedelta(hours=1))]) == {new.id}
    assert await bench.ledger.judge([judged(new.id, delay=timedelta(hours=1))]) == set()

    row = await bench.row(new)
    assert (row.status, row.retry, row.error_message) == ("pending", 1, "OSError: away")
    assert row.scheduled_at - row.create_at > timedelta(minutes=59)
    assert await bench.ledger.judge([judged(new.id, retry=1)]) == {new.id}
    assert (await bench.row(new)).status == "failed"


async def test_an_end_whose_answer_was_lost_is_answered_again(bench: Bench) -> None:
    done, failed = task(), task()
    await bench.enqueue(done, failed)

    for _ in range(2):
        assert await bench.ledger.complete({done.id: NOW}) == {done.id}
        assert await bench.ledger.judge([judged(failed.id)]) == {failed.id}

    other_run = replace(judged(failed.id), started_at=NOW + timedelta(seconds=1))
    assert await bench.ledger.judge([other_run]) == set()
    assert await bench.ledger.judge([judged(failed.id, delay=timedelta(hours=1))]) == set()


async def test_only_what_is_open_is_open(bench: Bench) -> None:
    first, second = task(), task()
    await bench.enqueue(first, second)
    await bench.ledger.complete({first.id: NOW})

    assert await bench.ledger.still_open([first.id, second.id, task().id]) == {second.id: 0}


async def test_old_ended_tasks_are_deleted_a_batch_at_a_time(bench: Bench) -> None:
    tasks = [task() for _ in range(3)]
    await bench.enqueue(*tasks)
    await bench.ledger.complete({one.id: NOW for one in tasks[:2]})

    assert await bench.ledger.delete_ended(timedelta(hours=1)) == 0
    assert await bench.ledger.delete_ended(timedelta(), limit=1) == 1
    assert await bench.ledger.delete_ended(timedelta()) == 1
    assert [one.id for one in tasks if await bench.ledger.get(one.id)] == [tasks[2].id]


def judged(id: str, *, retry: int = 0, delay: timedelta | None = None) -> Judged:
    return Judged(id=id, retry=retry, delay=delay, error="OSError: away", started_at=NOW)
