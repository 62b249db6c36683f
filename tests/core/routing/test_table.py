"""From the document to the table by which alerts are routed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.routing.document import read_json, read_yaml
from alertagent.core.routing.model import Inhibition, Receiver, RoutingTable
from alertagent.core.routing.table import table_of
from alertagent.kernel.matchers import parse_matcher
from tests.core.routing.samples import SHOP, below, routed


def table(text: str) -> RoutingTable:
    return table_of(read_yaml(text.encode()).document, 1)


def keys(text: str) -> list[str]:
    return [route.key for route in table(text).root.all()]


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({}, ["everybody"]),
        ({"severity": "page"}, ["pager"]),
        ({"severity": "page", "team": "db"}, ["pager", "databases"]),
        ({"team": "db", "env": "dev"}, ["databases"]),
        ({"team": "dbx"}, ["everybody"]),
        ({"service": "foo-1", "severity": "page"}, ["pager", "everybody"]),
    ],
)
def test_an_alert_goes_where_alertmanager_would_send_it(labels: dict[str, str], receivers: list[str]) -> None:
    assert [route.receiver for route in table(SHOP).takers(labels)] == receivers


def test_the_key_of_a_route_is_made_of_the_matchers_from_the_root_down() -> None:
    assert keys(SHOP) == [
        "{}",
        '{}/{severity="page"}',
        '{}/{team=~"db|cache"}',
        '{}/{team=~"db|cache"}/{env="dev"}',
        '{}/{service=~"(foo|bar)-.*"}',
    ]


def test_the_order_of_matchers_does_not_change_a_key() -> None:
    written = ("matchers: ['b!=\"2\"', 'a=~\"1\"', 'b=\"2\"']", "{match_re: {a: '1'}, matchers: [b=2, b!=2]}")

    assert [keys(below(f"routes:\n- {text}\n"))[1] for text in written] == ['{}/{a=~"1",b="2",b!="2"}'] * 2


def test_siblings_with_the_same_matchers_have_keys_of_their_own() -> None:
    child = "{match: {team: db}, continue: true, routes: [{match: {env: dev}}]}"

    assert keys(below(f"routes: [{child}, {{match: {{team: web}}}}, {child}, {child}]\n")) == [
        "{}",
        '{}/{team="db"}',
        '{}/{team="db"}/{env="dev"}',
        '{}/{team="web"}',
        '{}/{team="db"}#2',
        '{}/{team="db"}#2/{env="dev"}',
        '{}/{team="db"}#3',
        '{}/{team="db"}#3/{env="dev"}',
    ]


def test_a_root_that_says_nothing_has_alertmanagers_defaults() -> None:
    root = table(routed("")).root

    assert (root.receiver, root.group_by) == ("ops", ())
    assert (root.group_wait, root.group_interval, root.repeat_interval) == (
        timedelta(seconds=30),
        timedelta(minutes=5),
        timedelta(hours=4),
    )


def test_a_route_has_from_above_what_it_does_not_say_but_for_intervals() -> None:
    databases, development = list(table(SHOP).root.all())[2:4]

    assert (databases.receiver, databases.group_by, databases.group_wait) == ("databases", None, timedelta())
    assert (development.receiver, development.group_by) == ("databases", None)
    assert (development.group_interval, development.repeat_interval) == (timedelta(minutes=2), timedelta(days=1))
    assert (databases.active_time_intervals, databases.mute_time_intervals) == (("office",), ())
    assert (development.active_time_intervals, development.mute_time_intervals) == ((), ("nights",))


@pytest.mark.parametrize(
    ("above", "own", "result"),
    [
        ("[a]", None, ("a",)),
        ("[a]", "[]", ("a",)),
        ("[a]", "[b, c]", ("b", "c")),
        ("['...']", None, None),
        ("['...']", "[b]", ("b",)),
        ("[a]", "['...']", None),
        (None, None, ()),
    ],
)
def test_labels_to_group_by_come_from_above(above: str | None, own: str | None, result: tuple[str, ...] | None) -> None:
    root = f"group_by: {above}\n" if above else ""
    child = f"{{group_by: {own}}}" if own else "{}"

    assert table(below(f"{root}routes: [{child}]\n")).root.routes[0].group_by == result


def test_receivers_lead_to_their_channels() -> None:
    routing = table(SHOP)

    assert routing.receiver("databases") == Receiver(name="databases", channels=("dba", "值班群"), send_resolved=False)
    assert routing.receiver("pager") == Receiver(name="pager", channels=("pager",), send_resolved=True)


def test_a_receiver_may_lead_to_nobody_or_to_the_channel_of_its_name() -> None:
    routing = table(routed("receivers: [{name: void, channels: []}, {name: ops, send_resolved: false}]\n"))

    assert routing.receiver("void") == Receiver(name="void", channels=())
    assert routing.receiver("ops") == Receiver(name="ops", channels=("ops",), send_resolved=False)


def test_inhibitions_are_read_with_either_kind_of_matchers() -> None:
    targets = "target_match_re: {c: d.*}, target_matchers: [e!=f]"
    text = routed(f"inhibit_rules: [{{name: x, source_match: {{a: b}}, {targets}, equal: [g, g]}}]")

    assert table(text).inhibitions == (
        Inhibition(
            name="x",
            source=table_matchers('a="b"'),
            target=table_matchers('c=~"d.*"', 'e!="f"'),
            equal=("g",),
        ),
    )


def table_matchers(*texts: str) -> Any:
    """As a route has them."""
    quoted = [orjson.dumps(text).decode() for text in texts]
    return table(below(f"routes: [{{matchers: [{', '.join(quoted)}]}}]\n")).root.routes[0].matchers


@pytest.mark.parametrize("older", [False, True])
def test_intervals_are_known_under_either_key(older: bool) -> None:
    text = SHOP.replace("\ntime_intervals:", "\nmute_time_intervals:") if older else SHOP
    intervals = table(text).intervals
    monday_noon, evening = datetime(2026, 3, 2, 11, tzinfo=UTC), datetime(2026, 3, 1, 21, tzinfo=UTC)

    assert [intervals["office"].covers(at) for at in (monday_noon, evening)] == [True, False]
    assert [intervals["nights"].covers(at) for at in (monday_noon, evening)] == [False, True]


NAMES, VALUES = st.sampled_from("abc"), st.sampled_from(["", "x", "y", "xy"])
OPERATORS, PATTERNS = st.sampled_from(["=", "!=", "=~", "!~"]), st.sampled_from(["", "x", "y", "x.*", "x|y"])
MATCHERS = st.lists(
    st.builds(lambda name, operator, value: f'{name}{operator}"{value}"', NAMES, OPERATORS, PATTERNS), max_size=2
)


def nodes(children: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    own = {"receiver": st.sampled_from(["r1", "r2", "r3"]), "matchers": MATCHERS, "continue": st.booleans()}
    return st.fixed_dictionaries({}, optional={**own, **({"routes": children} if children is not None else {})})


TREES = st.recursive(nodes(), lambda inner: nodes(st.lists(inner, max_size=3)), max_leaves=12)


def naively(node: Mapping[str, Any], labels: Mapping[str, str], inherited: str) -> list[str]:
    """The walk as the documentation tells it, on the document itself."""
    for text in node.get("matchers", ()):
        matcher = parse_matcher(text)
        value = labels.get(matcher.name, "")
        is_hit = (
            re2.fullmatch(matcher.value, value) is not None if matcher.operator.is_regex else matcher.value == value
        )
        if is_hit == matcher.operator.is_negative:
            return []
    receiver: str = node.get("receiver", inherited)
    arrived: list[str] = []
    for child in node.get("routes", ()):
        found = naively(child, labels, receiver)
        arrived += found
        if found and not child.get("continue", False):
            return arrived
    return arrived or [receiver]


@given(children=st.lists(TREES, max_size=4), labels=st.dictionaries(NAMES, VALUES, max_size=3))
def test_every_alert_goes_where_a_plain_reading_of_the_document_sends_it(
    children: list[dict[str, Any]], labels: dict[str, str]
) -> None:
    document = {"route": {"receiver": "root", "routes": children}}

    routing = table_of(read_json(orjson.dumps(document)).document, 1)

    assert [route.receiver for route in routing.takers(labels)] == naively(document["route"], labels, "")


@given(children=st.lists(TREES, max_size=4))
def test_no_two_routes_share_a_key(children: list[dict[str, Any]]) -> None:
    routing = table_of(read_json(orjson.dumps({"route": {"receiver": "root", "routes": children}})).document, 1)

    found = list(routing.root.all())
    assert len({route.key for route in found}) == len(found)
    assert all(routing.route(route.key) is route for route in found)
