"""Which groups there are, who is in them, and in which order."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cmp_to_key
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.alerts.model import Alert
from alertagent.core.gateway.groups import Grouping, place_of
from alertagent.core.gateway.model import Question, Standing
from alertagent.kernel.matchers import compile_pattern
from tests.core.gateway.samples import NOON, alert, make, table

LABELS = st.dictionaries(st.text("abé字\x01~", min_size=1, max_size=3), st.text("abé字\x01~", max_size=3), max_size=4)


def grouped(*alerts: Alert, question: Question | None = None, hours: float = 2) -> list[Any]:
    """In order, read back, as they are so many hours after noon."""
    grouping = Grouping(table(), question or Question(), NOON + timedelta(hours=hours))
    for each in alerts:
        grouping.add(each, Standing())
    return [
        {
            "receiver": group.receiver,
            "labels": group.labels,
            "alerts": [
                orjson.loads(member.written) for member in sorted(group.members, key=lambda member: member.place)
            ],
        }
        for group in sorted(grouping.groups, key=lambda group: group.place)
    ]


def receivers(group: Any) -> list[list[str]]:
    return [[receiver["name"] for receiver in alert["receivers"]] for alert in group["alerts"]]


def test_alerts_of_a_route_share_a_group_where_the_labels_that_it_groups_by_are_the_same() -> None:
    groups = grouped(alert("B", team="db"), alert("A", team="db"), alert("A", team="x"))

    assert [(group["labels"], len(group["alerts"])) for group in groups] == [
        ({"alertname": "A"}, 2),
        ({"alertname": "B"}, 1),
    ]


def test_an_alert_that_two_routes_take_is_in_two_groups_and_names_both() -> None:
    groups = grouped(alert(severity="critical", team="web"))

    assert [(group["receiver"], group["labels"], receivers(group)) for group in groups] == [
        ("web", {"alertname": "DiskFull"}, [["on-call", "web"]]),
        ("on-call", {"alertname": "DiskFull", "severity": "critical", "team": "web"}, [["on-call", "web"]]),
    ]


def test_of_a_receiver_asked_for_only_its_groups_and_its_name_are_told() -> None:
    groups = grouped(alert(severity="critical", team="web"), question=Question(receiver=compile_pattern("on-.*")))

    assert [(group["receiver"], receivers(group)) for group in groups] == [("on-call", [["on-call"]])]


def test_a_label_that_an_alert_does_not_have_is_not_in_its_group() -> None:
    [group] = grouped(make(labels={"team": "db"}))

    assert group["labels"] == {}


def test_muted_groups_say_by_what_and_are_left_out_where_nobody_wants_them() -> None:
    both = alert(severity="critical", team="web")

    shown = grouped(both, hours=0)
    assert [(group["receiver"], group["alerts"][0]["status"]["mutedBy"]) for group in shown] == [
        ("web", ["lunch"]),
        ("on-call", []),
    ]
    assert [group["alerts"][0]["status"]["state"] for group in shown] == ["suppressed", "active"]

    left = grouped(both, question=Question(muted=False), hours=0)
    assert [(group["receiver"], receivers(group)) for group in left] == [("on-call", [["on-call", "web"]])]


@pytest.mark.parametrize(
    ("team", "hours", "names"),
    [
        ("web", 0, ["lunch"]),
        ("web", 2, []),
        ("web", 9, ["nights"]),
        ("shop", 0, ["nights"]),
        ("shop", 9, []),
        ("db", 0, []),
    ],
)
def test_a_route_is_muted_by_intervals_and_outside_of_active_ones(team: str, hours: float, names: list[str]) -> None:
    [group] = grouped(alert(team=team), hours=hours)

    assert group["alerts"][0]["status"]["mutedBy"] == names


def test_members_stand_by_job_and_instance_and_then_by_their_labels() -> None:
    [group] = grouped(
        alert(z="1"),
        alert(),
        alert(instance="b"),
        alert(instance="a"),
        alert(job="j", instance="b"),
        alert(job="j"),
        alert(job="j", instance="a"),
        alert(job="i"),
    )

    order = [[each["labels"].get(name) for name in ("job", "instance", "z")] for each in group["alerts"]]
    assert order == [
        ["i", None, None],
        ["j", "a", None],
        ["j", "b", None],
        ["j", None, None],
        [None, "a", None],
        [None, "b", None],
        [None, None, None],
        [None, None, "1"],
    ]


def before(one: Mapping[str, str], other: Mapping[str, str]) -> int:
    """As prometheus/common compares them, in `LabelSet.Before`: -1, 0 or 1."""
    if len(one) != len(other):
        return -1 if len(one) < len(other) else 1
    for name in sorted({*one, *other}, key=str.encode):
        if name not in one or name not in other:
            return -1 if name not in one else 1
        if one[name] != other[name]:
            return -1 if one[name].encode() < other[name].encode() else 1
    return 0


@given(st.lists(LABELS, max_size=8))
def test_bytes_sort_as_alertmanager_sorts_labels(sets: list[dict[str, str]]) -> None:
    assert sorted(sets, key=place_of) == sorted(sets, key=cmp_to_key(before))
