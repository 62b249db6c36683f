"""Rules as a file that a person can read and that Prometheus, vmalert or the Prometheus Operator takes. Pure."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum

from alertagent.core.rules.model import GroupOptions, Kind, RuleContent
from alertagent.core.rules.parameters import effective
from alertagent.kernel.durations import format_duration
from alertagent.kernel.errors import Invalid
from alertagent.kernel.yaml_text import comment, key, scalar

# Fields that the custom resource PrometheusRule has not: its API server would drop or refuse them.
_VMALERT_GROUP = (
    "type",
    "concurrency",
    "params",
    "headers",
    "notifier_headers",
    "eval_offset",
    "eval_delay",
    "eval_alignment",
    "tenant",
    "debug",
)
_VMALERT_RULE = ("debug", "update_entries_limit")
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class Format(StrEnum):
    """A rule file as Prometheus and vmalert load it, or the object of the Prometheus Operator around one."""

    PROMETHEUS = "prometheus"
    PROMETHEUSRULE = "prometheusrule"


def write_rules(rules: Iterable[RuleContent], format: Format = Format.PROMETHEUS, *, name: str = "alertagent") -> bytes:
    """The file with these rules, each group where its first rule stands. Parameters get their defaults.

    `name` is that of the PrometheusRule object. Raises Invalid when the format cannot say what a rule needs.
    """
    groups = group_rules(effective(rule, {}) for rule in rules)
    if format is Format.PROMETHEUS:
        return "".join(_groups(groups, in_object=False)).encode()
    _check_object(name, groups)
    lines = "".join(_groups(groups, in_object=True)).splitlines(keepends=True)
    head = f"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: {scalar(name, 4)}\nspec:\n"
    return (head + "".join(f"  {line}" if line.strip() else line for line in lines)).encode()


def group_rules(rules: Iterable[RuleContent]) -> dict[str, list[RuleContent]]:
    """Rules by group, groups in the order of their first rule, each with one interval and one set of options.

    Rules of one group that want something else than its first rule form a group beside it: `node/2`, `node/3`.
    """
    chosen = list(rules)
    taken = {rule.group for rule in chosen}
    groups: dict[str, list[RuleContent]] = {}
    beside: dict[str, list[str]] = {}
    for rule in chosen:
        names = beside.setdefault(rule.group, [rule.group])
        name = next((name for name in names if _fits(groups.get(name), rule)), None)
        if name is None:
            name = _free_name(rule.group, taken)
            taken.add(name)
            names.append(name)
        groups.setdefault(name, []).append(rule)
    return groups


def _fits(members: Sequence[RuleContent] | None, rule: RuleContent) -> bool:
    if not members:
        return True
    return (members[0].interval, members[0].group_options) == (rule.interval, rule.group_options)


def _free_name(group: str, taken: Collection[str]) -> str:
    number = 2
    while f"{group}/{number}" in taken:
        number += 1
    return f"{group}/{number}"


def _check_object(name: str, groups: Mapping[str, Sequence[RuleContent]]) -> None:
    if len(name) > 253 or not _OBJECT_NAME.fullmatch(name):
        raise Invalid(f'"{name[:260]}" is no name of a Kubernetes object: small letters, digits, "-" and "." make one')
    for rule in (rule for members in groups.values() for rule in members):
        options = [field for field in _VMALERT_GROUP if getattr(rule.group_options, field) not in (None, {}, ())]
        own = [field for field in _VMALERT_RULE if getattr(rule, field) is not None]
        if options or own:
            raise Invalid(
                f'a PrometheusRule has no field "{(options or own)[0]}", which the rule "{rule.name}" of the group '
                f'"{rule.group}" needs; write a rule file for vmalert instead',
                code="rule.not_expressible",
            )


def _groups(groups: Mapping[str, Sequence[RuleContent]], *, in_object: bool) -> Iterator[str]:
    if not groups:
        yield "groups: []\n"
        return
    yield "groups:\n"
    for name, members in groups.items():
        yield f"- name: {scalar(name, 4)}\n"
        if members[0].interval is not None:
            yield f"  interval: {format_duration(members[0].interval)}\n"
        yield from _options(members[0].group_options, in_object=in_object)
        yield "  rules:\n"
        for rule in members:
            yield from _rule(rule)


def _options(options: GroupOptions, *, in_object: bool) -> Iterator[str]:
    yield from _plain(2, "query_offset", options.query_offset)
    yield from _plain(2, "limit", options.limit)
    if in_object:
        yield from _plain(2, "partial_response_strategy", options.partial_response_strategy)
    yield from _mapping(2, "labels", options.labels)
    yield from _plain(2, "type", options.type)
    yield from _plain(2, "concurrency", options.concurrency)
    if options.params:
        yield "  params:\n"
        for name, values in sorted(options.params.items()):
            yield from _list(4, key(name), values) if values else (f"    {key(name)}: []\n",)
    yield from _list(2, "headers", options.headers)
    yield from _list(2, "notifier_headers", options.notifier_headers)
    for field in ("eval_offset", "eval_delay", "eval_alignment", "tenant", "debug"):
        yield from _plain(2, field, getattr(options, field))


def _rule(rule: RuleContent) -> Iterator[str]:
    if rule.notes:
        yield comment(rule.notes, 2)
    if rule.kind is Kind.RECORDING:
        yield f"  - record: {scalar(rule.record or '', 6)}\n"
    else:
        yield f"  - alert: {scalar(rule.name, 6)}\n"
    yield f"    expr: {scalar(rule.expression, 6)}\n"
    yield from _plain(4, "for", rule.duration or None)
    yield from _plain(4, "keep_firing_for", rule.keep_firing_for or None)
    yield from _plain(4, "debug", rule.debug)
    yield from _plain(4, "update_entries_limit", rule.update_entries_limit)
    yield from _mapping(4, "labels", rule.all_labels)
    yield from _mapping(4, "annotations", rule.annotations)


def _plain(indent: int, name: str, value: timedelta | bool | int | str | None) -> Iterator[str]:
    """One field with a single value, if there is any."""
    if value is None:
        return
    if isinstance(value, timedelta):
        text = format_duration(value)
    elif isinstance(value, str):
        text = scalar(value, indent + 2)
    else:
        text = str(value).lower()
    yield f"{' ' * indent}{name}: {text}\n"


def _mapping(indent: int, name: str, values: Mapping[str, str]) -> Iterator[str]:
    if values:
        yield f"{' ' * indent}{name}:\n"
        for label, value in sorted(values.items()):
            yield f"{' ' * (indent + 2)}{key(label)}: {scalar(value, indent + 4)}\n"


def _list(indent: int, name: str, values: Sequence[str]) -> Iterator[str]:
    if values:
        yield f"{' ' * indent}{name}:\n"
        for value in values:
            yield f"{' ' * indent}- {scalar(value, indent + 2)}\n"
