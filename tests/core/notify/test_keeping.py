"""What the settings of one channel hold back from it, while others hear of it."""

from datetime import timedelta
from typing import Any

from tests.core.alerts.house import House
from tests.core.notify.routed import ANNA, route
from tests.core.notify.test_groups import add_channel, firing, is_idle, messages, pass_time, resolved
from tests.core.notify.test_routed_groups import tree
from tests.support.sink import Sink

MINUTE = timedelta(minutes=1)


def quiet(house: House, minutes: int = 10, **fields: Any) -> dict[str, Any]:
    """Quiet hours from now on."""
    now = house.clock.now()
    window = {"start": f"{now:%H:%M}", "end": f"{now + minutes * MINUTE:%H:%M}"}
    return {"time_zone": "UTC", "windows": [window], **fields}


async def add(house: House, sink: Sink, name: str, **values: Any) -> str:
    return (await add_channel(house, sink, name, is_default=True, **values)).id


async def notes(house: House, fingerprint: str) -> list[tuple[str, Any, Any]]:
    events = await house.parts.alerts.timeline(fingerprint, before=None, limit=100)
    return [
        (event.kind.removeprefix("notification."), event.detail.get("stage"), event.detail.get("by"))
        for event in reversed(events)
        if event.kind in {"notification.held", "notification.released"}
    ]


async def why(house: House, **labels: str) -> list[str]:
    explanation = await house.parts.explanations.of_labels(labels)
    return [answer.partition(", channel ")[2] for answer in explanation.answers]


async def test_a_channel_hears_of_nothing_below_its_minimum(house: House, sink: Sink) -> None:
    await add(house, sink, "all")
    await add(house, sink, "pager", min_severity="critical")
    await add(house, sink, "night", min_severity="critical")
    mild = await house.fire("A", ago=60, severity="warning")
    bad = await house.fire("B", ago=60, severity="critical")

    await house.work()

    assert sorted(str(each) for each in messages(sink, "all")) == sorted(str(firing(name)) for name in "AB")
    assert messages(sink, "pager") == messages(sink, "night") == [firing("B")]
    assert await notes(house, mild.fingerprint) == [("held", "below_minimum", ["night", "pager"])]
    assert await notes(house, bad.fingerprint) == []
    reasons = await why(house, alertname="A", severity="warning")
    assert [each for each in reasons if each.startswith("pager")] == [
        "pager: it is told of nothing that is less than critical"
    ]


async def test_of_a_group_it_is_told_what_is_bad_enough_and_its_end(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "one", is_default=False, min_severity="critical")
    await route(house, tree(group_by=["team"]))
    await house.fire("A", team="db", severity="warning")
    await house.fire("B", team="db", severity="critical")
    await house.work()
    await house.resolve("B", team="db", severity="critical")
    await pass_time(house, 2 * MINUTE)
    await house.resolve("A", team="db", severity="warning")
    await pass_time(house, 2 * MINUTE)

    assert messages(sink, "one") == [firing("B"), resolved("B")]
    assert await is_idle(house)


async def test_a_group_of_which_nobody_wants_to_hear_is_left_in_peace(house: House, sink: Sink) -> None:
    await add(house, sink, "pager", min_severity="critical")
    alert = await house.fire("A", ago=60, severity="warning")
    await house.work()
    flushes = "SELECT count(*) FROM task_queue WHERE task_type = 'flush'"
    before = await house.database.fetchval(flushes)

    await pass_time(house, timedelta(hours=10), timedelta(minutes=30))

    assert await house.database.fetchval(flushes) == before
    assert await notes(house, alert.fingerprint) == [("held", "below_minimum", ["pager"])]
    await house.resolve("A", severity="warning")
    await pass_time(house, timedelta(minutes=6))
    assert sink.requests == []
    assert await is_idle(house)


async def test_who_is_told_once_the_minimum_is_lowered(house: House, sink: Sink) -> None:
    id = await add(house, sink, "pager", min_severity="critical")
    alert = await house.fire("A", ago=60, severity="warning")
    await house.work()

    await house.parts.channels.revise(ANNA, id, {"min_severity": None}, None)
    await house.work()

    assert messages(sink, "pager") == [firing("A")]
    assert await notes(house, alert.fingerprint) == [
        ("held", "below_minimum", ["pager"]),
        ("released", None, ["pager"]),
    ]


async def test_a_minimum_that_is_raised_leaves_no_group_behind(house: House, sink: Sink) -> None:
    id = await add(house, sink, "pager")
    await house.fire("A", ago=60, severity="warning")
    await house.work()
    await house.parts.channels.revise(ANNA, id, {"min_severity": "critical"}, None)
    await house.work()

    await pass_time(house, timedelta(hours=5), timedelta(minutes=30))
    await house.resolve("A", severity="warning")
    await pass_time(house, timedelta(minutes=6))

    assert messages(sink, "pager") == [firing("A")]
    assert await is_idle(house)


async def test_what_still_fires_after_the_quiet_hours_is_told_then(house: House, sink: Sink) -> None:
    await add(house, sink, "all")
    await add(house, sink, "pager", quiet_hours=quiet(house))
    stays = await house.fire("A", ago=60, severity="warning")
    await house.fire("B", ago=60, severity="warning")
    await house.work()
    assert messages(sink, "pager") == []
    (reason,) = [each for each in await why(house, alertname="A", severity="warning") if each.startswith("pager")]
    assert reason.startswith("pager: its quiet hours are on: ")
    assert reason.endswith("it is told afterwards if the alert still fires")
    await house.resolve("B", severity="warning")

    await pass_time(house, 16 * MINUTE)

    assert messages(sink, "pager") == [firing("A")]
    assert sorted(str(each) for each in messages(sink, "all")) == sorted(
        str(each) for each in (firing("A"), firing("B"), resolved("B"))
    )
    assert await notes(house, stays.fingerprint) == [
        ("held", "quiet_hours", ["pager"]),
        ("released", None, ["pager"]),
    ]


async def test_whoever_knew_that_it_fired_hears_of_the_end_after_the_quiet_hours(house: House, sink: Sink) -> None:
    id = await add(house, sink, "pager")
    await house.fire("A", ago=60, severity="warning")
    await house.work()
    await house.parts.channels.revise(ANNA, id, {"quiet_hours": quiet(house)}, None)
    await house.resolve("A", severity="warning")
    await pass_time(house, 8 * MINUTE)
    assert messages(sink, "pager") == [firing("A")]

    await pass_time(house, 10 * MINUTE)

    assert messages(sink, "pager") == [firing("A"), resolved("A")]
    assert await is_idle(house)


async def test_what_is_critical_is_told_at_any_hour_if_so_set(house: House, sink: Sink) -> None:
    await add(house, sink, "pager", quiet_hours=quiet(house, except_severity="critical"))
    await house.fire("A", ago=60, severity="critical")
    await house.fire("B", ago=60, severity="warning")

    await house.work()

    assert messages(sink, "pager") == [firing("A")]
