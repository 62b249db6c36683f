"""One delivery, attempt by attempt, against a server that answers as it was told."""

import re
from datetime import timedelta
from typing import Any

import orjson
import pytest

from alertagent.core.audit.model import Actor
from alertagent.core.notify.model import Channel
from alertagent.core.templates.model import Text
from alertagent.kernel.errors import External, Permanent
from alertagent.kernel.language import Language
from tests.core.alerts.house import House
from tests.support.dingtalk import DingTalkRobot
from tests.support.sink import Answer, Sink

ANNA = Actor(name="anna")


async def add_channel(house: House, plugin: str, config: dict[str, Any]) -> Channel:
    values = {"plugin_name": plugin, "config": config, "enabled": True, "is_default": True}
    channel = await house.parts.channels.add(ANNA, {"name": "ops", "fallback": (), "user_id": None, **values})
    await house.work()
    return channel


@pytest.fixture
async def channel(house: House, sink: Sink) -> Channel:
    return await add_channel(house, "webhook", {"url": sink.url})


async def plan(house: House, count: int = 1) -> str:
    """The id of a delivery about so many alerts that nobody has attempted yet."""
    for number in range(count):
        await house.fire("A", ago=60, instance=f"i{number:03}", severity="info")
    await house.work("dispatch", "flush")
    id: str = await house.database.fetchval("SELECT id FROM notification_deliveries WHERE status = 'pending'")
    return id


async def attempt(house: House, id: str, *, is_last: bool = False) -> None:
    await house.parts.deliveries.deliver(id, is_last_attempt=is_last)


async def row_of(house: House, id: str) -> Any:
    return await house.database.fetchrow("SELECT * FROM notification_deliveries WHERE id = $1", id)


async def alert_of(house: House) -> Any:
    return await house.database.fetchrow("SELECT * FROM alerts ORDER BY fingerprint LIMIT 1")


async def kinds(house: House) -> list[str]:
    rows = await house.database.fetch("SELECT kind FROM alert_events WHERE kind LIKE 'notification%' ORDER BY id")
    return [row["kind"] for row in rows]


async def test_a_delivery_that_is_taken_is_sent_and_told_in_the_timeline(
    house: House, channel: Channel, sink: Sink
) -> None:
    id = await plan(house)

    await attempt(house, id)
    await attempt(house, id)

    row = await row_of(house, id)
    assert (row["status"], row["attempts"], row["provider_code"], row["provider_message"]) == (
        "sent",
        1,
        "http.200",
        "ok",
    )
    assert row["latency_ms"] is not None
    assert (await alert_of(house))["notification_status"] == "sent"
    event = await house.database.fetchrow("SELECT * FROM alert_events WHERE kind = 'notification.sent'")
    assert event is not None
    assert (event["episode"], event["detail"]["delivery"], event["detail"]["channel_id"]) == (1, id, channel.id)
    assert len(sink.requests) == 1


async def test_a_delivery_nobody_planned_is_nothing(house: House) -> None:
    await attempt(house, "0192f0c1-aaaa-7000-8000-000000000001")


@pytest.mark.usefixtures("channel")
async def test_every_attempt_goes_by_the_same_id(house: House, sink: Sink) -> None:
    id = await plan(house)
    sink.answer_next(Answer(status=500), Answer(status=429, headers={"Retry-After": "7"}))

    with pytest.raises(External):
        await attempt(house, id)
    with pytest.raises(External) as delayed:
        await attempt(house, id)
    row = await row_of(house, id)
    house.clock.move(seconds=7)
    await attempt(house, id)

    assert delayed.value.retry_after == timedelta(seconds=7)
    assert (row["status"], row["attempts"], row["provider_code"]) == ("pending", 2, "http.429")
    assert {request.headers["webhook-id"] for request in sink.requests} == {id}
    assert ((await row_of(house, id))["status"], await kinds(house)) == ("sent", ["notification.sent"])


@pytest.mark.usefixtures("channel")
async def test_what_providers_say_is_counted(house: House, sink: Sink) -> None:
    id = await plan(house)
    sink.answer_next(Answer(status=503))

    with pytest.raises(External):
        await attempt(house, id)
    await attempt(house, id)

    assert counted(house, "messages_sent_total", outcome="retry_after") == 1
    assert counted(house, "messages_sent_total", outcome="delivered") == 1
    assert counted(house, "message_duration_seconds_count") == 2
    assert counted(house, "notifications_total", status="sent") == 1


def counted(house: House, name: str, **labels: str) -> float | None:
    return house.parts.metrics.registry.get_sample_value(f"alertagent_{name}", {"plugin": "webhook", **labels})


@pytest.mark.usefixtures("channel")
async def test_a_refusal_ends_a_delivery(house: House, sink: Sink) -> None:
    id = await plan(house)
    sink.answer_next(Answer(status=400, body=b"no such room"))

    with pytest.raises(Permanent, match="no such room"):
        await attempt(house, id)

    row = await row_of(house, id)
    assert (row["status"], row["provider_code"], row["provider_message"]) == ("failed", "http.400", "no such room")
    assert (await alert_of(house))["notification_status"] == "failed"
    assert await kinds(house) == ["notification.failed"]


async def test_a_receiver_that_is_gone_is_never_called_again(house: House, channel: Channel, sink: Sink) -> None:
    id = await plan(house)
    sink.answer_next(Answer(status=410))

    with pytest.raises(Permanent):
        await attempt(house, id)

    assert not (await house.parts.channels.get(channel.id)).enabled
    audit = await house.database.fetchval("SELECT actor FROM audit_log WHERE action = 'channel.disabled'")
    assert audit is not None


@pytest.mark.parametrize("fault", ["hang_up", "hang", "break_off"])
@pytest.mark.usefixtures("channel")
async def test_an_answer_that_was_lost_is_worth_one_repetition(house: House, sink: Sink, fault: Any) -> None:
    id = await plan(house)
    sink.answer_always(Answer(fault=fault))

    with pytest.raises(External):
        await attempt(house, id)
    with pytest.raises(Permanent):
        await attempt(house, id)

    row = await row_of(house, id)
    assert (row["status"], row["provider_code"], row["attempts"]) == ("failed", "ambiguous", 2)
    assert len(sink.requests) == 2


@pytest.mark.usefixtures("channel")
async def test_a_refused_connection_between_two_lost_answers_earns_no_third_try(house: House, sink: Sink) -> None:
    id = await plan(house)
    sink.answer_next(Answer(fault="hang_up"), Answer(status=503), Answer(fault="hang_up"))

    for expected in (External, External, Permanent):
        with pytest.raises(expected):
            await attempt(house, id)

    assert (await row_of(house, id))["status"] == "failed"


@pytest.mark.usefixtures("channel")
async def test_the_last_attempt_ends_in_failure(house: House, sink: Sink) -> None:
    id = await plan(house)
    sink.answer_always(Answer(status=503))

    with pytest.raises(Permanent):
        await attempt(house, id, is_last=True)

    assert ((await row_of(house, id))["status"], await kinds(house)) == ("failed", ["notification.failed"])


@pytest.mark.usefixtures("channel")
async def test_a_provider_that_stays_away_for_a_day_ends_in_failure(house: House, sink: Sink) -> None:
    id = await plan(house)
    sink.answer_always(Answer(status=503))

    begun = house.clock.now()

    while (await row_of(house, id))["status"] == "pending":
        house.clock.move(minutes=45)
        await house.work("deliver")

    assert timedelta(hours=24) <= house.clock.now() - begun < timedelta(hours=26)
    task = await house.database.fetchrow("SELECT status FROM task_queue WHERE id = $1", id)
    assert task is not None
    assert task["status"] == "failed"


async def test_a_channel_that_is_switched_off_cancels_what_it_was_to_be_told(
    house: House, channel: Channel, sink: Sink
) -> None:
    id = await plan(house)
    await house.parts.channels.revise(ANNA, channel.id, {"enabled": False}, None)

    await attempt(house, id)

    assert ((await row_of(house, id))["status"], await kinds(house)) == ("cancelled", ["notification.cancelled"])
    assert (await alert_of(house))["notification_status"] == "pending"
    assert await house.database.fetchval("SELECT count(*) FROM notification_log") == 0
    assert sink.requests == []


async def test_a_channel_that_is_deleted_takes_its_deliveries_along(house: House, channel: Channel) -> None:
    id = await plan(house)

    await house.parts.channels.remove(ANNA, channel.id, None)
    await attempt(house, id)

    assert await row_of(house, id) is None


async def test_a_plugin_that_is_not_installed_is_waited_for_but_not_for_ever(house: House, channel: Channel) -> None:
    id = await plan(house)
    await house.database.execute("UPDATE user_notification_configs SET plugin_name = 'lost'")

    with pytest.raises(External, match="lost") as delayed:
        await attempt(house, id)
    with pytest.raises(Permanent):
        await attempt(house, id, is_last=True)

    assert delayed.value.retry_after == timedelta(minutes=5)
    assert (await row_of(house, id))["status"] == "failed"
    assert channel.plugin_name == "webhook"


async def test_settings_that_no_longer_fit_their_plugin_do_not_hold_up_the_group(house: House) -> None:
    await add_channel(house, "webhook", {"url": "http://127.0.0.1:9/"})
    id = await plan(house)
    await house.database.execute("UPDATE user_notification_configs SET config = '{}'")

    with pytest.raises(Permanent):
        await attempt(house, id, is_last=True)

    assert (await row_of(house, id))["status"] == "failed"


async def test_a_provider_that_blocks_the_channel_is_left_alone_until_then(house: House) -> None:
    async with DingTalkRobot() as robot:
        channel = await add_channel(house, "dingtalk", {"webhook_url": robot.url, "secret": robot.secret})
        id = await plan(house)
        robot.refuse_next(130101)

        with pytest.raises(External):
            await attempt(house, id)
        with pytest.raises(External, match="blocks") as delayed:
            await attempt(house, id)
        pause = delayed.value.retry_after
        assert pause is not None
        house.clock.move(seconds=pause.total_seconds())
        await attempt(house, id)

        assert robot.attempts == 2
        assert (await row_of(house, id))["status"] == "sent"
        assert (await house.parts.channels.get(channel.id)).paused_until is not None


async def test_a_large_group_goes_in_parts_that_name_every_alert_once(house: House) -> None:
    async with DingTalkRobot() as robot:
        await add_channel(house, "dingtalk", {"webhook_url": robot.url, "secret": robot.secret})
        size = house.parts.registry.notifier("dingtalk").limits.max_alerts
        assert size is not None
        count = 2 * size + 1
        id = await plan(house, count)

        await attempt(house, id)

        assert len(robot.messages) == 3
        assert named(robot) == [f"i{number:03}" for number in range(count)]


async def test_a_delivery_says_why_no_template_worded_its_last_attempt_and_no_other(house: House) -> None:
    async with DingTalkRobot() as robot, house.parts.renderer.running():
        broken, mended = (Text(title="", body=body) for body in ("{{ labels.nope.at_all }}", "all is well"))
        template = await house.parts.templates.add(ANNA, "short", {Language.ZH: broken})
        channel = await add_channel(house, "dingtalk", {"webhook_url": robot.url, "secret": robot.secret})
        await house.parts.channels.revise(ANNA, channel.id, {"template": "short"}, None)
        id = await plan(house)
        robot.refuse_next(-1)

        with pytest.raises(External):
            await attempt(house, id)
        first = (await row_of(house, id))["template_error"]
        await house.parts.templates.revise(ANNA, template.id, {"texts": {Language.ZH: mended}}, None)
        await attempt(house, id)

        assert first.startswith('template "short"')
        assert (await row_of(house, id))["template_error"] == ""
        assert "all is well" in robot.messages[-1]


async def test_a_delivery_of_which_one_part_was_not_worded_says_why_whatever_the_next_part_says(house: House) -> None:
    async with DingTalkRobot() as robot, house.parts.renderer.running():
        text = Text(title="", body="{% if alerts | length > 1 %}{{ labels.nope.at_all }}{% endif %}all is well")
        await house.parts.templates.add(ANNA, "short", {Language.ZH: text})
        channel = await add_channel(house, "dingtalk", {"webhook_url": robot.url, "secret": robot.secret})
        await house.parts.channels.revise(ANNA, channel.id, {"template": "short"}, None)
        size = house.parts.registry.notifier("dingtalk").limits.max_alerts
        assert size is not None
        id = await plan(house, size + 1)
        robot.refuse_next(-1)

        with pytest.raises(External):
            await attempt(house, id)
        await attempt(house, id)

        assert ["all is well" in text for text in robot.messages] == [False, True]
        assert (await row_of(house, id))["template_error"].startswith('template "short"')


def named(robot: DingTalkRobot) -> list[str]:
    """The instances in all messages, each once a message."""
    return sorted(name for text in robot.messages for name in set(re.findall(r"i\d{3}", text)))


async def test_a_part_that_was_sent_is_not_sent_again(house: House) -> None:
    async with DingTalkRobot() as robot:
        await add_channel(house, "dingtalk", {"webhook_url": robot.url, "secret": robot.secret})
        size = house.parts.registry.notifier("dingtalk").limits.max_alerts
        assert size is not None
        id = await plan(house, 3 * size)
        robot.answer_next(status=200, body=b'{"errcode": 0, "errmsg": "ok"}')
        robot.refuse_next(-1)

        with pytest.raises(External):
            await attempt(house, id)
        half = await row_of(house, id)
        await attempt(house, id)

        assert (half["parts_sent"], half["status"]) == (1, "pending")
        assert robot.attempts == 4
        assert len(named(robot)) == len(set(named(robot))) == 2 * size


async def test_a_lost_answer_to_one_part_does_not_count_against_the_next(house: House) -> None:
    async with DingTalkRobot() as robot:
        await add_channel(house, "dingtalk", {"webhook_url": robot.url, "secret": robot.secret})
        size = house.parts.registry.notifier("dingtalk").limits.max_alerts
        assert size is not None
        id = await plan(house, 2 * size)
        lost, taken = {"status": 200, "body": b"<html>"}, {"status": 200, "body": b'{"errcode": 0, "errmsg": "ok"}'}
        for answer in (lost, taken, lost):
            robot.answer_next(**answer)  # type: ignore[arg-type] # a status and a body

        for _ in range(2):
            with pytest.raises(External):
                await attempt(house, id)
        await attempt(house, id)

        assert (await row_of(house, id))["status"] == "sent"
        assert robot.attempts == 4


@pytest.mark.usefixtures("channel")
async def test_the_end_of_an_episode_is_not_told_to_the_next_one(house: House, sink: Sink) -> None:
    id = await plan(house)
    await house.database.execute("UPDATE alerts SET episode = 2")

    await attempt(house, id)

    assert (await alert_of(house))["notification_status"] == "pending"
    assert orjson.loads(sink.requests[0].body)["status"] == "firing"
