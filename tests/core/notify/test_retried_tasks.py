"""The task of a delivery is tried again or cancelled as a task, by somebody who looks at the queue."""

from collections.abc import Sequence
from typing import Any

import pytest
from asyncpg import RaiseError

from alertagent.core.notify.model import Channel
from alertagent.core.notify.prompt import IN_HAND
from alertagent.kernel.errors import Conflict
from alertagent.kernel.ids import new_id
from alertagent.queue.dead_letters import EVERY
from tests.core.alerts.house import House
from tests.core.notify.routed import ANNA
from tests.core.notify.test_circuits import plan
from tests.core.notify.test_groups import add_channel
from tests.core.notify.test_prompt import states
from tests.support.sink import Answer, Sink

REFUSED = Answer(status=400, body=b"no such hook")


@pytest.fixture
async def channel(house: House, sink: Sink) -> Channel:
    return await add_channel(house, sink, "ops")


async def refused(house: House, sink: Sink, count: int) -> Sequence[str]:
    """Deliveries that their channel has refused, each with its dead letter."""
    house.parts.prompt.most = IN_HAND
    sink.answer_next(*[REFUSED] * count)
    for number in range(count):
        await house.fire(f"A{number}", ago=60, severity="info")
    await house.work("dispatch", "flush")
    house.parts.prompt.most = 0
    assert await states(house) == ["failed"] * count
    return [row["id"] for row in await house.database.fetch("SELECT id FROM notification_deliveries ORDER BY id")]


async def kinds(house: House) -> list[Any]:
    rows = await house.database.fetch("SELECT kind FROM alert_events WHERE kind LIKE 'notification%' ORDER BY id")
    return [row["kind"].removeprefix("notification.") for row in rows]


@pytest.mark.usefixtures("channel")
async def test_a_retry_sends_what_had_failed_and_the_timeline_says_so(house: House, sink: Sink) -> None:
    (id,) = await refused(house, sink, 1)

    await house.parts.queues.retry(ANNA, id)
    await house.work("deliver")

    assert (await states(house), len(sink.requests)) == (["sent"], 2)
    assert await kinds(house) == ["failed", "retried", "sent"]


@pytest.mark.usefixtures("channel")
async def test_dead_letters_that_are_requeued_are_sent(house: House, sink: Sink) -> None:
    await refused(house, sink, 3)

    answer = await house.parts.queues.requeue(ANNA, "notification", EVERY)
    await house.work("deliver")

    assert (len(answer.requeued), await states(house), len(sink.requests)) == (3, ["sent"] * 3, 6)
    assert sorted(await kinds(house)) == ["failed"] * 3 + ["retried"] * 3 + ["sent"] * 3


@pytest.mark.usefixtures("channel")
async def test_what_something_newer_has_overtaken_is_not_sent_and_keeps_nothing_back(house: House, sink: Sink) -> None:
    first, second = await refused(house, sink, 2)
    letters = {
        letter.task: letter.id for letter in await house.parts.queues.dead("notification", EVERY, before=None, limit=9)
    }
    await house.database.execute(
        "INSERT INTO notification_deliveries (id, channel_id, group_key, receiver, group_labels, alerts)"
        " SELECT gen_random_uuid(), channel_id, group_key, receiver, group_labels, alerts"
        " FROM notification_deliveries WHERE id = $1",
        first,
    )

    with pytest.raises(Conflict) as overtaken:
        await house.parts.queues.retry(ANNA, first)
    task = await house.parts.queues.task(first)
    answer = await house.parts.queues.requeue(ANNA, "notification", EVERY)
    await house.work("deliver")

    assert (overtaken.value.code, task.status) == ("delivery.overtaken", "failed")
    assert (answer.requeued, answer.overtaken) == ([letters[second]], [letters[first]])
    assert await house.parts.queues.dead("notification", EVERY, before=None, limit=9) == []
    assert sorted(await states(house)) == ["failed", "pending", "sent"]
    assert len(sink.requests) == 3


@pytest.mark.usefixtures("channel")
async def test_of_two_messages_about_a_group_the_newer_one_is_sent(house: House, sink: Sink) -> None:
    first, _ = await refused(house, sink, 2)
    newer = await house.database.fetchval(
        "INSERT INTO notification_deliveries (id, channel_id, group_key, receiver, group_labels, alerts, status)"
        " SELECT $2, channel_id, group_key, receiver, group_labels, alerts, 'failed'"
        " FROM notification_deliveries WHERE id = $1 RETURNING id",
        first,
        new_id(),
    )
    async with house.database.transaction() as transaction:
        overtaken = await house.parts.retries.take_up(transaction, ANNA, [first, newer])
    taken = "SELECT id FROM notification_deliveries WHERE status = 'pending'"
    assert [row["id"] for row in await house.database.fetch(taken)] == [newer]
    assert list(overtaken) == [first]

    await house.database.execute("UPDATE notification_deliveries SET status = 'sent' WHERE id = $1", newer)
    with pytest.raises(Conflict, match="has been sent"):
        await house.parts.retries.retry(ANNA, first)


@pytest.mark.usefixtures("channel")
async def test_a_task_is_not_cancelled_without_its_delivery(house: House, sink: Sink) -> None:
    (id,) = await plan(house, 1)
    await house.database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the disk is full'; END $$;"
        "CREATE TRIGGER refusing BEFORE UPDATE ON notification_deliveries EXECUTE FUNCTION refuse()"
    )
    with pytest.raises(RaiseError, match="disk"):
        await house.parts.queues.cancel(ANNA, id)
    before = (await house.parts.queues.task(id)).status, await states(house)
    await house.database.execute("DROP TRIGGER refusing ON notification_deliveries")
    await house.parts.queues.cancel(ANNA, id)
    await house.work("deliver")

    assert before == ("pending", ["pending"])
    assert ((await house.parts.queues.task(id)).status, await states(house)) == ("failed", ["failed"])
    assert sink.requests == []


async def test_a_delivery_whose_task_is_cancelled_ends_and_is_not_planned_anew(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "other", is_default=False)
    await add_channel(house, sink, "ops", fallback=("other",))
    (id,) = await plan(house, 1)

    await house.parts.queues.cancel(ANNA, id)
    house.clock.move(minutes=5)
    await house.work()

    row = await house.database.fetchrow("SELECT * FROM notification_deliveries")
    assert row is not None
    assert (row["status"], row["provider_code"], row["provider_message"]) == (
        "failed",
        "cancelled",
        "cancelled by anna",
    )
    assert (await kinds(house), sink.requests) == (["failed"], [])
    await house.parts.queues.retry(ANNA, id)
    await house.work("deliver")
    assert (await states(house), len(sink.requests)) == (["sent"], 1)
