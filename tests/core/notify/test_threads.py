"""The messages of a group in one channel: the first begins a thread, and the group's end ends it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from alertagent.kernel.clock import rfc3339
from alertagent.plugins.notifiers.slack import MAX_ALERTS
from tests.core.alerts.house import House
from tests.core.notify.test_groups import ANNA, add_channel, pass_time
from tests.support.chats import SlackApi
from tests.support.sink import Sink


@pytest.fixture
async def slack(house: House) -> AsyncIterator[SlackApi]:
    async with SlackApi() as slack, Sink() as sink:
        config = {"bot_token": SlackApi.TOKEN, "channel": "#alerts", "base_url": slack.origin}
        await add_channel(house, sink, "slack", plugin_name="slack", config=config)
        yield slack


def replies(slack: SlackApi) -> list[tuple[str, str | None, bool | None]]:
    """What was posted: its title, the thread, and whether the channel sees it."""
    return [(post["text"], post.get("thread_ts"), post.get("reply_broadcast")) for post in slack.posts]


FIRST = "1503435956.000247"


async def test_a_group_is_one_thread_for_as_long_as_something_fires(house: House, slack: SlackApi) -> None:
    await house.fire("A", ago=60, instance="1")
    await house.work()
    await house.fire("A", ago=60, instance="2")
    await pass_time(house, timedelta(minutes=6), timedelta(seconds=30))
    await house.resolve("A", instance="1")
    await pass_time(house, timedelta(minutes=6), timedelta(seconds=30))
    assert slack.shown[FIRST]["text"] == "[FIRING] A"
    await house.resolve("A", instance="2")
    await pass_time(house, timedelta(minutes=6), timedelta(seconds=30))
    await house.fire("A", ago=60, instance="1")
    await pass_time(house, timedelta(minutes=6), timedelta(seconds=30))

    assert replies(slack) == [
        ("[FIRING] A", None, None),
        ("[FIRING] A (2)", FIRST, True),
        ("[FIRING] A (2)", FIRST, False),
        ("[RESOLVED] A", FIRST, False),
        ("[FIRING] A", None, None),
    ]
    assert slack.shown[FIRST]["text"] == "[RESOLVED] A"


async def test_a_group_that_fires_again_before_it_is_forgotten_begins_a_new_thread(
    house: House, slack: SlackApi
) -> None:
    for _ in range(2):
        await house.fire("A", ago=60)
        await pass_time(house, timedelta(minutes=2), timedelta(seconds=30))
        await house.resolve("A")
        await pass_time(house, timedelta(minutes=2), timedelta(seconds=30))

    threads = [thread for _, thread, _ in replies(slack)]
    assert threads == [None, FIRST, None, "1503435956.000249"]


async def test_a_channel_with_other_settings_has_no_threads_yet(house: House, slack: SlackApi) -> None:
    await house.fire("A", ago=60, instance="1")
    await house.work()
    channel = next(iter((await house.parts.channels.named(["slack"])).values()))
    config = {**channel.config, "channel": "C0123456789"}
    await house.parts.channels.revise(ANNA, channel.id, {"config": config}, None)
    await house.fire("A", ago=60, instance="2")
    await pass_time(house, timedelta(minutes=6), timedelta(seconds=30))

    assert [thread for _, thread, _ in replies(slack)] == [None, None]


async def test_the_change_of_the_first_message_counts_as_a_message(house: House, slack: SlackApi) -> None:
    async def waited_for(title: str) -> timedelta:
        since = house.clock.now()
        while title not in [posted for posted, _, _ in replies(slack)]:
            await pass_time(house, timedelta(seconds=0.5), timedelta(seconds=0.5))
        return house.clock.now() - since

    await house.fire("A", ago=60)
    await house.work()
    await house.resolve("A")
    await waited_for("[RESOLVED] A")

    waits = []
    for name in ("B", "C"):
        await house.fire(name, ago=60)
        waits.append(await waited_for(f"[FIRING] {name}"))

    assert waits == [timedelta(seconds=2), timedelta(seconds=1)]


async def test_a_message_in_parts_is_one_thread_that_ends_with_the_last_part(house: House, slack: SlackApi) -> None:
    names = [str(number) for number in range(MAX_ALERTS + 1)]
    ends_at, now = rfc3339(house.clock.now() + timedelta(days=1)), rfc3339(house.clock.now())
    alerts = [{"alertname": "A", "instance": name} for name in names]
    await house.post(*({"labels": labels, "endsAt": ends_at} for labels in alerts))
    await pass_time(house, timedelta(minutes=2), timedelta(seconds=5))
    await house.post(*({"labels": labels, "endsAt": now} for labels in alerts[1:]))
    await pass_time(house, timedelta(minutes=6), timedelta(seconds=30))

    firing = [("[FIRING] A (50)", None, None), ("[FIRING] A", FIRST, True)]
    assert replies(slack) == [*firing, ("[FIRING] A (50)", FIRST, False), ("[RESOLVED] A", FIRST, False)]
    assert slack.shown[FIRST]["text"] == "[FIRING] A (50)"

    await house.post({"labels": alerts[0], "endsAt": rfc3339(house.clock.now())})
    await pass_time(house, timedelta(minutes=6), timedelta(seconds=30))

    assert slack.shown[FIRST]["text"] == "[RESOLVED] A"
