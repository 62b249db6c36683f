"""Rules that cannot be told apart. Pure.

Prometheus runs two alerts of one name and the same labels, but their series and notifications then mix; promtool
warns of them. vmalert refuses a group that holds the same rule twice.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from alertagent.core.rules.model import Kind, RuleContent


class Twin(NamedTuple):
    """The number of a rule and of the first one like it. `is_same`: group and expression are the same too."""

    rule: int
    first: int
    is_same: bool


def twins(rules: Sequence[RuleContent]) -> Iterator[Twin]:
    """Every rule whose kind, name and labels an earlier one has."""
    names = Counter(map(_name, rules))
    alike: dict[tuple[Kind, str, frozenset[tuple[str, str]]], int] = {}
    same: dict[tuple[int, str, str], int] = {}
    for number, rule in enumerate(rules):
        if names[_name(rule)] == 1:
            continue
        first = alike.setdefault((*_name(rule), frozenset(rule.all_labels.items())), number)
        twin = same.setdefault((first, rule.group, rule.expression), number)
        if first != number:
            yield Twin(number, first if twin == number else twin, is_same=twin != number)


def _name(rule: RuleContent) -> tuple[Kind, str]:
    return (rule.kind, rule.name if rule.kind is Kind.ALERTING else rule.record or "")
