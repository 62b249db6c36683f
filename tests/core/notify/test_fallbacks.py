"""Who is told when a channel cannot be, and what somebody can do about it afterwards."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from alertagent.core.notify.retrying import Retries
from alertagent.kernel.errors import Conflict, NotFound
from alertagent.queue.ledger import entry
from tests.core.alerts.house import House
from tests.core.notify.routed import ANNA
from tests.core.notify.test_groups import add_channel, firing, messages, pass_time, resolved
from tests.support.sink import Answer, Sink

GONE = Answer(status=400, body=b"no")


@pytest.fixture
async def sinks() -> AsyncIterator[dict[str, Sink]]:
    async with Sink() as first, Sink() as second, Sink() as third:
        yield {"first": first, "second": second, "third": third}


async def add(house: House, sinks: dict[str, Sink], name: str, *fallback: str, is_default: bool = False) -> None:
    await add_channel(house, sinks[name], name, is_default=is_default, fallback=fallback)


def told(sinks: dict[str, Sink]) -> dict[str, list[dict[str, list[str]]]]:
    return {name: messages(sink, name) for name, sink in sinks.items()}


async def events(house: House, fingerprint: str) -> list[str]:
    found = await house.parts.alerts.timeline(fingerprint, before=None, limit=100)
    return [event.kind for event in reversed(found) if event.kind.startswith("notification")]


async def deliveries(house: House) -> list[Any]:
    return await house.database.fetch("SELECT * FROM notification_deliveries ORDER BY created_at, id")


async def test_the_next_channel_is_told_with_the_same_group(house: House, sinks: dict[str, Sink]) -> None:
    await add(house, sinks, "first", "unknown", "second", is_default=True)
    await add(house, sinks, "second")
    sinks["first"].answer_always(GONE)
    alert = await house.fire("A", ago=60)
    await house.work()
    await house.resolve("A")

    await pass_time(house, timedelta(minutes=3))

    both = [firing("A"), resolved("A")]
    assert told(sinks) == {"first": both, "second": both, "third": []}
    bodies = [orjson.loads(request.body) for request in sinks["second"].requests]
    assert {body["groupKey"] for body in bodies} == {'default:{alertname="A"}'}
    # Who stood in hears of the end at once; the first channel's failure comes after that.
    assert await events(house, alert.fingerprint) == [
        "notification.failed",
        "notification.fallback",
        "notification.sent",
        "notification.sent",
        "notification.failed",
        "notification.fallback",
    ]
    assert (await house.parts.alerts.get(alert.fingerprint)).notification_status == "sent"


async def test_one_fallback_after_the_other_is_tried(house: House, sinks: dict[str, Sink]) -> None:
    await add(house, sinks, "first", "second", "third", is_default=True)
    # Its own fallbacks are for what it is told itself.
    await add(house, sinks, "second", "first")
    await add(house, sinks, "third")
    for name in ("first", "second"):
        sinks[name].answer_always(GONE)
    await house.fire("A", ago=60)

    await house.work()

    assert told(sinks) == {"first": [firing("A")], "second": [firing("A")], "third": [firing("A")]}


async def test_a_channel_that_is_told_anyway_stands_in_for_none(house: House, sinks: dict[str, Sink]) -> None:
    await add(house, sinks, "first", "second", is_default=True)
    await add(house, sinks, "second", is_default=True)
    sinks["first"].answer_always(GONE)
    # So the second has a delivery under way when the first fails.
    sinks["second"].answer_next(Answer(status=503))
    await house.fire("A", ago=60)

    await house.work("dispatch", "flush")
    rows = {row["channel_id"]: row for row in await deliveries(house)}
    names = {row["id"]: row["name"] for row in await house.database.fetch("SELECT * FROM user_notification_configs")}
    for channel in sorted(rows, key=lambda each: str(names[each]), reverse=True):
        for task in await house.database.fetch("SELECT * FROM task_queue WHERE id = $1::uuid", rows[channel]["id"]):
            await house.run(entry(task).as_task())
    await pass_time(house, timedelta(seconds=30))

    assert len(await deliveries(house)) == 2
    assert told(sinks)["second"] == [firing("A")] * 2


@pytest.mark.parametrize(
    ("status", "expected"),
    [("resolved", {"second": [], "third": [firing("A")]}), ("firing", {"second": [], "third": []})],
)
async def test_a_channel_that_is_still_being_told_of_something_else_is_passed_over(
    house: House, sinks: dict[str, Sink], status: str, expected: dict[str, list[Any]]
) -> None:
    await add(house, sinks, "first", "second", "third", is_default=True)
    await add(house, sinks, "second")
    await add(house, sinks, "third")
    sinks["first"].answer_always(GONE)
    alert = await house.fire("A", ago=60)
    await house.work("dispatch", "flush")
    await house.database.execute(
        "INSERT INTO notification_deliveries (id, channel_id, group_key, receiver, group_labels, alerts)"
        """ SELECT '0192f0c1-aaaa-7000-8000-000000000001', id, 'default:{alertname="A"}', 'default', '{}', $1"""
        "     FROM user_notification_configs WHERE name = 'second'",
        [{"fingerprint": alert.fingerprint, "episode": 1, "status": status}],
    )

    await house.work("deliver")

    assert {name: messages(sinks[name], name) for name in ("second", "third")} == expected


async def test_a_failed_delivery_can_be_tried_again_with_its_id(house: House, sinks: dict[str, Sink]) -> None:
    await add(house, sinks, "first", is_default=True)
    sinks["first"].answer_next(GONE)
    alert = await house.fire("A", ago=60)
    await house.work()
    (row,) = await deliveries(house)
    retries: Retries = house.parts.retries

    again = await retries.retry(ANNA, row["id"])
    assert again.status == "pending"
    await house.work()

    (row,) = await deliveries(house)
    assert (row["status"], row["attempts"]) == ("sent", 2)
    ids = [request.headers["webhook-id"] for request in sinks["first"].requests]
    assert ids == [row["id"]] * 2
    assert await events(house, alert.fingerprint) == [
        "notification.failed",
        "notification.retried",
        "notification.sent",
    ]
    with pytest.raises(Conflict, match="has not failed"):
        await retries.retry(ANNA, row["id"])
    with pytest.raises(NotFound):
        await retries.retry(ANNA, "none")


async def test_what_was_overtaken_is_not_tried_again(house: House, sinks: dict[str, Sink]) -> None:
    await add(house, sinks, "first", is_default=True)
    sinks["first"].answer_next(GONE, Answer(status=503))
    await house.fire("A", ago=60, instance="1")
    await house.work()
    await house.fire("A", ago=60, instance="2")
    house.clock.move(minutes=1)
    await house.work("dispatch", "flush")
    failed = next(row for row in await deliveries(house) if row["status"] == "failed")

    with pytest.raises(Conflict, match="newer message"):
        await house.parts.retries.retry(ANNA, failed["id"])

    assert {row["status"] for row in await deliveries(house)} == {"failed", "pending"}


async def test_a_digest_that_failed_is_tried_again_with_all_that_it_was_to_tell(
    house: House, sinks: dict[str, Sink]
) -> None:
    await add(house, sinks, "first", is_default=True)
    sinks["first"].answer_always(Answer(status=503))
    for name in "ABCDEF":
        await house.fire(name, ago=60)
    await house.work()
    for _ in range(12):
        house.clock.move(minutes=1)
        await house.work()
    sinks["first"].answer_always(GONE)
    await pass_time(house, timedelta(hours=1), timedelta(minutes=1))
    digest = next(row for row in await deliveries(house) if row["receiver"] == "digest")
    member = next(row for row in await deliveries(house) if row["digest_id"] == digest["id"])
    assert {digest["status"], member["status"]} == {"failed"}
    with pytest.raises(Conflict, match="retry that"):
        await house.parts.retries.retry(ANNA, member["id"])

    sinks["first"].answer_always(Answer())
    await house.parts.retries.retry(ANNA, digest["id"])
    await house.work()

    assert {row["status"] for row in await deliveries(house)} == {"sent"}
