"""Everything that a rule must be before it is stored. Pure.

What is refused here would be refused by Prometheus too, for the whole file: one bad rule must never reach it.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

from alertagent.core.clusters.model import check_target
from alertagent.core.rules.model import RESERVED_GROUP, Dialect, Kind, RuleContent
from alertagent.core.rules.parameters import effective
from alertagent.core.rules.promql import MAX_LENGTH, check_promql
from alertagent.kernel.errors import Detail
from alertagent.kernel.labels import is_legacy_name

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_ACTION = re.compile(r"{{(?:[^\"`}]|\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`|}(?!}))*}}", re.DOTALL)


def check_rule(rule: RuleContent) -> list[Detail]:
    """The findings; empty when the rule is fine with the defaults of its parameters."""
    if rule.duration_parameter is not None and rule.duration_parameter not in rule.parameters:
        return [Detail(("duration",), f'the rule declares no parameter "{rule.duration_parameter}"')]
    try:
        rule = effective(rule, {})
    except ValueError as error:
        return [Detail(("parameters", rule.duration_parameter or ""), str(error))]
    return [
        *check_expression(rule),
        *_check_kind(rule),
        *_check_labels(rule),
        *_check_templates(("labels",), rule.labels),
        *_check_templates(("annotations",), rule.annotations),
        *_check_targets(rule),
        *_check_durations(rule),
        *_check_group(rule),
    ]


def check_expression(rule: RuleContent) -> list[Detail]:
    """MetricsQL is a superset that no parser here knows: vmalert itself decides, in the sidecar."""
    if rule.dialect is Dialect.PROMQL:
        return check_promql(rule.expression)
    if not rule.expression.strip() or len(rule.expression) > MAX_LENGTH:
        return [Detail(("expression",), f"the expression is empty or longer than {MAX_LENGTH} characters")]
    return []


def _check_kind(rule: RuleContent) -> Iterator[Detail]:
    if rule.kind is Kind.ALERTING:
        if rule.record is not None:
            yield Detail(("record",), "only a recording rule has one")
        return
    if not rule.record or not _METRIC_NAME.fullmatch(rule.record):
        yield Detail(("record",), "a recording rule needs the name of a metric here, such as job:errors:rate5m")
    for name, value in (
        ("duration", rule.duration),
        ("keep_firing_for", rule.keep_firing_for),
        ("annotations", rule.annotations),
    ):
        if value:
            yield Detail((name,), "a recording rule has none")


def _check_labels(rule: RuleContent) -> Iterator[Detail]:
    for name in rule.labels:
        if name == "__name__" or not is_legacy_name(name):
            yield Detail(("labels", name), "not a label name; letters, digits and _ make one, __name__ is reserved")
    for name in rule.annotations:
        if not is_legacy_name(name):
            yield Detail(("annotations", name), "not a name; letters, digits and _ make one")
    label = rule.labels.get("severity")
    if rule.severity is not None and label is not None and label != rule.severity:
        yield Detail(("severity",), f'the severity is "{rule.severity}" but the label says "{label}"')


def _check_templates(loc: tuple[str, ...], values: Mapping[str, str]) -> Iterator[Detail]:
    """An action that never ends is a load error in Prometheus."""
    for name, text in values.items():
        if "{{" in _ACTION.sub("", text):
            yield Detail((*loc, name), "a template action is opened by {{ and never closed by }}")


def _check_targets(rule: RuleContent) -> Iterator[Detail]:
    for index, target in enumerate(rule.targets):
        try:
            check_target(target)
        except ValueError as error:
            yield Detail(("targets", index), f"neither a cluster's id nor a selector: {error}")


def _check_durations(rule: RuleContent) -> Iterator[Detail]:
    if rule.interval is not None and rule.interval < timedelta(milliseconds=1):
        yield Detail(("interval",), "must be more than 0")


def _check_group(rule: RuleContent) -> Iterator[Detail]:
    if rule.group == RESERVED_GROUP:
        yield Detail(("group",), f'the group "{RESERVED_GROUP}" is AlertAgent\'s own')
