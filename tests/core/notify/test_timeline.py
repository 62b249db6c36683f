"""What the timeline of an alert says of messages: a line where a channel hears something of it, none for an echo."""

from datetime import timedelta

from alertagent.core.alerts.model import Alert
from tests.core.alerts.house import House
from tests.core.notify.test_groups import add_channel, messages, pass_time
from tests.support.sink import Answer, Sink


async def lines(house: House, alert: Alert) -> list[str]:
    events = await house.parts.alerts.timeline(alert.fingerprint, before=None, limit=100)
    return [event.kind for event in reversed(events) if event.kind.startswith("notification.")]


async def status(house: House, alert: Alert) -> str:
    [stored] = await house.parts.alerts.find([alert.fingerprint])
    return stored.notification_status


async def test_a_group_that_grows_is_told_as_a_whole_and_each_alert_has_one_line(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    first = await house.fire("A", instance="1")
    await pass_time(house, timedelta(seconds=20))
    second = await house.fire("A", instance="2")
    await pass_time(house, timedelta(minutes=2))

    assert [message["firing"] for message in messages(sink)] == [["1"], ["1", "2"]]
    assert await lines(house, first) == ["notification.sent"]
    assert await lines(house, second) == ["notification.sent"]
    assert await status(house, second) == "sent"


async def test_an_end_and_a_reminder_are_lines(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    first = await house.fire("A", instance="1")
    second = await house.fire("A", instance="2")
    await pass_time(house, timedelta(seconds=20))

    await pass_time(house, timedelta(hours=4, minutes=2), step=timedelta(minutes=1))
    assert await lines(house, first) == await lines(house, second) == ["notification.sent"] * 2

    await house.resolve("A", instance="2")
    await pass_time(house, timedelta(minutes=2))
    assert await lines(house, first) == ["notification.sent"] * 2
    assert await lines(house, second) == ["notification.sent"] * 3


async def test_every_alert_of_a_message_that_fails_says_so_and_the_next_one_is_news(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    first = await house.fire("A", instance="1")
    await pass_time(house, timedelta(seconds=20))
    sink.answer_next(Answer(status=400))
    await house.fire("A", instance="2")
    await pass_time(house, timedelta(minutes=2))
    assert await lines(house, first) == ["notification.sent", "notification.failed"]
    assert await status(house, first) == "failed"

    await house.fire("A", instance="3")
    await pass_time(house, timedelta(minutes=2))

    assert await lines(house, first) == ["notification.sent", "notification.failed", "notification.sent"]
    assert await status(house, first) == "sent"
