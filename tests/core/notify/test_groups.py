"""Groups over time: the clock is moved by hand, and the tasks that are due run then."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from alertagent.core.audit.model import Actor
from alertagent.core.notify import groups, timers
from alertagent.core.notify.groups import Changed
from alertagent.core.notify.model import Channel
from alertagent.kernel.clock import rfc3339
from alertagent.queue.ledger import entry
from tests.core.alerts.house import House, open_house
from tests.support.sink import Answer, Sink

ANNA = Actor(name="anna")


async def add_channel(house: House, sink: Sink, name: str = "hook", **values: Any) -> Channel:
    defaults = {
        "plugin_name": "webhook",
        "config": {"url": f"{sink.origin}/{name}"},
        "enabled": True,
        "is_default": True,
        "fallback": (),
        "user_id": None,
    }
    channel = await house.parts.channels.add(ANNA, {"name": name, **defaults, **values})
    await house.work()
    return channel


def messages(sink: Sink, channel: str = "hook") -> list[dict[str, list[str]]]:
    """What a channel was told: in each message, the names of the firing and of the resolved alerts."""
    found = []
    for request in sink.requests:
        if request.target == f"/{channel}":
            alerts = orjson.loads(request.body)["alerts"]
            found.append(
                {
                    status: sorted(
                        a["labels"].get("instance", a["labels"]["alertname"]) for a in alerts if a["status"] == status
                    )
                    for status in ("firing", "resolved")
                }
            )
    return found


def firing(*names: str) -> dict[str, list[str]]:
    return {"firing": list(names), "resolved": []}


def resolved(*names: str) -> dict[str, list[str]]:
    return {"firing": [], "resolved": list(names)}


async def pass_time(house: House, duration: timedelta, step: timedelta = timedelta(seconds=5)) -> None:
    """Move the clock in steps and run what becomes due."""
    end = house.clock.now() + duration
    while house.clock.now() < end:
        house.clock.time = min(house.clock.now() + step, end)
        await house.work()


async def groups_of(house: House) -> Sequence[Any]:
    return await house.database.fetch("SELECT * FROM notification_groups ORDER BY key")


async def is_idle(house: House) -> bool:
    """Whether nothing is left of any group, and every timer that was overtaken ends without a trace."""
    before = await deliveries(house)
    left = await groups_of(house)
    house.clock.move(days=1)
    await house.work()
    pending = await house.database.fetchval(
        "SELECT count(*) FROM task_queue WHERE status = 'pending' AND queue_name = 'notification'"
    )
    return not left and not pending and await deliveries(house) == before


async def deliveries(house: House) -> list[str]:
    rows = await house.database.fetch("SELECT status FROM notification_deliveries ORDER BY created_at, id")
    return [row["status"] for row in rows]


async def test_a_new_group_waits_for_company(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A", instance="1")
    await house.work()
    house.clock.move(seconds=9)
    await house.fire("A", instance="2")
    await house.work()
    assert messages(sink) == []

    house.clock.move(seconds=1)
    await house.work()

    assert messages(sink) == [firing("1", "2")]


async def test_an_alert_that_has_fired_for_long_is_told_at_once(house: House, sink: Sink) -> None:
    await add_channel(house, sink)

    await house.fire("A", ago=10)
    await house.work()

    assert messages(sink) == [firing("A")]


async def test_alerts_of_other_groups_are_told_apart(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    for name in ("A", "B"):
        await house.fire(name, ago=60)

    await house.work()

    assert sorted(message["firing"] for message in messages(sink)) == [["A"], ["B"]]


async def test_what_comes_later_is_told_at_the_next_tick(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A", ago=60, instance="1")
    await house.work()
    house.clock.move(seconds=20)
    await house.fire("A", ago=60, instance="2")
    await house.resolve("A", instance="1")
    await house.work()
    house.clock.move(seconds=39)
    await house.work()
    assert len(messages(sink)) == 1

    house.clock.move(seconds=1)
    await house.work()

    assert messages(sink)[1:] == [{"firing": ["2"], "resolved": ["1"]}]


async def test_an_end_is_told_once_and_then_the_group_is_gone(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A", ago=60)
    await house.work()
    await house.resolve("A")

    await pass_time(house, timedelta(minutes=5))

    assert messages(sink) == [firing("A"), resolved("A")]
    assert await is_idle(house)


async def test_an_end_that_was_told_is_not_in_the_next_message(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A", ago=60, instance="1")
    await house.work()
    await house.resolve("A", instance="1")
    house.clock.move(minutes=1)
    await house.work()
    await house.fire("A", ago=60, instance="2")

    await pass_time(house, timedelta(minutes=3))

    assert messages(sink) == [firing("1"), resolved("1"), firing("2")]


async def test_what_goes_on_is_told_again_every_four_hours(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A", ago=60)
    await house.work()

    await pass_time(house, timedelta(hours=8, minutes=1), timedelta(minutes=5))

    assert messages(sink) == [firing("A")] * 3


async def test_an_alert_that_comes_back_is_told_again(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A", ago=60)
    await house.work()
    house.clock.move(seconds=10)
    await house.resolve("A")
    house.clock.move(seconds=10)
    await house.fire("A")

    await pass_time(house, timedelta(minutes=2))

    assert messages(sink) == [firing("A"), firing("A")]


async def test_a_short_alert_is_not_told_and_leaves_nothing_behind(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A")
    await house.work()
    house.clock.move(seconds=5)
    await house.resolve("A")

    await pass_time(house, timedelta(minutes=2))

    assert messages(sink) == []
    assert await is_idle(house)


async def test_an_alert_that_was_over_before_anybody_could_be_told_is_told(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A")
    house.clock.move(minutes=30)
    await house.resolve("A")

    await pass_time(house, timedelta(minutes=5))

    assert messages(sink) == [resolved("A")]
    assert await is_idle(house)


async def test_without_channels_nothing_is_told_and_what_fires_waits(house: House, sink: Sink) -> None:
    await house.fire("A", ago=60)
    await house.fire("B", ago=60)
    await pass_time(house, timedelta(minutes=3))
    await house.resolve("B")
    await pass_time(house, timedelta(minutes=3))
    assert [row["key"] for row in await groups_of(house)] == ['default:{alertname="A"}']

    await add_channel(house, sink)

    assert messages(sink) == [firing("A")]


async def test_a_second_channel_hears_what_fires_and_the_first_hears_nothing_twice(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "one")
    await house.fire("A", ago=60)
    await house.work()

    await add_channel(house, sink, "two")
    await house.resolve("A")
    await pass_time(house, timedelta(minutes=3))

    assert messages(sink, "one") == messages(sink, "two") == [firing("A"), resolved("A")]
    assert await is_idle(house)


async def test_a_new_channel_is_not_told_of_what_was_over_before_it_came(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "one")
    await house.fire("A", ago=60)
    await house.work()
    house.clock.move(seconds=30)
    await house.resolve("A")
    await house.work()

    await add_channel(house, sink, "two")
    await pass_time(house, timedelta(minutes=3))

    assert messages(sink, "one") == [firing("A"), resolved("A")]
    assert messages(sink, "two") == []
    assert await is_idle(house)


async def test_only_enabled_default_channels_are_told(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "off", enabled=False)
    await add_channel(house, sink, "other", is_default=False)
    await add_channel(house, sink, "on")

    await house.fire("A", ago=60)
    await pass_time(house, timedelta(minutes=2))

    assert [messages(sink, name) for name in ("off", "other", "on")] == [[], [], [firing("A")]]


async def test_a_channel_that_is_switched_off_holds_up_nothing(house: House, sink: Sink) -> None:
    one = await add_channel(house, sink, "one")
    await add_channel(house, sink, "two")
    await house.fire("A", ago=60)
    await house.work()

    await house.parts.channels.revise(ANNA, one.id, {"enabled": False}, None)
    await house.resolve("A")
    await pass_time(house, timedelta(minutes=3))

    assert (messages(sink, "one"), messages(sink, "two")) == ([firing("A")], [firing("A"), resolved("A")])
    assert await is_idle(house)


async def test_a_channel_that_is_switched_off_leaves_no_timer_ticking(house: House, sink: Sink) -> None:
    one = await add_channel(house, sink, "one")
    await house.fire("A", ago=60)
    await house.work()
    await house.parts.channels.revise(ANNA, one.id, {"enabled": False}, None)
    await house.work()

    house.clock.move(hours=9)
    await house.work()

    (group,) = await groups_of(house)
    assert group["flush_at"] is None
    assert messages(sink, "one") == [firing("A")]


async def test_a_channel_that_is_switched_on_again_hears_what_it_missed(house: House, sink: Sink) -> None:
    sink.answer_always(Answer(status=503))
    channel = await add_channel(house, sink)
    await house.fire("A", ago=60)
    await house.work("dispatch", "flush")
    await house.parts.channels.revise(ANNA, channel.id, {"enabled": False}, None)
    await pass_time(house, timedelta(minutes=3))
    assert await deliveries(house) == ["cancelled"]
    sink.answer_always(Answer())

    await house.parts.channels.revise(ANNA, channel.id, {"enabled": True}, None)
    await house.work()

    assert messages(sink)[-1:] == [firing("A")]
    assert await deliveries(house) == ["cancelled", "sent"]


async def test_a_channel_of_a_plugin_that_is_switched_off_is_not_told(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.database.execute("INSERT INTO notification_plugins VALUES ('webhook', false, 'anna')")

    await house.fire("A", ago=60)
    await pass_time(house, timedelta(minutes=3))

    assert (messages(sink), await deliveries(house)) == ([], [])


async def test_a_refusal_is_not_hammered_and_told_again_when_it_is_time(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    sink.answer_always(Answer(status=400))
    await house.fire("A", ago=60)
    await pass_time(house, timedelta(hours=3, minutes=50), timedelta(minutes=2))
    assert await deliveries(house) == ["failed"]

    sink.answer_always(Answer())
    await pass_time(house, timedelta(minutes=20))
    await house.resolve("A")
    await pass_time(house, timedelta(minutes=3))

    assert messages(sink) == [firing("A"), firing("A"), resolved("A")]
    assert await is_idle(house)


async def test_the_end_of_an_alert_that_was_refused_is_told(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    sink.answer_next(Answer(status=400))
    await house.fire("A", ago=60)
    await house.work()

    await house.resolve("A")
    await pass_time(house, timedelta(minutes=3))

    assert messages(sink) == [firing("A"), resolved("A")]
    assert await deliveries(house) == ["failed", "sent"]
    assert await is_idle(house)


async def test_a_channel_that_is_put_right_hears_at_once_what_it_refused(house: House, sink: Sink) -> None:
    channel = await add_channel(house, sink, "wrong")
    sink.answer_next(Answer(status=400))
    await house.fire("A", ago=60)
    await house.work()

    await house.parts.channels.revise(ANNA, channel.id, {"config": {"url": f"{sink.origin}/right"}}, None)
    await house.work()

    assert messages(sink, "right") == [firing("A")]


async def test_a_change_of_a_channel_that_knows_all_tells_nothing(house: House, sink: Sink) -> None:
    channel = await add_channel(house, sink)
    await house.fire("A", ago=60)
    await house.work()

    await house.parts.channels.revise(ANNA, channel.id, {"name": "renamed"}, None)
    await pass_time(house, timedelta(minutes=3))

    assert messages(sink) == [firing("A")]


async def test_what_happens_during_a_long_delivery_is_told_after_it(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    sink.answer_always(Answer(status=503))
    await house.fire("A", ago=60, instance="1")
    await house.work("dispatch", "flush")
    await house.fire("A", ago=60, instance="2")
    await house.resolve("A", instance="1")
    for _ in range(3):
        house.clock.move(minutes=1)
        await house.work("dispatch", "flush")
    assert await deliveries(house) == ["pending"]

    sink.answer_always(Answer())
    await pass_time(house, timedelta(minutes=3))

    assert messages(sink) == [firing("1"), {"firing": ["2"], "resolved": ["1"]}]


async def test_an_end_during_a_long_delivery_is_told_after_it(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A", ago=60)
    await house.work("dispatch", "flush")
    await house.resolve("A")
    for _ in range(3):
        house.clock.move(minutes=1)
        await house.work("dispatch", "flush")
    assert len(await groups_of(house)) == 1

    await pass_time(house, timedelta(minutes=3))

    assert messages(sink) == [firing("A"), resolved("A")]
    assert await is_idle(house)


async def test_a_delivery_whose_task_died_holds_up_nothing(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A", ago=60)
    await house.work("dispatch", "flush")
    await house.database.execute("UPDATE task_queue SET status = 'failed' WHERE task_type = 'deliver'")

    await pass_time(house, timedelta(minutes=2))

    assert messages(sink) == [firing("A")]
    assert await deliveries(house) == ["failed", "sent"]


async def test_a_group_whose_timer_was_lost_is_taken_up_with_the_next_change(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A", instance="1")
    await house.work()
    await house.database.execute("UPDATE task_queue SET status = 'failed' WHERE task_type = 'flush'")
    house.clock.move(hours=1)

    await house.fire("A", ago=60, instance="2")
    await house.work()

    assert messages(sink) == [firing("1", "2")]


async def test_two_processes_that_flush_the_same_group_plan_one_delivery(
    database_url: str, redis_url: str, sink: Sink
) -> None:
    async with open_house(database_url, redis_url) as here, open_house(database_url, redis_url) as there:
        await add_channel(here, sink)
        for number in range(30):
            await here.fire(f"A{number}", ago=60)
        await here.work("dispatch")
        tasks = await flush_tasks(here)

        await asyncio.gather(*(house.parts.groups.flush(task) for task in tasks for house in (here, there, here)))

        assert await deliveries(here) == ["pending"] * 30


async def flush_tasks(house: House) -> list[dict[str, int]]:
    rows = await house.database.fetch("SELECT * FROM task_queue WHERE task_type = 'flush' ORDER BY scheduled_at")
    return [dict(entry(row).payload["groups"]) for row in rows]


async def test_a_delivery_that_ends_while_its_group_is_flushed_is_not_planned_again(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    for number in range(40):
        await house.fire(f"A{number}", ago=60)
    await house.work("dispatch", "flush")
    ids = [row["id"] for row in await house.database.fetch("SELECT id FROM notification_deliveries")]
    await house.database.execute("UPDATE notification_groups SET flush_at = NULL")
    await house.parts.groups.regroup()
    tasks = (await flush_tasks(house))[-2:]

    await asyncio.gather(
        *(house.parts.deliveries.deliver(id, is_last_attempt=False) for id in ids),
        *(house.parts.groups.flush(task) for task in tasks),
    )
    await house.work("flush")

    assert await deliveries(house) == ["sent"] * 40
    assert len(messages(sink)) == 40


async def test_a_flush_that_was_overtaken_does_nothing(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A", ago=60)
    await house.work("dispatch")
    (task,) = await flush_tasks(house)
    await house.parts.groups.flush(task)

    await house.parts.groups.flush(task)
    await house.parts.groups.flush({"default:{}": 1})

    assert await deliveries(house) == ["pending"]


async def test_alerts_that_arrive_while_their_group_ends_are_not_lost(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    for turn in range(10):
        await house.fire("A", ago=60)
        await house.work()
        await house.resolve("A")
        await house.work()
        house.clock.move(minutes=1)
        await house.work("flush", "deliver")
        house.clock.move(minutes=1)
        other = await house.fire("A", ago=60, instance=str(turn))
        (task,) = (await flush_tasks(house))[-1:]

        await asyncio.gather(
            house.parts.groups.flush(task), house.parts.groups.dispatch([Changed(fingerprints=[other.fingerprint])])
        )
        await pass_time(house, timedelta(minutes=2), timedelta(minutes=1))
        assert firing(str(turn)) in messages(sink)

        await house.resolve("A", instance=str(turn))
        await pass_time(house, timedelta(minutes=3), timedelta(minutes=1))
        assert await is_idle(house)


async def test_a_dispatch_may_run_twice(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    alert = await house.fire("A", severity="critical")

    await house.parts.groups.dispatch([Changed(fingerprints=[alert.fingerprint])])
    await house.parts.groups.dispatch([Changed(fingerprints=[alert.fingerprint, "unknown"])])
    house.clock.move(seconds=10)
    await house.work()

    assert messages(sink) == [firing("A")]
    analyses = await house.database.fetchval("SELECT count(*) FROM task_queue WHERE task_type = 'ai_analysis'")
    assert analyses == 1


async def test_a_storm_shares_its_timers(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    names = [(await house.fire(f"A{number}", ago=60)).fingerprint for number in range(2 * timers.GROUPS_A_FLUSH + 1)]

    await house.parts.groups.dispatch([Changed(fingerprints=names)])

    assert sorted(len(task) for task in await flush_tasks(house)) == [1, timers.GROUPS_A_FLUSH, timers.GROUPS_A_FLUSH]


async def test_the_longest_names_travel_and_are_told(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    names = [f'{number}"\\北' * 2_000 for number in range(timers.GROUPS_A_FLUSH)]
    found = [(await house.fire(name, ago=60)).fingerprint for name in names]

    await house.parts.groups.dispatch([Changed(fingerprints=found)])
    await house.work()

    assert sorted(message["firing"][0] for message in messages(sink)) == sorted(names)


async def test_regrouping_leaves_flushes_that_are_under_way_alone(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A", ago=60)
    await house.fire("B")
    await house.work("dispatch")
    before = {row["key"]: row["generation"] for row in await groups_of(house)}

    await house.parts.groups.regroup()

    after = {row["key"]: row["generation"] for row in await groups_of(house)}
    due: set[datetime] = {row["flush_at"] for row in await groups_of(house)}
    assert {key: after[key] - before[key] for key in after} == {
        'default:{alertname="A"}': 0,
        'default:{alertname="B"}': 1,
    }
    assert due == {house.clock.now()}


async def test_what_belongs_to_a_group_goes_with_it(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    for name in ("A", "B"):
        await house.fire(name, ago=60)
    await house.work()
    await house.resolve("A")
    await pass_time(house, timedelta(minutes=2))

    for table in ("notification_groups", "notification_group_alerts", "notification_log"):
        assert await house.database.fetchval(f"SELECT count(*) FROM {table}") == 1


async def test_large_groups_that_are_due_together_are_looked_at_in_parts(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    large, size = ("A", "B", "C"), groups.ALERTS_A_LOOK // 2 + 1
    for name in large:
        instances = ({"alertname": name, "instance": f"{number:04}"} for number in range(size))
        await house.post(*({"labels": labels, "startsAt": rfc3339(house.clock.now())} for labels in instances))
    await house.work("dispatch")
    house.clock.move(minutes=1)
    timers = {key: generation for task in await flush_tasks(house) for key, generation in task.items()}
    assert len(timers) == 3

    parts = await house.parts.groups.parts(timers)
    for part in parts:
        await house.parts.groups.flush(part)
    await house.work("deliver")

    assert [len(part) for part in parts] == [1, 1, 1]
    assert sorted(len(message["firing"]) for message in messages(sink)) == [size] * 3


async def test_no_more_than_a_few_look_at_groups_at_once_and_hold_their_alerts(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await house.fire("A", ago=60)
    await house.work("dispatch")
    [task] = await flush_tasks(house)
    async with house.database.transaction() as transaction:
        await transaction.execute("SELECT FROM notification_groups FOR UPDATE")
        looking = [asyncio.create_task(house.parts.groups.flush(task)) for _ in range(groups.AT_ONCE + 3)]
        count = await house.waiting()
    await asyncio.gather(*looking)

    assert count == groups.AT_ONCE
