"""The document as values and as text."""

import orjson

from alertagent.core.routing.document import read_json, read_yaml
from alertagent.core.routing.text import diff, values_of, yaml_text
from tests.core.routing.samples import SHOP, routed


def test_the_values_of_a_document_make_it_again() -> None:
    document = read_yaml(SHOP.encode()).document

    values = values_of(document)
    again = [read_json(orjson.dumps(values)).document, read_yaml(yaml_text(values).encode()).document]

    assert [values_of(each) for each in again] == [values, values]


def test_the_values_are_what_was_given_under_alertmanagers_names() -> None:
    values = values_of(read_yaml(SHOP.encode()).document)

    assert list(values) == ["route", "inhibit_rules", "time_intervals", "receivers"]
    assert values["route"]["routes"][0] == {"receiver": "pager", "matchers": ['severity="page"'], "continue": True}
    assert (values["route"]["group_wait"], values["route"]["repeat_interval"]) == ("0s", "1d")
    assert [interval["name"] for interval in values["time_intervals"]] == ["office", "nights"]


def test_intervals_under_their_older_name_join_the_others() -> None:
    text = routed("mute_time_intervals: [{name: old}]\ntime_intervals: [{name: new}]\n")

    values = values_of(read_yaml(text.encode()).document)

    assert [interval["name"] for interval in values["time_intervals"]] == ["old", "new"]
    assert "mute_time_intervals" not in values


def test_the_order_of_keys_makes_no_difference_to_a_diff() -> None:
    texts = (b"{route: {receiver: a, group_wait: 60s}}", b"{route: {group_wait: 1m, receiver: a}}")
    first, second = map(read_yaml, texts)

    assert diff(values_of(first.document), values_of(second.document)) == ""


def test_a_diff_shows_what_changes() -> None:
    shown = diff({"route": {"receiver": "a"}}, {"route": {"receiver": "b"}})

    assert shown.splitlines()[:2] == ["--- a/routing.yml", "+++ b/routing.yml"]
    assert shown.splitlines()[-2:] == ["-  receiver: a", "+  receiver: b"]


def test_a_diff_with_nothing_names_nothing() -> None:
    assert diff(None, {"route": {"receiver": "b"}}).splitlines()[:2] == ["--- /dev/null", "+++ b/routing.yml"]
