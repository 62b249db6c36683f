"""Every way in which a rule can be wrong, one row each."""

from datetime import timedelta
from typing import Any

import pytest

from alertagent.core.configs import marker
from alertagent.core.rules.check import check_rule, check_warnings
from alertagent.core.rules.model import RESERVED_GROUP, Dialect, GroupOptions, Kind, RuleContent


def make_content(**values: Any) -> RuleContent:
    return RuleContent(**{"name": "HostDown", "expression": "up == 0", "labels": {}, "annotations": {}, **values})


RECORDING = {"kind": Kind.RECORDING, "record": "job:up:sum", "expression": "sum by (job) (up)"}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"duration": timedelta(minutes=5), "keep_firing_for": timedelta(minutes=1), "interval": timedelta(seconds=15)},
        {"severity": "critical", "labels": {"severity": "critical"}},
        {"labels": {"team": "sre", "_x1": "", "zone": "{{ $labels.zone }}"}},
        {"annotations": {"summary": "{{ $labels.instance }} of {{ $labels.job }} at {{ $value | humanize }}"}},
        {"annotations": {"summary": '{{ printf "}}%s" $value }}'}},
        {"annotations": {"summary": "{{ `}}` }} and } and }} alone"}},
        {"annotations": {"summary": "{{ if eq $value 1.0 }}a\n{{ end }}"}},
        {"targets": ("prod-bj", 'env="prod"', 'env="prod",region=~"cn-.*"', '{env!="test"}')},
        RECORDING,
        {**RECORDING, "labels": {"team": "sre"}, "duration": timedelta()},
        {**RECORDING, "record": "名 a-b", "labels": {"é-1": "{{ anything"}},
        {"labels": {"a-b": "北", "北": ""}, "annotations": {"1a": "x", "a b": "{{ $externalURL }}"}},
        {"expression": "no(such[promql]) default 5", "dialect": Dialect.METRICSQL},
        {"annotations": {"a": "{{ $expr | jsonEscape }}"}, "dialect": Dialect.METRICSQL},
        {**RECORDING, "annotations": {"a": "b"}, "duration": timedelta(minutes=1), "dialect": Dialect.METRICSQL},
        {"expression": 'env: "x" AND (', "dialect": Dialect.METRICSQL, "group_options": GroupOptions(type="vlogs")},
        {"interval": timedelta(minutes=5), "group_options": GroupOptions(eval_offset=timedelta(minutes=5), limit=0)},
        {"update_entries_limit": -1, "group_options": GroupOptions(labels={"a-b": "c"}, headers=("A: b",))},
    ],
)
def test_a_sound_rule_has_no_findings(values: dict[str, Any]) -> None:
    assert check_rule(make_content(**values)) == []


@pytest.mark.parametrize(
    ("values", "loc"),
    [
        ({"expression": "up =="}, ("expression",)),
        ({"expression": " ", "dialect": Dialect.METRICSQL}, ("expression",)),
        ({"expression": "sum(up", "dialect": Dialect.METRICSQL}, ("expression",)),
        ({"expression": 'up{a="b}', "dialect": Dialect.METRICSQL}, ("expression",)),
        (
            {"expression": " ", "dialect": Dialect.METRICSQL, "group_options": GroupOptions(type="graphite")},
            ("expression",),
        ),
        ({"group_options": GroupOptions(type="graphite")}, ("group_options", "type")),
        ({"group_options": GroupOptions(type="")}, ("group_options", "type")),
        ({"group_options": GroupOptions(tenant="1" * 51)}, ("group_options", "tenant")),
        ({"group_options": GroupOptions(limit=-1)}, ("group_options", "limit")),
        ({"group_options": GroupOptions(concurrency=10_001)}, ("group_options", "concurrency")),
        ({"group_options": GroupOptions(eval_offset=timedelta(minutes=5))}, ("group_options", "eval_offset")),
        ({"group_options": GroupOptions(headers=("no colon",))}, ("group_options", "headers")),
        ({"group_options": GroupOptions(labels={"__name__": "a"})}, ("group_options", "labels", "__name__")),
        ({"group": "g" * 201}, ("group",)),
        ({"name": "n" * 501}, ("name",)),
        ({"update_entries_limit": -2}, ("update_entries_limit",)),
        ({"annotations": {"a": "x" * 16_385}}, ("annotations", "a")),
        ({"record": "a:b"}, ("record",)),
        ({"kind": Kind.RECORDING}, ("record",)),
        ({**RECORDING, "record": "not\na name"}, ("record",)),
        ({**RECORDING, "record": 'up{a="b"}'}, ("record",)),
        ({**RECORDING, "duration": timedelta(minutes=1)}, ("duration",)),
        ({**RECORDING, "keep_firing_for": timedelta(minutes=1)}, ("keep_firing_for",)),
        ({**RECORDING, "annotations": {"a": "b"}}, ("annotations",)),
        ({"labels": {"__name__": "x"}}, ("labels", "__name__")),
        ({"labels": {"a\nb": "x"}}, ("labels", "a\nb")),
        ({"labels": {"a" * 501: "x"}}, ("labels", "a" * 501)),
        ({"labels": {"": "x"}}, ("labels", "")),
        ({"annotations": {"": "x"}}, ("annotations", "")),
        ({"annotations": {"a": "{{ $expr }}"}}, ("annotations", "a")),
        ({"severity": "critical", "labels": {"severity": "warning"}}, ("severity",)),
        ({"labels": {"zone": "{{ $labels.zone"}}, ("labels", "zone")),
        ({"annotations": {"summary": "{{ $value } }"}}, ("annotations", "summary")),
        ({"annotations": {"summary": '{{ "}} }'}}, ("annotations", "summary")),
        ({"targets": ("ok", "not a target")}, ("targets", 1)),
        ({"targets": ('env=~"("',)}, ("targets", 0)),
        ({"interval": timedelta()}, ("interval",)),
        ({"group": RESERVED_GROUP}, ("group",)),
    ],
)
def test_a_finding_names_its_place(values: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    assert [found.loc for found in check_rule(make_content(**values))] == [loc]


def test_all_findings_are_told_at_once() -> None:
    rule = make_content(expression="up =", labels={"": ""}, targets=("?",))

    assert [found.loc[0] for found in check_rule(rule)] == ["expression", "labels", "targets"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, {}),
        ({"labels": {"a-b": "x"}}, {("labels", "a-b"): "Prometheus 3"}),
        ({"annotations": {"北": "x"}}, {("annotations", "北"): "Prometheus 3"}),
        ({**RECORDING, "record": "a-b"}, {("record",): "Prometheus 3"}),
        ({"group_options": GroupOptions(labels={"a-b": "x"})}, {("group_options", "labels", "a-b"): "Prometheus 3"}),
        ({"dialect": Dialect.METRICSQL, "labels": {"a-b": "x"}}, {("expression",): "only vmalert can judge"}),
        (
            {**RECORDING, "dialect": Dialect.METRICSQL, "annotations": {"a": "b"}},
            {("expression",): "only vmalert can judge", ("annotations",): "ignores"},
        ),
        (
            {"annotations": {"a": "{{ now }}"}},
            {("annotations", "a"): 'newer releases of Prometheus know the function "now"'},
        ),
        (
            {"annotations": {"a": "{{ graphLink $expr | jsonEscape }}"}, "dialect": Dialect.METRICSQL},
            {("expression",): "only vmalert", ("annotations", "a"): 'only vmalert knows the function "jsonEscape"'},
        ),
        ({"expression": "up > ${x}", "parameters": {"x": "1"}, "duration_parameter": "y"}, {}),
    ],
)
def test_what_may_not_be_meant_is_a_warning(values: dict[str, Any], told: dict[tuple[str, ...], str]) -> None:
    found = {warning.loc: warning.message for warning in check_warnings(make_content(**values))}

    assert found.keys() == told.keys()
    assert all(words in found[loc] for loc, words in told.items())


def test_a_mistake_in_a_template_has_its_line_and_column() -> None:
    (finding,) = check_rule(make_content(annotations={"a": "one\n{{ $value | nothing }}"}))

    assert (finding.message, finding.line, finding.column) == ('function "nothing" not defined', 2, 13)


def test_the_group_of_the_marker_is_the_reserved_one() -> None:
    assert RESERVED_GROUP == marker.GROUP
