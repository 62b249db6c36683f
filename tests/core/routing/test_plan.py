"""When a group is looked at and who must hear of it, as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.alerts.model import Alert, AlertStatus, AnalysisStatus, NotificationStatus
from alertagent.core.routing.model import DEFAULT_ROUTE, Told
from alertagent.core.routing.plan import (
    MAX_KEY,
    SOONEST,
    UNHURRIED,
    group_of,
    is_settled,
    is_told_over,
    must_tell,
    next_flush,
    next_look,
    was_missed,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROUTE = DEFAULT_ROUTE


def at(**offset: float) -> datetime:
    return NOON + timedelta(**offset)


def alert(key: str = "a/1", *, firing: bool = True, lasted: float = 60) -> Alert:
    fingerprint, _, episode = key.partition("/")
    return Alert(
        fingerprint=fingerprint,
        status=AlertStatus.FIRING if firing else AlertStatus.RESOLVED,
        labels={"alertname": fingerprint},
        annotations={},
        generator_url="",
        source="api",
        starts_at=NOON,
        ends_at=NOON,
        last_seen_at=NOON,
        updated_at=at(seconds=0 if firing else lasted),
        fired_at=NOON,
        episode=int(episode),
        analysis_status=AnalysisStatus.PENDING,
        analysis_result=None,
        task_id=None,
        notification_status=NotificationStatus.PENDING,
        acknowledged_by=None,
    )


def over(key: str = "a/1", *, lasted: float = 60) -> Alert:
    return alert(key, firing=False, lasted=lasted)


def acknowledged(key: str = "a/1") -> Alert:
    return replace(alert(key), acknowledged_by="anna")


def told(firing: str = "", resolved: str = "", *, when: datetime = NOON) -> Told:
    return Told(firing=frozenset(firing.split()), resolved=frozenset(resolved.split()), at=when)


@pytest.mark.parametrize(
    ("group_by", "labels", "key", "common"),
    [
        (("alertname",), {"alertname": "A", "x": "y"}, 'default:{alertname="A"}', {"alertname": "A"}),
        (("alertname",), {"x": "y"}, "default:{}", {}),
        ((), {"alertname": "A"}, "default:{}", {}),
        (("b", "a"), {"a": "1", "b": "2"}, 'default:{a="1", b="2"}', {"a": "1", "b": "2"}),
        (("a",), {"a": 'q"\\\n'}, 'default:{a="q\\"\\\\\\n"}', {"a": 'q"\\\n'}),
    ],
)
def test_the_group_of_an_alert(
    group_by: tuple[str, ...], labels: Mapping[str, str], key: str, common: Mapping[str, str]
) -> None:
    group = group_of(replace(ROUTE, group_by=group_by), labels)

    assert (group.key, group.labels) == (key, common)


@given(st.text(min_size=300).map(lambda text: text * 10), st.text(max_size=3))
def test_a_key_is_bounded_and_still_tells_groups_apart(name: str, more: str) -> None:
    one, other = group_of(ROUTE, {"alertname": name}), group_of(ROUTE, {"alertname": name + more})

    assert len(one.key.encode()) <= MAX_KEY
    assert (one.key == other.key) is (more == "")
    assert one.labels == {"alertname": name}


@pytest.mark.parametrize(
    ("ticks_from", "oldest", "now", "due"),
    [
        # A new group waits for 10 s, unless its alert has fired for that long.
        (None, at(), at(), at(seconds=10)),
        (None, at(seconds=-9), at(), at(seconds=10)),
        (None, at(seconds=-10), at(), at()),
        (None, at(hours=-3), at(), at()),
        (None, at(minutes=5), at(), at(seconds=10)),
        # Afterwards flushes fall on whole minutes from the first.
        (at(), at(), at(), at(minutes=1)),
        (at(), at(hours=-3), at(seconds=1), at(minutes=1)),
        (at(), at(), at(seconds=59.999), at(minutes=1)),
        (at(), at(), at(minutes=1), at(minutes=2)),
        (at(), at(), at(days=30, seconds=30), at(days=30, minutes=1)),
        # The clock was put back.
        (at(), at(), at(seconds=-30), at()),
    ],
)
def test_when_a_change_is_looked_at(
    ticks_from: datetime | None, oldest: datetime, now: datetime, due: datetime
) -> None:
    assert next_flush(ROUTE, ticks_from, oldest_start=oldest, now=now) == due


def test_a_route_without_an_interval_looks_at_once() -> None:
    route = replace(ROUTE, group_interval=timedelta())

    assert next_flush(route, NOON, oldest_start=NOON, now=at(seconds=3)) == at(seconds=3)


@pytest.mark.parametrize(
    ("alerts", "known", "tells"),
    [
        # Never told: firing alerts, and those that were over before anybody could be told.
        ([alert()], None, True),
        ([over(lasted=60)], None, True),
        ([over(lasted=3)], None, False),
        ([over(lasted=3), alert("b/1")], None, True),
        ([], None, False),
        # Told already.
        ([alert()], told("a/1"), False),
        ([alert(), alert("b/1")], told("a/1"), True),
        ([alert()], told("a/1 b/1"), False),
        ([alert("a/2")], told("a/1"), True),
        # The end of some, the end of all.
        ([over(), alert("b/1")], told("a/1 b/1"), True),
        ([over(), alert("b/1")], told("b/1", "a/1"), False),
        ([over(), over("b/1")], told("b/1", "a/1"), True),
        ([over(), over("b/1")], told("", "a/1 b/1"), False),
        ([over()], told("", "a/1"), False),
        ([over("a/2")], told("a/2"), True),
        # What came and went between two looks is told only beside what goes on, unless nobody could look.
        ([over("a/2", lasted=59)], told("", "a/1"), False),
        ([over("a/2", lasted=60)], told("", "a/1"), True),
        ([over("a/2", lasted=1), alert("b/1")], told("b/1", "a/1"), True),
    ],
)
def test_whether_a_channel_must_hear_of_a_group(alerts: Sequence[Alert], known: Told | None, tells: bool) -> None:
    assert must_tell(ROUTE, alerts, known, at(minutes=1)) is tells


@pytest.mark.parametrize(
    ("alerts", "other", "tells"),
    [
        ([over(lasted=60)], told("a/1"), False),
        ([over(lasted=60)], told("", "a/1"), False),
        ([over(lasted=60)], told("b/1"), True),
        ([over(lasted=60), alert("b/1")], told("a/1"), True),
    ],
)
def test_a_channel_that_came_later_hears_of_an_end_only_if_nobody_knew_the_alert(
    alerts: Sequence[Alert], other: Told, tells: bool
) -> None:
    assert must_tell(ROUTE, alerts, None, at(minutes=1), others=[other]) is tells


@pytest.mark.parametrize(
    ("alerts", "tells"),
    [
        ([over(lasted=60)], False),
        ([over("b/1", lasted=60)], True),
        ([over(lasted=60), over("b/1", lasted=60)], True),
        ([alert()], True),
    ],
)
def test_an_end_is_not_told_of_what_was_held_back_until_then(alerts: Sequence[Alert], tells: bool) -> None:
    assert must_tell(ROUTE, alerts, None, at(minutes=1), held={"a"}) is tells


@pytest.mark.parametrize(
    ("alerts", "known", "tells"),
    [
        ([over(), alert("b/1")], told("a/1 b/1"), False),
        ([over()], told("a/1"), True),
        ([over()], told("", "a/1"), False),
    ],
)
def test_a_route_that_tells_no_ends_tells_only_that_all_is_over(
    alerts: Sequence[Alert], known: Told, tells: bool
) -> None:
    assert must_tell(ROUTE, alerts, known, at(minutes=1), send_resolved=False) is tells


@pytest.mark.parametrize(
    ("alerts", "after", "tells"),
    [
        ([alert()], timedelta(hours=4) - timedelta(microseconds=1), False),
        ([alert()], timedelta(hours=4), True),
        ([over()], timedelta(days=9), False),
    ],
)
def test_what_still_fires_is_told_again(alerts: Sequence[Alert], after: timedelta, tells: bool) -> None:
    assert must_tell(ROUTE, alerts, told("a/1", "a/1"), NOON + after) is (tells or not alerts[0].is_firing)
    assert must_tell(ROUTE, alerts, told("a/1" if alerts[0].is_firing else "", "a/1"), NOON + after) is tells


@pytest.mark.parametrize(
    ("alerts", "known", "tells"),
    [
        ([acknowledged()], told("a/1"), False),
        ([acknowledged(), acknowledged("b/1")], told("a/1 b/1"), False),
        ([acknowledged(), alert("b/1")], told("a/1 b/1"), True),
        # Whoever knows nothing of it, or not that it is over, is told.
        ([acknowledged()], None, True),
        ([acknowledged("a/2")], told("a/1"), True),
        ([acknowledged(), over("b/1")], told("a/1 b/1"), True),
        ([replace(acknowledged(), status=AlertStatus.RESOLVED)], told("a/1"), True),
    ],
)
def test_an_acknowledged_alert_is_told_but_not_again_and_again(
    alerts: Sequence[Alert], known: Told | None, tells: bool
) -> None:
    assert must_tell(ROUTE, alerts, known, at(days=1)) is tells


@pytest.mark.parametrize(
    ("candidate", "missed"),
    [
        (alert(), False),
        (over(lasted=9.999), False),
        (over(lasted=10), True),
        (over(lasted=3600), True),
    ],
)
def test_an_alert_was_missed_when_it_could_have_been_told(candidate: Alert, missed: bool) -> None:
    assert was_missed(ROUTE, candidate) is missed


def test_without_a_wait_an_alert_of_a_second_was_missed() -> None:
    at_once = replace(ROUTE, group_wait=timedelta())

    assert [was_missed(at_once, over(lasted=lasted)) for lasted in (0, 0.9, 1)] == [False, False, True]


@pytest.mark.parametrize(
    ("candidate", "known", "settled"),
    [
        (alert(), [], False),
        (alert(), [told("a/1")], False),
        (over(), [], True),
        (over(), [told("a/1")], False),
        (over(), [told("b/1")], True),
        (over(), [told("", "a/1")], True),
        (over(), [told("", "a/1"), told("a/1")], False),
        (over("a/2"), [told("a/1")], True),
    ],
)
def test_an_alert_is_settled_when_nobody_believes_that_it_fires(
    candidate: Alert, known: Sequence[Told], settled: bool
) -> None:
    assert is_settled(candidate, known) is settled


@pytest.mark.parametrize(
    ("candidate", "known", "over_for_all"),
    [
        (over(), [], False),
        (over(), [None], False),
        (over(), [told("", "a/1")], True),
        (over(), [told("", "a/1"), None], False),
        (over(), [told("", "a/1"), told("a/1")], False),
        (over(), [told("", "b/1")], False),
        (over("a/2"), [told("", "a/1")], False),
        (alert(), [told("", "a/1")], False),
    ],
)
def test_an_alert_is_told_over_when_every_channel_knows_its_end(
    candidate: Alert, known: Sequence[Told | None], over_for_all: bool
) -> None:
    assert is_told_over(candidate, known) is over_for_all


@pytest.mark.parametrize(
    ("alerts", "known", "is_busy", "due"),
    [
        ([alert()], [], True, at(minutes=1)),
        ([over()], [told("a/1")], False, at(minutes=1)),
        ([alert()], [told("a/1")], False, at(hours=4)),
        ([alert()], [told("a/1"), told("a/1", when=at(hours=-1))], False, at(hours=3)),
        ([alert()], [told("a/1", when=at(hours=-9))], False, at(minutes=1)),
        ([alert()], [], False, None),
        ([acknowledged()], [told("a/1")], False, None),
        ([acknowledged()], [told("a/1")], True, at(minutes=1)),
        ([acknowledged(), over("b/1")], [told("a/1")], False, at(minutes=1)),
        ([acknowledged(), alert("b/1")], [told("a/1 b/1")], False, at(hours=4)),
    ],
)
def test_when_a_group_is_looked_at_next(
    alerts: Sequence[Alert], known: Sequence[Told], is_busy: bool, due: datetime | None
) -> None:
    assert next_look(ROUTE, NOON, alerts, known, at(seconds=5), is_busy=is_busy) == due


@pytest.mark.parametrize(
    ("group_interval", "repeat_interval", "alerts", "known", "due"),
    [
        (timedelta(minutes=5), timedelta(hours=4), [alert()], [], at(minutes=5)),
        (timedelta(seconds=1), timedelta(hours=4), [alert()], [], at(seconds=5) + UNHURRIED),
        (timedelta(seconds=1), timedelta(hours=4), [acknowledged()], [], at(seconds=5) + UNHURRIED),
        (timedelta(seconds=1), timedelta(seconds=10), [alert()], [], at(seconds=10)),
        (timedelta(seconds=1), timedelta(hours=1), [alert()], [told("a/1", when=at(minutes=-59.5))], at(seconds=30)),
        (timedelta(seconds=1), timedelta(hours=4), [alert(), over("b/1")], [], at(seconds=6)),
    ],
    ids=["a long tick", "a short one", "acknowledged", "often repeated", "repeated to another", "an end has to go"],
)
def test_a_group_of_which_all_is_being_told_is_in_no_hurry(
    group_interval: timedelta,
    repeat_interval: timedelta,
    alerts: Sequence[Alert],
    known: Sequence[Told],
    due: datetime,
) -> None:
    route = replace(ROUTE, group_interval=group_interval, repeat_interval=repeat_interval)

    assert next_look(route, NOON, alerts, known, at(seconds=5), is_busy=False, is_telling=True) == due


def test_even_a_route_without_an_interval_gives_a_busy_group_a_moment() -> None:
    route = replace(ROUTE, group_interval=timedelta())

    assert next_look(route, NOON, [alert()], [], NOON, is_busy=True) == NOON + SOONEST
