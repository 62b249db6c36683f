"""What could not be told in time: the clock is moved by hand, and the provider is away for as long as a test says."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import orjson
import pytest

from alertagent.core.audit.model import Actor
from alertagent.core.notify.model import Channel
from alertagent.core.notify.records import delivery_of
from alertagent.kernel.errors import Problem
from tests.core.alerts.house import House, open_house
from tests.support.dingtalk import DingTalkRobot
from tests.support.pagers import ROUTING_KEY, PagerDutyEvents
from tests.support.sink import Answer, Received, Sink

ANNA = Actor(name="anna")


@pytest.fixture
async def channel(house: House, sink: Sink) -> Channel:
    return await add_channel(house, "webhook", {"url": sink.url})


async def add_channel(house: House, plugin: str, config: dict[str, Any]) -> Channel:
    values = {"plugin_name": plugin, "config": config, "enabled": True, "is_default": True}
    channel = await house.parts.channels.add(ANNA, {"name": "ops", "fallback": (), "user_id": None, **values})
    await house.work()
    return channel


async def fire(house: House, groups: Iterable[int], each: int = 1) -> None:
    """Alerts of so many groups; those of a higher number began later."""
    for group in groups:
        for instance in range(each):
            await house.fire(f"G{group:03}", ago=3600 - group, instance=f"{group:03}-{instance}", severity="info")


async def plan(house: House) -> None:
    """Look at the groups that are due."""
    await house.work("dispatch", "flush")


async def work(house: House, minutes: int = 0) -> None:
    """Let so much time pass, and everything happen that is due by then."""
    for _ in range(minutes or 1):
        house.clock.move(minutes=1 if minutes else 0)
        await plan(house)
        while await house.work("deliver"):
            await plan(house)


def bodies(requests: Iterable[Received]) -> list[Any]:
    return [orjson.loads(request.body) for request in requests]


def instances(body: Any) -> list[str]:
    return [alert["labels"]["instance"] for alert in body["alerts"]]


async def rows(house: House, what: str = "receiver, status, digest_id") -> list[Any]:
    return await house.database.fetch(f"SELECT {what} FROM notification_deliveries ORDER BY created_at, id")


async def statuses(house: House) -> Counter[tuple[str, str]]:
    return Counter((row["receiver"], row["status"]) for row in await rows(house))


@pytest.mark.usefixtures("channel")
async def test_what_a_provider_missed_in_an_hour_comes_as_few_messages_that_name_every_alert(
    house: House, sink: Sink
) -> None:
    sink.answer_always(Answer(status=503))
    await fire(house, range(25), each=4)
    await work(house, minutes=20)
    await fire(house, range(25, 50), each=4)
    await work(house, minutes=40)
    missed = len(sink.requests)
    sink.answer_always(Answer())

    await work(house, minutes=6)

    told = bodies(sink.requests[missed:])
    named = [name for body in told for name in instances(body)]
    assert len(told) == 2
    assert [name[:3] for name in named] == sorted(name[:3] for name in named)
    assert Counter(named) == Counter(f"{group:03}-{instance}" for group in range(50) for instance in range(4))
    assert await statuses(house) == Counter({("default", "sent"): 50, ("digest", "sent"): 2})


@pytest.mark.usefixtures("channel")
async def test_what_came_in_while_nobody_worked_comes_as_few_messages_oldest_first(house: House, sink: Sink) -> None:
    for group in range(50):
        await fire(house, [group], each=4)
        house.clock.move(minutes=1)
    house.clock.move(minutes=10)

    await work(house)

    told = bodies(sink.requests)
    named = [name for body in told for name in instances(body)]
    assert len(told) == 1
    assert [name[:3] for name in named] == sorted(name[:3] for name in named)
    assert len(set(named)) == len(named) == 200
    assert await statuses(house) == Counter({("default", "sent"): 50, ("digest", "sent"): 1})


@pytest.mark.usefixtures("channel")
async def test_after_a_digest_each_group_knows_what_was_told_and_goes_on(house: House, sink: Sink) -> None:
    await fire(house, range(6), each=2)
    await plan(house)
    house.clock.move(minutes=10)

    await work(house)
    digests = bodies(sink.requests)
    await house.resolve("G003", instance="003-0", severity="info")
    await work(house, minutes=2)

    later = bodies(sink.requests[1:])
    alerts = await house.database.fetch("SELECT notification_status FROM alerts")
    lines = await house.database.fetch("SELECT * FROM alert_events WHERE kind = 'notification.sent' ORDER BY id")
    members = await rows(house, "id, digest_id")
    assert [len(body["alerts"]) for body in digests] == [12]
    assert [(body["receiver"], instances(body)) for body in later] == [("default", ["003-1", "003-0"])]
    assert {row["notification_status"] for row in alerts} == {"sent"}
    assert {(line["detail"]["delivery"], line["detail"]["digest"]) for line in lines[:12]} == {
        (row["id"], row["digest_id"]) for row in members if row["digest_id"]
    }


@pytest.mark.usefixtures("channel")
async def test_a_few_late_messages_come_as_they_are(house: House, sink: Sink) -> None:
    await fire(house, range(4))
    await plan(house)
    house.clock.move(minutes=10)

    await work(house)

    assert len(sink.requests) == 4
    assert await statuses(house) == Counter({("default", "sent"): 4})


@pytest.mark.usefixtures("channel")
async def test_what_is_not_late_yet_is_told_by_itself(house: House, sink: Sink) -> None:
    sink.answer_always(Answer(status=503))
    await fire(house, range(5))
    await work(house, minutes=1)
    sink.answer_always(Answer())

    await work(house, minutes=2)

    assert await statuses(house) == Counter({("default", "sent"): 5})


@pytest.mark.usefixtures("channel")
async def test_a_backlog_that_is_too_large_for_one_digest_is_told_in_order(house: House, sink: Sink) -> None:
    await fire(house, range(65), each=10)
    await plan(house)
    house.clock.move(minutes=10)
    sink.answer_next(Answer(status=503))

    await work(house, minutes=2)

    told = bodies(sink.requests)
    assert [len(body["alerts"]) for body in told] == [300, 300, 300, 50]
    assert instances(told[0]) == instances(told[1])
    named = [name[:3] for body in told[1:] for name in instances(body)]
    assert named == sorted(named)
    assert await statuses(house) == Counter({("default", "sent"): 65, ("digest", "sent"): 3})


async def test_two_workers_do_not_tell_the_same_backlog_twice(
    house: House, sink: Sink, channel: Channel, database_url: str, redis_url: str
) -> None:
    await fire(house, range(30))
    await plan(house)
    house.clock.move(minutes=10)
    ids = [row["id"] for row in await rows(house, "id")]

    async with open_house(database_url, redis_url) as other:
        other.clock.time = house.clock.time
        await asyncio.gather(
            *(each.parts.deliveries.deliver(id, is_last_attempt=False) for id in ids for each in (house, other))
        )
    await work(house)

    named = Counter(name for body in bodies(sink.requests) for name in instances(body))
    assert len(sink.requests) == 1
    assert set(named.values()) == {1}
    assert len(named) == 30
    assert channel.enabled


@pytest.mark.usefixtures("channel")
async def test_a_digest_that_is_refused_fails_its_members(house: House, sink: Sink) -> None:
    await fire(house, range(5))
    await plan(house)
    house.clock.move(minutes=10)
    sink.answer_always(Answer(status=400, body=b"no such room"))

    await work(house)

    alerts = await house.database.fetch("SELECT notification_status FROM alerts")
    told = await house.database.fetch("SELECT failed FROM notification_log")
    assert await statuses(house) == Counter({("default", "failed"): 5, ("digest", "failed"): 1})
    assert {row["notification_status"] for row in alerts} == {"failed"}
    assert [row["failed"] for row in told] == [True] * 5


async def test_a_channel_that_is_switched_off_cancels_a_digest_and_its_members(
    house: House, sink: Sink, channel: Channel
) -> None:
    sink.answer_always(Answer(status=503))
    await fire(house, range(6))
    await work(house, minutes=7)
    assert (await statuses(house))["digest", "pending"] == 1
    await house.parts.channels.revise(ANNA, channel.id, {"enabled": False}, None)

    await work(house, minutes=6)

    assert await statuses(house) == Counter({("default", "cancelled"): 6, ("digest", "cancelled"): 1})


@pytest.mark.usefixtures("channel")
async def test_members_are_not_given_up_while_their_digest_is_under_way(house: House, sink: Sink) -> None:
    sink.answer_always(Answer(status=503))
    await fire(house, range(6))

    await work(house, minutes=30)

    assert await statuses(house) == Counter({("default", "pending"): 6, ("digest", "pending"): 1})


@pytest.mark.usefixtures("channel")
async def test_when_the_task_of_a_digest_has_died_its_alerts_are_planned_anew(house: House, sink: Sink) -> None:
    sink.answer_always(Answer(status=503))
    await fire(house, range(6))
    await work(house, minutes=7)
    (digest,) = [row["id"] for row in await rows(house, "id, receiver") if row["receiver"] == "digest"]
    await house.database.execute("UPDATE task_queue SET status = 'failed' WHERE id = $1", digest)
    missed = len(sink.requests)
    sink.answer_always(Answer())

    await work(house, minutes=10)

    named = Counter(name for body in bodies(sink.requests[missed:]) for name in instances(body))
    assert named == Counter({f"{group:03}-0": 1 for group in range(6)})


@pytest.mark.usefixtures("channel")
async def test_a_member_whose_digest_has_died_goes_on_by_itself(house: House, sink: Sink) -> None:
    await fire(house, range(6))
    await plan(house)
    house.clock.move(minutes=10)
    first, *others = [row["id"] for row in await rows(house, "id")]
    await house.parts.deliveries.deliver(first, is_last_attempt=False)
    await house.database.execute("UPDATE task_queue SET status = 'failed' WHERE id <> $1", first)

    await house.parts.deliveries.deliver(first, is_last_attempt=False)

    assert [instances(body) for body in bodies(sink.requests)] == [["000-0"]]
    assert (await statuses(house))["digest", "failed"] == 1
    assert len(others) == 5


@pytest.mark.usefixtures("channel")
async def test_an_alert_that_is_over_by_then_is_told_as_over_and_not_again(house: House, sink: Sink) -> None:
    sink.answer_always(Answer(status=503))
    await fire(house, range(6))
    await work(house)
    await house.resolve("G002", instance="002-0", severity="info")
    await work(house, minutes=7)
    missed = len(sink.requests)
    sink.answer_always(Answer())

    await work(house, minutes=10)

    (digest,) = bodies(sink.requests[missed:])
    assert {alert["labels"]["instance"]: alert["status"] for alert in digest["alerts"]} == {
        **{f"{group:03}-0": "firing" for group in range(6)},
        "002-0": "resolved",
    }


@pytest.mark.usefixtures("channel")
async def test_a_message_that_may_have_arrived_keeps_its_id(house: House, sink: Sink) -> None:
    await fire(house, range(6))
    await plan(house)
    first = (await rows(house, "id"))[0]["id"]
    sink.answer_next(Answer(fault="hang_up"))
    with pytest.raises(Problem):
        await house.parts.deliveries.deliver(first, is_last_attempt=False)
    house.clock.move(minutes=10)

    await work(house)

    repeated, others = sorted(bodies(sink.requests[1:]), key=lambda body: len(body["alerts"]))
    assert {request.headers["webhook-id"] for request in sink.requests[:1]} <= {
        request.headers["webhook-id"] for request in sink.requests[1:]
    }
    assert (len(repeated["alerts"]), len(others["alerts"])) == (1, 5)


@pytest.mark.usefixtures("channel")
async def test_what_a_blocked_channel_kept_back_comes_together(house: House, sink: Sink) -> None:
    await fire(house, range(6))
    await plan(house)
    house.clock.move(minutes=4)
    until = house.clock.now() + timedelta(minutes=2)
    await house.database.execute("UPDATE user_notification_configs SET paused_until = $1", until)
    await work(house)
    kept_back = await statuses(house)

    await work(house, minutes=3)

    assert kept_back == Counter({("default", "pending"): 6})
    assert [len(body["alerts"]) for body in bodies(sink.requests)] == [6]


@pytest.mark.usefixtures("channel")
async def test_one_that_somebody_attempts_at_this_moment_is_left_out(house: House) -> None:
    await fire(house, range(6))
    await plan(house)
    first, second, *_ = [
        delivery_of(row) for row in await house.database.fetch("SELECT * FROM notification_deliveries ORDER BY id")
    ]
    house.clock.move(minutes=4)
    taken = await house.parts.digests.take(first)
    house.clock.move(minutes=4)

    merged = await house.parts.digests.take(second)

    assert [taken, merged] == [False, True]
    alone = await house.database.fetch(
        "SELECT id FROM notification_deliveries WHERE digest_id IS NULL AND receiver <> 'digest'"
    )
    assert [row["id"] for row in alone] == [first.id]


async def test_a_robot_gets_a_digest_in_parts_that_say_what_they_are(house: House) -> None:
    async with DingTalkRobot() as robot:
        await add_channel(house, "dingtalk", {"webhook_url": robot.url, "secret": robot.secret})
        await fire(house, range(12), each=10)
        await plan(house)
        house.clock.move(minutes=10)

        await work(house)

        assert len(robot.messages) == 3
        assert ["迟到的通知：120 条告警（1/3）" in robot.messages[0], "（3/3）" in robot.messages[2]] == [True, True]
        assert all(
            any(f"{group:03}-{number}" in text for text in robot.messages)
            for group in range(12)
            for number in range(10)
        )


async def test_a_channel_that_keeps_incidents_is_told_each_group_however_late(house: House) -> None:
    async with PagerDutyEvents() as pagerduty:
        await add_channel(house, "pagerduty", {"routing_key": ROUTING_KEY, "base_url": pagerduty.origin})
        await fire(house, range(6))
        await plan(house)
        house.clock.move(minutes=10)

        await work(house)
        opened = len(pagerduty.incidents)
        for group in range(6):
            await house.resolve(f"G{group:03}", instance=f"{group:03}-0", severity="info")
        await work(house, minutes=2)

    assert opened == 6
    assert pagerduty.incidents == {}
