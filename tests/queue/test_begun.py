"""First attempts without a task: what failed goes on as one, and what did not costs nothing."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from alertagent.kernel.errors import External, Permanent, Postponed
from alertagent.queue.begun import Begun, Claim, Failed
from alertagent.queue.policy import Rule, Why
from alertagent.queue.task import NewTask, Task
from alertagent.queue.tasks import Tasks
from alertagent.storage.database import Transaction
from tests.queue.bench import QUEUE, Bench, task
from tests.support.waiting import Inbox

SOON = Rule(base=timedelta(milliseconds=1), cap=timedelta(milliseconds=1))
NEVER = Rule(base=timedelta(hours=3), cap=timedelta(hours=3))


@pytest.fixture
def begun(bench: Bench) -> Begun:
    return Begun(bench.redis, bench.ledger, bench.producer, observer=bench.observer)


def failed(task: NewTask, error: Exception) -> Failed:
    return Failed(task=task, error=error, seconds=0.5, waited=0.1)


async def all_of_them(_: Transaction, ids: Sequence[str]) -> Sequence[str]:
    return ids


def only(*mine: NewTask) -> Claim:
    async def claim(_: Transaction, ids: Sequence[str]) -> Sequence[str]:
        return [id for id in ids if id in {one.id for one in mine}]

    return claim


async def test_an_attempt_that_failed_goes_on_as_a_task_that_has_failed_once(bench: Bench, begun: Begun) -> None:
    away = task(max_retry=7)
    seen = Inbox[Task]()

    async def note(task: Task) -> None:
        seen.add(task)

    async with bench.workers({"note": note}):
        await begun.failed([failed(away, External("away"))], rule=SOON, by="planner", claim=all_of_them)
        [run] = await seen.wait_for(1)
        outcomes = await bench.finished(2)

    assert (run.id, run.retry, run.max_retry) == (away.id, 1, 7)
    assert outcomes == ["retried", "completed"]
    assert (await bench.row(away)).status == "completed"


async def test_what_was_put_off_has_spent_no_attempt_and_can_be_hastened(bench: Bench, begun: Begun) -> None:
    busy = task(max_retry=7)
    seen = Inbox[Task]()

    async def note(task: Task) -> None:
        seen.add(task)

    problem = Postponed("no room", retry_after=timedelta(seconds=20))
    async with bench.workers({"note": note}):
        await begun.failed([failed(busy, problem)], rule=SOON, by="planner", claim=all_of_them)
        row = await bench.row(busy)
        assert (row.retry, row.max_retry) == (1, 8)
        assert await Tasks([QUEUE], redis=bench.redis, ledger=bench.ledger).hasten([busy.id], within=timedelta()) == 1
        [run] = await seen.wait_for(1)
        await bench.finished(2)

    assert (run.retry, run.max_retry) == (2, 9)
    assert await bench.open_rows() == 0


async def test_what_nobody_should_try_again_is_a_dead_letter_that_can_be_revived(bench: Bench, begun: Begun) -> None:
    refused = task(payload={"delivery": "d"})

    await begun.failed([failed(refused, Permanent("no such robot"))], rule=SOON, by="task 7", claim=all_of_them)

    row, [letter] = await bench.row(refused), await bench.dead.newest()
    assert (row.status, row.why, row.error_message) == ("failed", "permanent", "Permanent: no such robot")
    assert (letter.task, letter.why, letter.by, letter.runs) == (refused.id, Why.PERMANENT, "task 7", 1)
    assert "no such robot" in letter.traceback
    assert await bench.finished(1) == ["buried"]
    seen = Inbox[Task]()

    async def note(task: Task) -> None:
        seen.add(task)

    async with bench.workers({"note": note}):
        await Tasks([QUEUE], redis=bench.redis, ledger=bench.ledger).retry(refused.id)
        [run] = await seen.wait_for(1)

    assert run.payload == {"delivery": "d"}


async def test_what_somebody_else_has_taken_over_becomes_no_second_task(bench: Bench, begun: Begun) -> None:
    mine, other = task(), task()
    attempts = [failed(mine, External("away")), failed(other, Permanent("gone"))]

    await begun.failed(attempts, rule=NEVER, by="planner", claim=only(mine))

    assert await bench.ledger.get(other.id) is None
    assert not await bench.dead.newest()
    assert await bench.finished(1) == ["retried"]


async def test_a_claim_that_fails_writes_nothing(bench: Bench, begun: Begun) -> None:
    async def broken(_: Transaction, ids: Sequence[str]) -> Sequence[str]:
        raise RuntimeError(f"{len(ids)} of them")

    with pytest.raises(RuntimeError):
        await begun.failed([failed(task(), External("away"))], rule=NEVER, by="planner", claim=broken)

    assert await bench.open_rows() == 0
