"""What may be a routing document, and where what is wrong with it stands."""

from pathlib import Path

import orjson
import pytest

from alertagent.core.routing.document import Judged, channels_named, read_json, read_yaml, suspicions
from alertagent.kernel.errors import Invalid
from tests.core.routing.samples import SHOP, below, routed

ROOT = Path(__file__).parents[3]

GOOD = {
    "a root alone": routed(""),
    "no wait at all": below("group_wait: 0s\n"),
    "by all labels": below("group_by: ['...']\n"),
    "in one group": below("group_by: []\n"),
    "matchers in the newer grammar": below('routes: [{matchers: [\'"地区"=~"华东|华南"\'], receiver: ops}]\n'),
    "an empty label": below("routes: [{match: {team: }}]\n"),
    "a label with a number": below("routes: [{match: {code: 500}}]\n"),
    "nobody on purpose": routed("receivers: [{name: ops, channels: []}]\n"),
    "the channel of the same name, not told of ends": routed("receivers: [{name: ops, send_resolved: no}]\n"),
    "an interval that is used": below("routes: [{mute_time_intervals: [x]}]\n")
    + "time_intervals: [{name: x, time_intervals: [{years: ['2026']}]}]\n",
    "an inhibition by its name": routed(
        "inhibit_rules: [{name: down, source_matchers: [a=b], target_matchers: [c=d]}]\n"
    ),
}

BAD = {
    "nothing": ("", "the document is empty", (), 1),
    "no mapping": ("[]", "must be a mapping", (), 1),
    "no route": ("receivers: []", "needs a route", (), 1),
    "no receiver": ("route: {}", "the root needs a receiver", ("route",), 1),
    "an empty receiver": ("route: {receiver: ''}", "the root needs a receiver", ("route",), 1),
    "a root with matchers": (below("matchers: [a=b]"), "must not have matchers", ("route", "matchers"), 3),
    "a root that continues": (below("continue: true"), "nothing to continue with", ("route", "continue"), 3),
    "a root with an interval": (
        below("mute_time_intervals: [x]"),
        "must not have time intervals",
        ("route", "mute_time_intervals"),
        3,
    ),
    "labels that stand twice": (below("group_by: [a, a]"), "a label stands twice", ("route", "group_by"), 3),
    "all labels and one": (below("group_by: ['...', a]"), "must stand alone", ("route", "group_by"), 3),
    "no interval between messages": (
        below("group_interval: 0s"),
        "must be more than 0",
        ("route", "group_interval"),
        3,
    ),
    "no time between repetitions": (
        below("repeat_interval: 0m"),
        "must be more than 0",
        ("route", "repeat_interval"),
        3,
    ),
    "a number for a duration": (below("group_wait: 30"), "not a duration", ("route", "group_wait"), 3),
    "a word for a list": (below("group_by: alertname"), "must be a list", ("route", "group_by"), 3),
    "an unknown interval": (
        below("routes: [{mute_time_intervals: [x]}]"),
        "no time interval of this name",
        ("route", "routes", 0, "mute_time_intervals", 0),
        3,
    ),
    "a look-ahead": (
        below("routes:\n- match_re: {a: '(?=x)'}"),
        "bad regular expression",
        ("route", "routes", 0, "match_re", "a"),
        4,
    ),
    "half a matcher": (
        below("routes:\n- matchers: ['a=\"']"),
        "",
        ("route", "routes", 0, "matchers", 0),
        4,
    ),
    "a field with a slip": (below("group_wiat: 5s"), 'Did you mean "group_wait"?', ("route", "group_wiat"), 3),
    "settings of Alertmanager": (
        routed("global: {resolve_timeout: 5m}"),
        "alerts.resolve_timeout in the settings",
        ("global",),
        3,
    ),
    "an integration": (
        routed("receivers: [{name: ops, slack_configs: []}]"),
        "make a channel of this",
        ("receivers", 0, "slack_configs"),
        3,
    ),
    "a receiver without a name": (routed("receivers: [{channels: [a]}]"), "needs name", ("receivers", 0), 3),
    "receivers with one name": (
        routed("receivers: [{name: a}, {name: a}]"),
        "taken by another one above",
        ("receivers", 1, "name"),
        3,
    ),
    "intervals with one name": (
        routed("mute_time_intervals: [{name: a}]\ntime_intervals: [{name: a}]"),
        "taken by another one above",
        ("time_intervals", 0, "name"),
        4,
    ),
    "a zone that is none": (
        routed("time_intervals: [{name: a, time_intervals: [{location: Atlantis}]}]"),
        "not a time zone",
        ("time_intervals", 0, "time_intervals", 0, "location"),
        3,
    ),
    "U+0000": ('route: {receiver: "a\\0"}', "U+0000", (), 1),
    "a key twice": ("route: {receiver: a, receiver: b}", "stands here a second time", (), 1),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_alertmanager_takes_is_taken(name: str) -> None:
    assert read_yaml(GOOD[name].encode()).text == GOOD[name]


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_told_with_its_place(name: str) -> None:
    text, message, loc, line = BAD[name]

    with pytest.raises(Invalid) as refused:
        read_yaml(text.encode())

    found = refused.value.details[0]
    assert (message in found.message, found.loc, found.line) == (True, loc, line), found


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"route": {"receiver": "\\ud800"}}', "not JSON"),
        (b"[" * 600 + b"]" * 600, "nested too deep"),
        (b"[" * 100 + b"]" * 100, "nested more than"),
        (b'{"route": {"receiver": "\\u0000"}}', "U+0000"),
        (b'"route"', "must be a mapping"),
        (b"1e400", "not JSON"),
        (b'{"route": {"receiver": ["a"]}}', "route.receiver: must be a text"),
        (b'{"route": {"receiver": {}}}', "route.receiver: must be a text"),
        (b'{"route": {"receiver": "a", "continue": "true"}}', "route.continue: must be true or false"),
        (b'{"route": {"receiver": "a", "group_wait": 99999999999999999999}}', "route.group_wait: not a duration"),
        (b'{"route": {"receiver": "a"}, "rout": {}}', "rout: unknown field."),
    ],
)
def test_json_that_is_no_document_is_refused_without_lines(body: bytes, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_json(body)

    assert message in refused.value.message
    assert message == "not JSON" or all(each.line is None for each in refused.value.details)


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(Invalid, match="not UTF-8 at byte 7"):
        read_yaml(b"route: \xff")


@pytest.mark.parametrize(
    "character", ["\x7f", "\x85", "\u2028", "\ufeff", "\ufffe", "\U0001f600", "\\", "\\\u2029", '"']
)
def test_characters_that_only_yaml_minds_are_read_from_json(character: str) -> None:
    judged = read_json(orjson.dumps({"route": {"receiver": f"a{character}"}}))

    route = judged.document.route
    assert route is not None
    assert route.receiver == f"a{character}"


def test_json_and_yaml_make_the_same_document() -> None:
    body = orjson.dumps({"route": {"receiver": "ops", "routes": [{"match": {"code": 500}, "continue": True}]}})

    judged = read_json(body)

    assert judged.document == read_yaml(judged.text.encode()).document


def test_the_channels_of_a_document_are_known_by_their_places() -> None:
    document = read_yaml(SHOP.encode()).document

    assert list(channels_named(document)) == [
        (("receivers", 0, "channels", 0), "dba"),
        (("receivers", 0, "channels", 1), "值班群"),
        (("route", "receiver"), "everybody"),
        (("route", "routes", 0, "receiver"), "pager"),
        (("route", "routes", 2, "receiver"), "everybody"),
    ]


def test_a_later_finding_has_its_line_where_the_document_was_written_by_hand() -> None:
    found = (("receivers", 0, "channels", 1), "there is no such channel")

    by_hand: Judged = read_yaml(SHOP.encode())
    by_program = read_json(orjson.dumps({"route": {"receiver": "x"}}))

    assert by_hand.refused([found]).details[0].line == SHOP.splitlines().index('  channels: [dba, "值班群"]') + 1
    assert by_program.refused([(("route", "receiver"), "no")]).details[0].line is None


def test_what_can_hardly_be_meant_is_told() -> None:
    text = below("routes:\n- {receiver: a}\n- {receiver: b}\n") + (
        "receivers: [{name: c}]\ninhibit_rules: [{source_matchers: [a=b]}]\n"
    )

    found = [(each.loc, each.message[:20]) for each in suspicions(read_yaml(text.encode()).document)]

    assert found == [
        (("route", "routes", 1), "no alert comes here:"),
        (("receivers", 0), "no route names this "),
        (("inhibit_rules", 0), "the target has no ma"),
    ]


def test_the_example_of_the_manual_is_a_document_without_warnings() -> None:
    manual = (ROOT / "docs/howto/routing.md").read_text(encoding="utf-8")
    example = manual.partition("```yaml\n")[2].partition("```")[0]

    assert suspicions(read_yaml(example.encode()).document) == []
