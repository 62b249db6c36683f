"""Every way in which a rule can be wrong, one row each."""

from datetime import timedelta
from typing import Any

import pytest

from alertagent.core.configs import marker
from alertagent.core.rules.check import check_rule
from alertagent.core.rules.model import RESERVED_GROUP, Dialect, Kind, RuleContent


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
        {"expression": "no(such[promql", "dialect": Dialect.METRICSQL},
    ],
)
def test_a_sound_rule_has_no_findings(values: dict[str, Any]) -> None:
    assert check_rule(make_content(**values)) == []


@pytest.mark.parametrize(
    ("values", "loc"),
    [
        ({"expression": "up =="}, ("expression",)),
        ({"expression": " ", "dialect": Dialect.METRICSQL}, ("expression",)),
        ({"record": "a:b"}, ("record",)),
        ({"kind": Kind.RECORDING}, ("record",)),
        ({**RECORDING, "record": "not a name"}, ("record",)),
        ({**RECORDING, "record": 'up{a="b"}'}, ("record",)),
        ({**RECORDING, "duration": timedelta(minutes=1)}, ("duration",)),
        ({**RECORDING, "keep_firing_for": timedelta(minutes=1)}, ("keep_firing_for",)),
        ({**RECORDING, "annotations": {"a": "b"}}, ("annotations",)),
        ({"labels": {"__name__": "x"}}, ("labels", "__name__")),
        ({"labels": {"a-b": "x"}}, ("labels", "a-b")),
        ({"labels": {"": "x"}}, ("labels", "")),
        ({"annotations": {"1a": "x"}}, ("annotations", "1a")),
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
    rule = make_content(expression="up =", labels={"a-b": ""}, targets=("?",))

    assert [found.loc[0] for found in check_rule(rule)] == ["expression", "labels", "targets"]


def test_the_group_of_the_marker_is_the_reserved_one() -> None:
    assert RESERVED_GROUP == marker.GROUP
