"""Rules that differ from cluster to cluster in declared values only."""

from datetime import timedelta
from typing import Any

import pytest

from alertagent.core.rules.check import check_rule
from alertagent.core.rules.model import RuleContent
from alertagent.core.rules.parameters import effective


def rule(**values: Any) -> RuleContent:
    return RuleContent(**{"name": "A", "expression": "up == 0", "labels": {}, "annotations": {}, **values})


def test_a_cluster_s_value_comes_before_the_default() -> None:
    declared = rule(expression="x > ${limit} or y > ${other}", parameters={"limit": "1", "other": "2"})

    assert effective(declared, {"limit": "9", "unknown": "3"}).expression == "x > 9 or y > 2"


def test_only_declared_names_are_replaced() -> None:
    expression = 'label_replace(x > ${limit}, "a", "${1}-${name}", "b", "(?P<name>.*)(.*)")'

    assert effective(rule(expression=expression, parameters={"limit": "1"}), {}).expression == expression.replace(
        "${limit}", "1"
    )


def test_a_parameter_gives_the_duration() -> None:
    declared = rule(duration_parameter="patience", parameters={"patience": "5m"})

    assert effective(declared, {}).duration == timedelta(minutes=5)
    assert effective(declared, {"patience": "1h"}).duration == timedelta(hours=1)


@pytest.mark.parametrize(
    ("values", "loc"),
    [
        ({"duration_parameter": "patience"}, ("duration",)),
        ({"duration_parameter": "patience", "parameters": {"patience": "soon"}}, ("parameters", "patience")),
        ({"expression": "up > ${limit}", "parameters": {"limit": "("}}, ("expression",)),
    ],
)
def test_a_default_that_makes_no_rule_is_refused(values: dict[str, Any], loc: tuple[str, ...]) -> None:
    assert [finding.loc for finding in check_rule(rule(**values))] == [loc]
