"""First attempts by whoever plans them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from alertagent.core.escalation.model import EscalationRule
from alertagent.core.notify.groups import Changed
from alertagent.core.notify.prompt import IN_HAND
from alertagent.core.notify.tasks import rules
from alertagent.kernel.ids import new_id
from alertagent.queue.dead_letters import DeadLetters
from alertagent.queue.ledger import entry
from alertagent.queue.task import Task
from tests.core.alerts.house import House, open_house
from tests.core.notify.routed import ANNA, route
from tests.core.notify.test_circuits import DOWN
from tests.core.notify.test_groups import add_channel, firing, messages
from tests.support.sink import Answer, Sink

EACH = {"receiver": "hook", "group_by": ["..."], "group_wait": "0s", "group_interval": "1m"}


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    async with open_house(database_url, redis_url) as house:
        house.parts.prompt.most = IN_HAND
        yield house


async def fire(house: House, name: str, **labels: str) -> None:
    await house.fire(name, ago=60, severity="info", **labels)


async def rows(house: House) -> list[Any]:
    return await house.database.fetch("SELECT * FROM notification_deliveries ORDER BY id")


async def tasks(house: House, *types: str) -> list[Task]:
    found = await house.database.fetch(
        "SELECT * FROM task_queue WHERE task_type = ANY ($1) ORDER BY scheduled_at, id", list(types)
    )
    return [entry(row).as_task() for row in found]


async def states(house: House) -> list[str]:
    return [row["status"] for row in await rows(house)]


async def test_a_look_tells_at_once_and_nobody_needs_a_task_for_it(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await fire(house, "A")

    await house.work("dispatch", "flush")

    assert messages(sink) == [firing("A")]
    [row] = await rows(house)
    [look] = [
        task for task in await tasks(house, "flush") if row["begun_by"] is not None and task.id == str(row["begun_by"])
    ]
    assert (row["status"], row["attempts"], look.type) == ("sent", 1, "flush")
    assert not await tasks(house, "deliver")


async def test_a_group_that_cannot_grow_is_told_by_the_dispatch(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await route(house, EACH)
    await fire(house, "A")
    await fire(house, "B")

    await house.work("dispatch")

    assert sorted(messages(sink), key=str) == [firing("A"), firing("B")]
    assert all(task.due > house.clock.now() for task in await tasks(house, "flush"))
    await house.resolve("A", severity="info")
    house.clock.move(seconds=60)
    await house.work("dispatch", "flush")
    assert messages(sink)[-1] == {"firing": [], "resolved": ["A"]}


async def test_a_group_that_can_grow_waits_for_what_comes_with_it(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await route(house, {**EACH, "group_by": ["job"]})
    await fire(house, "A", job="db")
    await fire(house, "B", job="db")

    await house.work()

    assert messages(sink) == [firing("A", "B")]


async def test_a_new_group_waits_where_one_with_its_key_is_still_being_told(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await route(house, EACH)
    house.parts.prompt.most = 0
    alert = await house.fire("A", ago=60, severity="info")
    await house.work("dispatch")
    await house.database.execute("DELETE FROM notification_groups")
    house.parts.prompt.most = IN_HAND

    assert await house.parts.groups.dispatch([Changed(fingerprints=[alert.fingerprint], by=new_id())]) == [[]]

    assert await states(house) == ["pending"]
    await house.work("deliver")
    house.clock.move(minutes=2)
    await house.work()
    assert messages(sink) == [firing("A")]


async def test_what_failed_goes_on_by_a_task_with_the_same_id(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await fire(house, "A")
    sink.answer_next(Answer(status=500))

    await house.work("dispatch", "flush")
    [row], [task] = await rows(house), await tasks(house, "deliver")
    assert (row["status"], row["attempts"], row["begun_by"]) == ("pending", 1, None)
    assert (task.id, task.retry) == (row["id"], 1)
    await house.work("deliver")

    assert {request.headers["webhook-id"] for request in sink.requests} == {row["id"]}
    assert (await states(house), len(sink.requests)) == (["sent"], 2)


async def test_a_refusal_is_a_dead_letter_and_can_be_tried_again(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await fire(house, "A")
    sink.answer_next(Answer(status=400, body=b"no such hook"))

    await house.work("dispatch", "flush")

    [row] = await rows(house)
    [letter] = await DeadLetters("notification", house.parts.redis, house.parts.ledger).newest()
    assert (row["status"], letter.task, letter.why) == ("failed", row["id"], "permanent")
    await house.parts.retries.retry(ANNA, row["id"])
    await house.work("deliver")
    assert (await states(house), len(sink.requests)) == (["sent"], 2)


@pytest.mark.parametrize("tree", [None, EACH], ids=["flush", "dispatch"])
async def test_what_a_process_leaves_behind_is_told_when_its_task_runs_again(
    house: House, sink: Sink, tree: dict[str, Any] | None
) -> None:
    await add_channel(house, sink)
    if tree:
        await route(house, tree)
    for name in ("A", "B", "C"):
        await fire(house, name)
    kind = "dispatch" if tree else "flush"
    if not tree:
        await house.work("dispatch")
    open_tasks = await house.database.fetch(
        "SELECT * FROM task_queue WHERE status = 'pending' AND task_type = $1", kind
    )
    sink.answer_always(Answer(hold=True))
    running = [asyncio.create_task(house.run(entry(row).as_task())) for row in open_tasks]
    told = len(await sink.wait_for(3))
    # Meanwhile others look: the task is open, so somebody tells these.
    house.clock.move(minutes=2)
    await house.work("regroup")
    assert set(await states(house)) == {"pending"}
    for one in running:
        one.cancel()
    await asyncio.wait(running)
    sink.answer_always(Answer())
    sink.release()

    await house.work()

    assert set(await states(house)) == {"sent"}
    assert len(sink.requests) == 2 * told
    assert len({request.headers["webhook-id"] for request in sink.requests}) == told


async def test_what_nobody_works_on_any_more_holds_up_nothing(house: House, sink: Sink) -> None:
    """Its task was given up: the next look at the group finds that, and tells."""
    await add_channel(house, sink)
    await fire(house, "A")
    await house.work("dispatch")
    [look] = await tasks(house, "flush")
    sink.answer_always(Answer(hold=True))
    running = asyncio.create_task(house.run(look))
    await sink.wait_for(1)
    running.cancel()
    await asyncio.wait([running])
    await house.database.execute("UPDATE task_queue SET status = 'failed', completed_at = now() WHERE id = $1", look.id)
    sink.answer_always(Answer())
    sink.release()

    house.clock.move(minutes=2)
    await house.work()

    assert await states(house) == ["failed", "sent"]


async def test_who_was_thought_dead_leaves_what_others_have_taken_over(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await fire(house, "A")
    await house.work("dispatch")
    [look] = await tasks(house, "flush")
    sink.answer_next(Answer(status=500, hold=True))
    frozen = asyncio.create_task(house.run(look))
    await sink.wait_for(1)

    await house.run(look)
    [own] = await tasks(house, "deliver")
    sink.release()
    await frozen
    await house.work()

    assert [task.id for task in await tasks(house, "deliver")] == [own.id]
    assert (await states(house), len(sink.requests)) == (["sent"], 2)


async def test_more_than_can_be_held_goes_by_tasks(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await route(house, EACH)
    house.parts.prompt.most = 2
    names = [{"alertname": f"A{number}", "severity": "info"} for number in range(5)]
    await house.post(*({"labels": labels} for labels in names))

    await house.work("dispatch")
    assert (len(sink.requests), len(await tasks(house, "deliver"))) == (2, 3)
    await house.work()
    house.clock.move(seconds=1)
    await house.post({"labels": {"alertname": "B", "severity": "info"}})
    await house.work("dispatch")

    assert (len(sink.requests), len(await tasks(house, "deliver"))) == (6, 3)


async def two_where_one_has_room(house: House, sink: Sink) -> tuple[asyncio.Task[None], Task]:
    """One who tells, and whose channel holds its answer back; and the task of another."""
    await add_channel(house, sink)
    await route(house, EACH)
    house.parts.prompt.most = 1
    sink.answer_next(Answer(hold=True))
    for name in ("A", "B"):
        await fire(house, name)
    first, second = await tasks(house, "dispatch")
    telling = asyncio.create_task(house.run(first))
    await sink.wait_for(1)
    return telling, second


async def test_who_finds_no_room_waits_for_what_is_being_told(house: House, sink: Sink) -> None:
    house.parts.prompt.patience = timedelta(minutes=1)
    telling, second = await two_where_one_has_room(house, sink)

    waiting = asyncio.create_task(house.run(second))
    for _ in range(50):  # as many answers of the database as the other would need to plan a task
        await house.database.fetchval("SELECT 1")
    sink.release()
    await asyncio.gather(telling, waiting)

    assert (await states(house), await tasks(house, "deliver")) == (["sent", "sent"], [])


async def test_who_finds_no_room_for_long_goes_by_tasks(house: House, sink: Sink) -> None:
    house.parts.prompt.patience = timedelta(milliseconds=20)
    telling, second = await two_where_one_has_room(house, sink)

    await house.run(second)

    assert len(await tasks(house, "deliver")) == 1
    sink.release()
    await telling
    await house.work()
    assert await states(house) == ["sent", "sent"]


async def test_a_channel_that_hangs_keeps_nothing_from_another(house: House, sink: Sink) -> None:
    async with Sink() as other:
        other.answer_always(Answer(hold=True))
        await add_channel(house, other, "slow")
        await add_channel(house, sink, "quick")
        await fire(house, "A")
        await house.work("dispatch")
        [look] = await tasks(house, "flush")

        running = asyncio.create_task(house.run(look))
        await other.wait_for(1)
        await sink.wait_for(1)
        other.release()
        await running

    assert await states(house) == ["sent", "sent"]


async def test_what_has_to_be_weighed_first_goes_by_a_task(house: House, sink: Sink) -> None:
    """A rate, and a breaker that is open."""
    async with Sink() as down:
        down.answer_always(DOWN)
        robot = {"webhook_url": f"{sink.origin}/robot/send?access_token=t"}
        await add_channel(house, sink, "robot", plugin_name="dingtalk", config=robot)
        broken = await add_channel(house, down, "broken")
        for number in range(5):
            await fire(house, f"A{number}")
            await house.work("dispatch", "flush")
        assert await house.parts.circuits.shut(house.parts.circuits.circuit_of(broken)) is not None
        await fire(house, "B")
        await house.work("dispatch", "flush")
    begun = {row["channel_id"] for row in await rows(house) if row["begun_by"] is not None}

    assert not begun
    assert {row["group_labels"].get("alertname") for row in await rows(house)} >= {"B"}


async def test_what_is_late_goes_by_a_task(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await route(house, EACH)
    await fire(house, "A")
    house.clock.move(minutes=5)

    await house.work("dispatch")

    assert not sink.requests
    assert len(await tasks(house, "deliver")) == 1


async def test_escalation_is_planned_before_anybody_is_called(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await add_channel(house, sink, "second", is_default=False)
    await route(house, EACH)
    rule = EscalationRule(matchers=('severity="info"',), after=timedelta(minutes=15), channels=("second",))
    await house.parts.escalations.replace(ANNA, [rule], None)
    await house.work()
    await fire(house, "A")
    sink.answer_always(Answer(hold=True))
    [row] = await house.database.fetch("SELECT * FROM task_queue WHERE status = 'pending' AND task_type = 'dispatch'")

    running = asyncio.create_task(house.run(entry(row).as_task()))
    await sink.wait_for(1)
    planned = await tasks(house, "escalate")
    sink.release()
    await running

    assert len(planned) == 1


async def test_each_alert_of_a_message_is_as_it_is_known(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await route(house, EACH)
    await house.post(
        {
            "labels": {"alertname": "A", "severity": "info"},
            "annotations": {"summary": "It is hot"},
            "generatorURL": "http://p/g",
        }
    )

    await house.work("dispatch")

    [alert] = orjson.loads(sink.requests[0].body)["alerts"]
    assert alert["annotations"] == {"summary": "It is hot"}
    assert alert["generatorURL"] == "http://p/g"


def test_a_look_is_given_the_time_of_an_attempt() -> None:
    assert {kind: rule.timeout for kind, rule in rules().items()} == dict.fromkeys(
        ("dispatch", "flush", "deliver"), timedelta(minutes=5)
    )
