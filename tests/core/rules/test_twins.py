"""Which rules cannot be told apart."""

from typing import Any

from alertagent.core.rules.model import Kind, RuleContent
from alertagent.core.rules.twins import Twin, twins


def make(name: str = "A", **values: Any) -> RuleContent:
    return RuleContent(**{"name": name, "expression": "up", "labels": {}, "annotations": {}, **values})


def test_rules_of_one_name_and_labels_are_twins_of_the_first() -> None:
    rules = [make(), make("B"), make(expression="down"), make(group="h"), make(), make(expression="down")]

    assert list(twins(rules)) == [
        Twin(2, 0, is_same=False),
        Twin(3, 0, is_same=False),
        Twin(4, 0, is_same=True),
        Twin(5, 2, is_same=True),
    ]


def test_labels_and_kind_tell_rules_apart_and_the_severity_is_a_label() -> None:
    record = make("x", kind=Kind.RECORDING, record="A")
    rules = [make(), make(labels={"a": "b"}), make(severity="info"), make(labels={"severity": "info"}), record]

    assert [twin.rule for twin in twins(rules)] == [3]


def test_a_recording_rule_is_known_by_what_it_records() -> None:
    rules = [make(name, kind=Kind.RECORDING, record="a:b") for name in ("x", "y")]

    assert [(twin.rule, twin.first) for twin in twins(rules)] == [(1, 0)]
