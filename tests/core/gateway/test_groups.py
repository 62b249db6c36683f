"""Which groups there are, who is in them, and in which order."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cmp_to_key
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.gateway.groups import Grouping, Pages, grouped_by, place_of, place_of_member
from alertagent.core.gateway.model import Question
from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import compile_pattern
from tests.core.gateway.samples import NOON, table

LABELS = st.dictionaries(st.text("abé字\x01~%", min_size=1, max_size=3), st.text("abé字\x01~", max_size=3), max_size=4)


def grouped(*alerts: Labels, question: Question | None = None, hours: float = 2) -> list[Any]:
    """In order, with the labels of their alerts in order, as they are so many hours after noon."""
    routes = table()
    grouping = Grouping(routes, question or Question(), NOON + timedelta(hours=hours))
    for number, labels in enumerate(alerts):
        for group in grouping.of(routes.takers(labels), labels):
            group.keys += f"{number} ".encode()
    found = []
    for group in sorted(grouping.groups, key=lambda group: group.place):
        own = sorted((alerts[int(key)] for key in group.fingerprints), key=place_of_member)
        muted_by = grouping.muted_by(group.route)
        receiver = group.route.receiver
        found.append({"receiver": receiver, "labels": group.labels_of(own[0]), "alerts": own, "muted": muted_by})
    return found


def alert(name: str = "DiskFull", /, **labels: str) -> Labels:
    return {"alertname": name, **labels}


def test_alerts_of_a_route_share_a_group_where_the_labels_that_it_groups_by_are_the_same() -> None:
    groups = grouped(alert("B", team="db"), alert("A", team="db"), alert("A", team="x"))

    assert [(group["labels"], len(group["alerts"])) for group in groups] == [
        ({"alertname": "A"}, 2),
        ({"alertname": "B"}, 1),
    ]


def test_an_alert_that_two_routes_take_is_in_two_groups() -> None:
    groups = grouped(alert(severity="critical", team="web"))

    assert [(group["receiver"], group["labels"]) for group in groups] == [
        ("web", {"alertname": "DiskFull"}),
        ("on-call", {"alertname": "DiskFull", "severity": "critical", "team": "web"}),
    ]


def test_of_a_receiver_asked_for_only_its_groups_are_told() -> None:
    groups = grouped(alert(severity="critical", team="web"), question=Question(receiver=compile_pattern("on-.*")))

    assert [group["receiver"] for group in groups] == ["on-call"]


def test_a_label_that_an_alert_does_not_have_is_not_in_its_group() -> None:
    [group] = grouped({"team": "db"})

    assert group["labels"] == {}


def test_muted_groups_say_by_what_and_are_left_out_where_nobody_wants_them() -> None:
    both = alert(severity="critical", team="web")

    shown = grouped(both, hours=0)
    left = grouped(both, question=Question(muted=False), hours=0)

    assert [(group["receiver"], group["muted"]) for group in shown] == [("web", ("lunch",)), ("on-call", ())]
    assert [group["receiver"] for group in left] == ["on-call"]


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

    assert group["muted"] == tuple(names)


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

    order = [[each.get(name) for name in ("job", "instance", "z")] for each in group["alerts"]]
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


def test_the_labels_that_any_route_groups_by_are_known_unless_one_groups_by_all() -> None:
    by_some = [route for route in table().root.all() if route.group_by is not None]

    assert grouped_by(by_some) == ["alertname"]
    assert grouped_by(table().root.all()) is None


def test_a_group_is_written_some_alerts_at_a_time() -> None:
    grouping = Grouping(table(), Question(), NOON)
    one, other = (grouping.of([table().root], alert(name))[0] for name in "AB")
    pages = Pages()

    parts = [
        *pages.written(one, {"alertname": "A"}, [b"1", b"2"]),
        *pages.written(one, {"alertname": "A"}, [b"3"]),
        *pages.written(other, {"alertname": "B"}, [b"4"]),
        pages.end(),
    ]

    assert [(group["labels"], group["alerts"]) for group in orjson.loads(b"".join(parts))] == [
        ({"alertname": "A"}, [1, 2, 3]),
        ({"alertname": "B"}, [4]),
    ]
    assert orjson.loads(Pages().end()) == []


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
