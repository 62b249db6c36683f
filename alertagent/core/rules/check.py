"""Everything that a rule must be before it is stored. Pure.

What is refused here would be refused by Prometheus too, for the whole file: one bad rule must never reach it.
What only some servers take, or what a person may not have meant, is a warning.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta

from alertagent.core.clusters.model import check_target
from alertagent.core.rules.model import RESERVED_GROUP, Dialect, GroupOptions, Kind, RuleContent
from alertagent.core.rules.parameters import effective
from alertagent.core.rules.promql import MAX_LENGTH, check_balance, check_promql
from alertagent.core.rules.templates import check_text, text_warnings
from alertagent.kernel.errors import Detail
from alertagent.kernel.labels import is_legacy_name

Loc = tuple[str | int, ...]

# As over HTTP, so that whatever was read from a file can be changed there.
MAX_NAME = 500
MAX_GROUP_NAME = 200
MAX_TEXT = 16_384

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")

_NO_OPTIONS = GroupOptions()
_ONLY_PROMETHEUS_3 = "only Prometheus 3 takes a name with such characters"

# Languages of vmalert's groups; the others have nobody to judge them here.
_METRIC_TYPES = (None, "prometheus")


def check_rule(rule: RuleContent) -> list[Detail]:
    """The findings; empty when the rule is fine with the defaults of its parameters."""
    if rule.duration_parameter is not None and rule.duration_parameter not in rule.parameters:
        return [Detail(("duration",), f'the rule declares no parameter "{rule.duration_parameter}"')]
    try:
        rule = effective(rule, {})
    except ValueError as error:
        return [Detail(("parameters", rule.duration_parameter or ""), str(error))]
    return [*check_content(rule), *_check_targets(rule), *check_group(rule)]


def check_content(rule: RuleContent) -> list[Detail]:
    """The findings about the rule itself, without its targets, parameters and group."""
    findings = check_expression(rule)
    if not 0 < len(rule.name) <= MAX_NAME:
        findings.append(Detail(("name",), f"must have 1 to {MAX_NAME} characters"))
    if rule.kind is Kind.RECORDING or rule.record is not None:
        findings += _check_kind(rule)
    findings += _check_label_names(("labels",), rule.labels)
    findings += _check_severity(rule)
    for name in rule.annotations:
        if (reason := _name_mistake(name)) is not None:
            findings.append(Detail(("annotations", name), reason))
    # Prometheus fills no templates in what it records.
    has_templates = rule.kind is Kind.ALERTING or rule.dialect is Dialect.METRICSQL
    findings += _check_texts(("labels",), rule.labels, rule.dialect, has_templates)
    findings += _check_texts(("annotations",), rule.annotations, rule.dialect, has_templates)
    if rule.update_entries_limit is not None and not -1 <= rule.update_entries_limit <= 10_000:
        findings.append(Detail(("update_entries_limit",), "must be between -1 and 10000"))
    return findings


def check_expression(rule: RuleContent) -> list[Detail]:
    """MetricsQL is a superset that no parser here knows: vmalert itself decides, in the sidecar."""
    if rule.group_options.type not in _METRIC_TYPES:
        if not rule.expression.strip() or len(rule.expression) > MAX_LENGTH:
            return [Detail(("expression",), f"the expression is empty or longer than {MAX_LENGTH} characters")]
        return []
    return check_promql(rule.expression) if rule.dialect is Dialect.PROMQL else check_balance(rule.expression)


def check_group(rule: RuleContent) -> list[Detail]:
    """The findings about what the rule wants of its group."""
    findings: list[Detail] = []
    if rule.group == RESERVED_GROUP:
        findings.append(Detail(("group",), f'the group "{RESERVED_GROUP}" is AlertAgent\'s own'))
    if len(rule.group) > MAX_GROUP_NAME:
        findings.append(Detail(("group",), f"longer than {MAX_GROUP_NAME} characters"))
    if rule.interval is not None and rule.interval < timedelta(milliseconds=1):
        findings.append(Detail(("interval",), "must be more than 0"))
    if rule.group_options is not _NO_OPTIONS and rule.group_options != _NO_OPTIONS:
        findings += _check_options(rule)
    return findings


def check_warnings(rule: RuleContent) -> list[Detail]:
    """What does not keep a rule from being stored, but may keep a server from running it as it was meant."""
    with suppress(ValueError):  # a duration that is none is a finding; the rest can be warned of
        rule = effective(rule, {})
    return [*content_warnings(rule), *group_warnings(rule)]


def content_warnings(rule: RuleContent) -> list[Detail]:
    """The warnings about the rule itself."""
    warnings: list[Detail] = []
    if rule.dialect is Dialect.METRICSQL:
        warnings.append(Detail(("expression",), "only vmalert can judge this expression"))
        if rule.kind is Kind.RECORDING:
            warnings += (Detail((name,), "vmalert ignores it in a recording rule") for name in _of_alerts(rule))
    else:
        if rule.record and not _METRIC_NAME.fullmatch(rule.record):
            warnings.append(Detail(("record",), _ONLY_PROMETHEUS_3))
        for field, names in (("labels", rule.labels), ("annotations", rule.annotations)):
            warnings += (Detail((field, name), _ONLY_PROMETHEUS_3) for name in names if not is_legacy_name(name))
    if rule.kind is Kind.ALERTING:
        for field, texts in (("labels", rule.labels), ("annotations", rule.annotations)):
            for name, text in texts.items():
                if "{{" in text:
                    warnings += (Detail((field, name), said) for said in text_warnings(text, rule.dialect))
    return warnings


def group_warnings(rule: RuleContent) -> list[Detail]:
    """The warnings about what the rule wants of its group."""
    if rule.dialect is Dialect.METRICSQL:
        return []
    names = rule.group_options.labels
    return [Detail(("group_options", "labels", name), _ONLY_PROMETHEUS_3) for name in names if not is_legacy_name(name)]


def _check_kind(rule: RuleContent) -> Iterator[Detail]:
    if rule.kind is Kind.ALERTING:
        yield Detail(("record",), "only a recording rule has one")
        return
    if not rule.record or not _is_printable_name(rule.record) or set("{}") & set(rule.record):
        yield Detail(("record",), "a recording rule needs the name of a metric here, such as job:errors:rate5m")
    if rule.dialect is Dialect.PROMQL:
        for name in _of_alerts(rule):
            yield Detail((name,), "a recording rule has none")


def _of_alerts(rule: RuleContent) -> list[str]:
    """The fields of this rule that mean something in alerts only."""
    return [name for name in ("duration", "keep_firing_for", "annotations") if getattr(rule, name)]


def _check_severity(rule: RuleContent) -> Iterator[Detail]:
    label = rule.labels.get("severity")
    if rule.severity is not None and label is not None and label != rule.severity:
        yield Detail(("severity",), f'the severity is "{rule.severity}" but the label says "{label}"')


def _check_label_names(loc: Loc, labels: Mapping[str, str]) -> Iterator[Detail]:
    for name in labels:
        if name == "__name__":
            yield Detail((*loc, name), "__name__ is the name of the metric, which no label may change")
        elif (reason := _name_mistake(name)) is not None:
            yield Detail((*loc, name), reason)


def _name_mistake(name: str) -> str | None:
    """Prometheus 3 takes any characters in a name; those that nobody can see are refused here all the same."""
    if _is_printable_name(name):
        return None
    return f"not a name: it is empty, longer than {MAX_NAME} characters, or has some that cannot be printed"


def _is_printable_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME and name.isprintable()


def _check_texts(loc: Loc, texts: Mapping[str, str], dialect: Dialect, has_templates: bool) -> Iterator[Detail]:
    """A template with a mistake keeps the whole file from being loaded."""
    for name, text in texts.items():
        if len(text) > MAX_TEXT:
            yield Detail((*loc, name), f"longer than {MAX_TEXT} characters")
        elif has_templates and "{{" in text and (mistake := check_text(text, dialect)) is not None:
            yield Detail((*loc, name), mistake.message, line=mistake.line, column=mistake.column)


def _check_targets(rule: RuleContent) -> Iterator[Detail]:
    for index, target in enumerate(rule.targets):
        try:
            check_target(target)
        except ValueError as error:
            yield Detail(("targets", index), f"neither a cluster's id nor a selector: {error}")


def _check_options(rule: RuleContent) -> Iterator[Detail]:
    options = rule.group_options
    yield from _check_label_names(("group_options", "labels"), options.labels)
    if options.type and options.type not in _METRIC_TYPES and rule.dialect is Dialect.PROMQL:
        yield _option("type", f'rules of the type "{options.type}" are for vmalert: their dialect must be metricsql')
    for name, most in (("limit", 2**31 - 1), ("concurrency", 10_000)):
        value = getattr(options, name)
        if value is not None and not 0 <= value <= most:
            yield _option(name, f"must be between 0 and {most}")
    if options.eval_offset is not None and options.eval_offset > (rule.interval or timedelta()):
        yield _option("eval_offset", "must not be more than the interval, which has to be given")
    for name in ("headers", "notifier_headers"):
        if any(":" not in header for header in getattr(options, name)):
            yield _option(name, "each must be written as Name: value")
    for name in ("type", "tenant"):
        value = getattr(options, name)
        if value is not None and not 0 < len(value) <= 50:
            yield _option(name, "must have 1 to 50 characters")


def _option(name: str, message: str) -> Detail:
    return Detail(("group_options", name), message)
