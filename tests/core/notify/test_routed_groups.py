"""Groups under a routing document: routes, what holds alerts back, and what a change of the document does."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.core.alerts.house import House
from tests.core.notify.routed import route, silence
from tests.core.notify.test_groups import add_channel, firing, groups_of, is_idle, messages, pass_time, resolved
from tests.support.sink import Sink

MINUTE = timedelta(minutes=1)
SOON = {"group_wait": "0s", "group_interval": "1m", "repeat_interval": "4h"}


@pytest.fixture
async def channels(house: House, sink: Sink) -> Sequence[str]:
    names = ("one", "two")
    for name in names:
        await add_channel(house, sink, name, is_default=False)
    return names


def tree(*routes: Mapping[str, Any], **root: Any) -> dict[str, Any]:
    return {"receiver": "one", "group_by": ["alertname"], **SOON, **root, "routes": list(routes)}


async def held(house: House, fingerprint: str) -> list[tuple[str, Any]]:
    """What the timeline says of being held back, oldest first."""
    events = await house.parts.alerts.timeline(fingerprint, before=None, limit=100)
    return [
        (event.kind.removeprefix("notification."), event.detail.get("stage"))
        for event in reversed(events)
        if event.kind in {"notification.held", "notification.released"}
    ]


async def test_an_alert_goes_where_the_first_route_that_takes_it_leads(
    house: House, sink: Sink, channels: Sequence[str]
) -> None:
    await route(house, tree({"matchers": ['team="db"'], "receiver": "two"}, {"matchers": ['team=~"d.*"']}))
    await house.fire("A", team="db")
    await house.fire("B", team="dba")
    await house.fire("C")

    await house.work()

    assert messages(sink, "two") == [firing("A")]
    assert sorted(message["firing"] for message in messages(sink, "one")) == [["B"], ["C"]]


async def test_a_route_that_continues_shares_its_alerts(house: House, sink: Sink, channels: Sequence[str]) -> None:
    await route(house, tree({"matchers": ['team="db"'], "receiver": "two", "continue": True}, {"receiver": "one"}))
    await house.fire("A", team="db")

    await house.work()

    assert messages(sink, "one") == messages(sink, "two") == [firing("A")]


async def test_alerts_can_be_grouped_by_all_of_their_labels(house: House, sink: Sink, channels: Sequence[str]) -> None:
    await route(house, tree(group_by=["..."]))
    for instance in ("1", "2"):
        await house.fire("A", instance=instance)

    await house.work()

    assert sorted(message["firing"] for message in messages(sink, "one")) == [["1"], ["2"]]


async def test_alerts_can_be_told_together_whatever_their_labels(
    house: House, sink: Sink, channels: Sequence[str]
) -> None:
    await route(house, tree(group_by=[], group_wait="5s"))
    for name in ("A", "B"):
        await house.fire(name)

    await pass_time(house, timedelta(seconds=10))

    assert messages(sink, "one") == [firing("A", "B")]


async def test_a_receiver_may_be_several_channels(house: House, sink: Sink, channels: Sequence[str]) -> None:
    await route(house, tree(receiver="all"), receivers=[{"name": "all", "channels": ["one", "two"]}])
    await house.fire("A")

    await house.work()

    assert messages(sink, "one") == messages(sink, "two") == [firing("A")]


async def test_a_receiver_without_channels_tells_nobody(house: House, sink: Sink, channels: Sequence[str]) -> None:
    await route(house, tree(receiver="nobody"), receivers=[{"name": "nobody", "channels": []}])
    await house.fire("A")
    await house.work()
    await house.resolve("A")

    await pass_time(house, 2 * MINUTE)

    assert not sink.requests
    assert await is_idle(house)


async def test_a_receiver_may_not_want_to_hear_of_ends(house: House, sink: Sink, channels: Sequence[str]) -> None:
    quiet = [{"name": "quiet", "channels": ["one"], "send_resolved": False}]
    await route(house, tree(receiver="quiet"), receivers=quiet)
    for instance in ("1", "2"):
        await house.fire("A", ago=60, instance=instance)
    await house.work()
    await house.resolve("A", instance="1")
    await pass_time(house, MINUTE)
    await house.fire("A", instance="3")
    await pass_time(house, MINUTE)
    for instance in ("2", "3"):
        await house.resolve("A", instance=instance)

    await pass_time(house, 5 * MINUTE)

    assert messages(sink, "one") == [firing("1", "2"), firing("2", "3")]
    assert await is_idle(house)


async def test_a_silenced_alert_is_told_when_the_silence_is_over(
    house: House, sink: Sink, channels: Sequence[str]
) -> None:
    await route(house, tree())
    await silence(house, 'instance="1"', minutes=5)
    alert = await house.fire("A", instance="1")
    await house.fire("A", instance="2")
    await pass_time(house, 4 * MINUTE)
    assert messages(sink, "one") == [firing("2")]
    assert await held(house, alert.fingerprint) == [("held", "silenced")]

    await pass_time(house, 2 * MINUTE)

    assert messages(sink, "one") == [firing("2"), firing("1", "2")]
    assert await held(house, alert.fingerprint) == [("held", "silenced"), ("released", None)]


async def test_an_end_under_a_silence_is_not_told(house: House, sink: Sink, channels: Sequence[str]) -> None:
    await route(house, tree())
    await house.fire("A")
    await house.work()
    await silence(house, 'alertname="A"', minutes=5)
    await house.resolve("A")

    await pass_time(house, 10 * MINUTE)

    assert messages(sink, "one") == [firing("A")]
    assert await is_idle(house)


async def test_a_silence_is_no_reason_to_tell_again_what_was_told_before_it(
    house: House, sink: Sink, channels: Sequence[str]
) -> None:
    await route(house, tree())
    await house.fire("A")
    await house.work()
    await silence(house, 'alertname="A"', minutes=5)

    await pass_time(house, 10 * MINUTE)

    assert messages(sink, "one") == [firing("A")]


INHIBITION = {
    "source_matchers": ['severity="critical"'],
    "target_matchers": ['severity="warning"'],
    "equal": ["cluster"],
}


async def test_an_inhibited_alert_is_told_when_its_source_is_over(
    house: House, sink: Sink, channels: Sequence[str]
) -> None:
    await route(house, tree(), inhibit_rules=[INHIBITION])
    await house.fire("Down", severity="critical", cluster="a")
    await house.work()
    inhibited = await house.fire("Slow", severity="warning", cluster="a")
    await house.fire("Full", severity="warning", cluster="b")
    await pass_time(house, 2 * MINUTE)
    assert sorted(message["firing"] for message in messages(sink, "one")) == [["Down"], ["Full"]]
    assert await held(house, inhibited.fingerprint) == [("held", "inhibited")]

    await house.resolve("Down", severity="critical", cluster="a")
    await pass_time(house, 2 * MINUTE)

    assert messages(sink, "one")[2:] in ([resolved("Down"), firing("Slow")], [firing("Slow"), resolved("Down")])


async def test_what_left_its_group_before_its_end_was_dispatched_does_not_come_back(
    house: House, sink: Sink, channels: Sequence[str]
) -> None:
    await route(house, tree(), inhibit_rules=[INHIBITION])
    await house.fire("Down", severity="critical", cluster="a")
    await house.work()
    await house.fire("Slow", severity="warning", cluster="a")
    await pass_time(house, 2 * MINUTE)

    await house.resolve("Slow", severity="warning", cluster="a")
    await house.resolve("Down", severity="critical", cluster="a")
    house.clock.move(minutes=1)
    await house.work("flush")
    await pass_time(house, 5 * MINUTE)

    assert messages(sink, "one") == [firing("Down"), resolved("Down")]
    assert await is_idle(house)


async def test_what_fired_before_an_inhibition_was_stored_inhibits_too(
    house: House, sink: Sink, channels: Sequence[str]
) -> None:
    await route(house, tree())
    await house.fire("Down", severity="critical", cluster="a")
    await house.work()
    await route(house, tree(), inhibit_rules=[INHIBITION])
    await house.fire("Slow", severity="warning", cluster="a")

    await pass_time(house, 3 * MINUTE)

    assert messages(sink, "one") == [firing("Down")]


async def test_the_sources_of_an_inhibition_that_is_gone_are_forgotten(
    house: House, sink: Sink, channels: Sequence[str]
) -> None:
    await route(house, tree(), inhibit_rules=[INHIBITION])
    await house.fire("Down", severity="critical", cluster="a")
    await house.fire("Gone", severity="critical", cluster="b")
    await house.work()
    count = "SELECT count(*) FROM inhibition_sources"
    assert await house.database.fetchval(count) == 2

    await house.resolve("Gone", severity="critical", cluster="b")
    await house.work()
    assert await house.database.fetchval(count) == 1

    await route(house, tree())
    assert await house.database.fetchval(count) == 0


async def test_a_route_tells_nothing_while_it_is_muted(house: House, sink: Sink, channels: Sequence[str]) -> None:
    begin = house.clock.now() - timedelta(minutes=1)
    end = begin + timedelta(minutes=10)
    if begin.date() != end.date():
        house.clock.time = house.clock.time.replace(hour=12)
        begin, end = house.clock.now() - timedelta(minutes=1), house.clock.now() + timedelta(minutes=9)
    quiet = {
        "name": "quiet",
        "time_intervals": [{"times": [{"start_time": f"{begin:%H:%M}", "end_time": f"{end:%H:%M}"}]}],
    }
    await route(house, tree({"mute_time_intervals": ["quiet"]}), time_intervals=[quiet])
    alert = await house.fire("A")
    await pass_time(house, 5 * MINUTE)
    assert not sink.requests
    assert await held(house, alert.fingerprint) == [("held", "muted")]

    await pass_time(house, 10 * MINUTE)

    assert messages(sink, "one") == [firing("A")]


async def test_what_a_channel_knows_goes_along_when_the_document_changes(
    house: House, sink: Sink, channels: Sequence[str]
) -> None:
    await route(house, tree())
    await house.fire("A", team="db")
    await house.work()
    await route(house, tree({"matchers": ['team="db"'], "group_by": ["team"]}))
    await pass_time(house, 5 * MINUTE)
    assert messages(sink, "one") == [firing("A")]
    assert [group["route"] for group in await groups_of(house)] == ['{}/{team="db"}']

    await house.resolve("A", team="db")
    await pass_time(house, 5 * MINUTE)

    assert messages(sink, "one") == [firing("A"), resolved("A")]
    assert await is_idle(house)


async def test_who_hears_of_an_alert_by_a_changed_document_is_told(
    house: House, sink: Sink, channels: Sequence[str]
) -> None:
    await route(house, tree())
    await house.fire("A")
    await house.work()

    await route(house, tree(receiver="two"))
    await pass_time(house, 2 * MINUTE)

    assert messages(sink, "one") == messages(sink, "two") == [firing("A")]


async def test_without_its_document_an_alert_goes_to_the_default_channels(
    house: House, sink: Sink, channels: Sequence[str]
) -> None:
    await route(house, tree())
    await add_channel(house, sink, "everything")
    await house.fire("A", ago=60)
    await house.work()
    assert messages(sink, "everything") == []

    await route(house, None)
    await pass_time(house, 2 * MINUTE)

    assert messages(sink, "everything") == [firing("A")]
    assert [group["route"] for group in await groups_of(house)] == ["default"]


async def test_a_document_that_changes_nothing_for_an_alert_leaves_its_group_alone(
    house: House, sink: Sink, channels: Sequence[str]
) -> None:
    await route(house, tree())
    await house.fire("A")
    await house.work()

    await route(house, tree({"matchers": ['team="db"'], "receiver": "two"}))
    await pass_time(house, 5 * MINUTE)
    await house.resolve("A")
    await pass_time(house, 2 * MINUTE)

    assert messages(sink, "one") == [firing("A"), resolved("A")]
    assert messages(sink, "two") == []


async def test_short_ticks_do_not_hurry_a_group_whose_channels_are_being_told(
    house: House, channels: Sequence[str]
) -> None:
    async def next_look() -> timedelta:
        (group,) = await groups_of(house)
        wait: timedelta = group["flush_at"] - house.clock.now()
        return wait

    await route(house, tree(group_interval="1s"))
    await house.fire("A", instance="1")
    await house.work("dispatch", "flush")
    told_all = await next_look()
    await house.fire("A", instance="2")
    await house.work("dispatch")
    with_news = await next_look()

    assert (told_all, with_news <= timedelta(seconds=1)) == (MINUTE, True)
