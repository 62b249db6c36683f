"""What a target of some type and version understands, and what becomes of a rule there. Pure.

A single field that Prometheus or vmalert does not know makes it refuse the whole file. So a field that a target is
too old for is left out; a rule that would mean something else without it, or that cannot be said there at all, is
held back whole. Either is noted, and the other rules go out.

Sources: the changelogs of Prometheus and of VictoriaMetrics; vmalert 1.79 and Prometheus 2.42 by trial.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from alertagent.core.clusters.model import ConfigType
from alertagent.core.rules.check import check_rule
from alertagent.core.rules.model import Dialect, GroupOptions, RuleContent
from alertagent.core.rules.parameters import effective
from alertagent.kernel.errors import Detail
from alertagent.kernel.labels import is_legacy_name

Version = tuple[int, int]

_NO_OPTIONS = GroupOptions()


class Feature(StrEnum):
    """What not every target has. The values are the names of the fields, where it is a field."""

    KEEP_FIRING_FOR = "keep_firing_for"
    DEBUG = "debug"
    UPDATE_ENTRIES_LIMIT = "update_entries_limit"
    LIMIT = "limit"
    QUERY_OFFSET = "query_offset"
    GROUP_LABELS = "labels"
    CONCURRENCY = "concurrency"
    PARAMS = "params"
    HEADERS = "headers"
    NOTIFIER_HEADERS = "notifier_headers"
    EVAL_OFFSET = "eval_offset"
    EVAL_DELAY = "eval_delay"
    EVAL_ALIGNMENT = "eval_alignment"
    GROUP_DEBUG = "debug of the group"
    TENANT = "tenant"
    METRICSQL = "MetricsQL"
    GRAPHITE = "graphite"
    LOGSQL = "vlogs"
    UTF8_NAMES = "names beyond letters, digits and _"


_ALWAYS: Version = (0, 0)

SINCE: Mapping[ConfigType, Mapping[Feature, Version]] = {
    ConfigType.PROMETHEUS: {
        Feature.LIMIT: (2, 31),
        Feature.KEEP_FIRING_FOR: (2, 42),
        Feature.QUERY_OFFSET: (2, 53),
        Feature.GROUP_LABELS: (3, 0),
        Feature.UTF8_NAMES: (3, 0),
    },
    ConfigType.VMALERT: {
        Feature.METRICSQL: _ALWAYS,
        Feature.UTF8_NAMES: _ALWAYS,
        Feature.GROUP_LABELS: _ALWAYS,
        Feature.CONCURRENCY: _ALWAYS,
        Feature.PARAMS: _ALWAYS,
        Feature.GRAPHITE: _ALWAYS,
        Feature.LIMIT: (1, 79),
        Feature.HEADERS: (1, 80),
        Feature.DEBUG: (1, 82),
        Feature.UPDATE_ENTRIES_LIMIT: (1, 86),
        Feature.NOTIFIER_HEADERS: (1, 91),
        Feature.KEEP_FIRING_FOR: (1, 92),
        Feature.EVAL_OFFSET: (1, 94),
        Feature.EVAL_DELAY: (1, 95),
        Feature.EVAL_ALIGNMENT: (1, 95),
        Feature.LOGSQL: (1, 106),
        Feature.GROUP_DEBUG: (1, 117),
    },
}

# What a target that has not told its version is taken for: the oldest releases that are supported.
OLDEST: Mapping[ConfigType, Version] = {ConfigType.PROMETHEUS: (2, 42), ConfigType.VMALERT: (1, 79)}

_NAMES = {ConfigType.PROMETHEUS: "Prometheus", ConfigType.VMALERT: "vmalert"}

# vmalert names itself `vmalert-20230812-173043-tags-v1.93.0-0-g1a2b3c`, Prometheus just `2.53.1`.
_VERSION = re.compile(r"(?:^|v)(\d{1,4})\.(\d{1,6})(?:\D|$)")
_ENTERPRISE = "enterprise"

# vmalert puts its environment in place of these before it reads the file, and refuses the file where it has none.
_ENVIRONMENT = re.compile(r"%\{[a-zA-Z_]")


@dataclass(frozen=True, slots=True)
class Gate:
    """A kind of target: what all instances of it that must read the same file understand."""

    config_type: ConfigType
    features: frozenset[Feature]

    def __contains__(self, feature: Feature) -> bool:
        return feature in self.features

    def why_not(self, feature: Feature) -> str:
        """`Prometheus knows query_offset since 2.53`, or that it never will."""
        name, since = _NAMES[self.config_type], SINCE[self.config_type].get(feature)
        if feature is Feature.TENANT and self.config_type is ConfigType.VMALERT:
            return "only the enterprise edition of vmalert knows tenant"
        if since is None:
            return f"{name} does not know {feature}"
        return f"{name} knows {feature} since {since[0]}.{since[1]}; this target is older or has not told its version"

    @property
    def signature(self) -> str:
        """The same for the same gates, in every release of ours that knows the same features."""
        return ",".join(sorted(self.features))


class Treatment(StrEnum):
    """What was done about something that a target does not understand."""

    OMITTED = "omitted"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A field that was left out of a rule on a target, or why the whole rule was."""

    kind: Treatment
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """A rule as one kind of target gets it; `content` is None where it is held back."""

    content: RuleContent | None
    notes: tuple[Note, ...] = ()


def gate_for(config_type: ConfigType, versions: Iterable[str | None]) -> Gate:
    """The gate for instances of these versions, as far as they told them: the oldest decides."""
    found = [_features(config_type, version) for version in versions] or [_features(config_type, None)]
    return Gate(config_type, frozenset.intersection(*found))


def fit(rule: RuleContent, values: Mapping[str, str], gate: Gate) -> Fitted:
    """The rule with a cluster's values for its parameters and without what the target does not understand."""
    if rule.parameters:
        if (misfit := misfit_of(rule, values)) is not None:
            return Fitted(None, (misfit,))
        rule = effective(rule, values)
    return _obstacle(rule, gate) or Fitted(rule, tuple(_omissions(rule, gate)))


def misfit_of(rule: RuleContent, values: Mapping[str, str]) -> Note | None:
    """What a cluster's values for its parameters break in a rule, if anything."""
    try:
        findings = check_rule(effective(rule, values)) if rule.parameters else []
    except ValueError as error:
        findings = [Detail(("duration",), str(error))]
    if not findings:
        return None
    field, message = ".".join(map(str, findings[0].loc)), findings[0].message
    return Note(
        kind=Treatment.QUARANTINED,
        field=field,
        message=f"with this cluster's parameters it is not valid: {field}: {message}",
    )


def version_of(text: str | None) -> Version | None:
    """Major and minor of what a target calls itself; None where that is no release."""
    match = _VERSION.search(text) if text else None
    return (int(match[1]), int(match[2])) if match else None


def _features(config_type: ConfigType, version: str | None) -> frozenset[Feature]:
    number = version_of(version) or OLDEST.get(config_type, _ALWAYS)
    found = {feature for feature, since in SINCE.get(config_type, {}).items() if number >= since}
    if config_type is ConfigType.VMALERT and version is not None and _ENTERPRISE in version:
        found.add(Feature.TENANT)
    return frozenset(found)


def _obstacle(rule: RuleContent, gate: Gate) -> Fitted | None:
    """Why the rule cannot be said to this target at all, if it cannot."""
    if rule.dialect is Dialect.METRICSQL and Feature.METRICSQL not in gate:
        return _held_back("dialect", "MetricsQL runs on vmalert only")
    if Feature.UTF8_NAMES not in gate and (name := _beyond_ascii(rule)) is not None:
        return _held_back(name, f"{gate.why_not(Feature.UTF8_NAMES)}, such as {name}")
    language = rule.group_options.type
    if language in {"graphite", "vlogs"} and Feature(language) not in gate:
        return _held_back("group_options.type", gate.why_not(Feature(language)))
    if rule.group_options.tenant is not None and Feature.TENANT not in gate:
        # Without it the rule would look at another tenant's data.
        return _held_back("group_options.tenant", gate.why_not(Feature.TENANT))
    if gate.config_type is ConfigType.VMALERT and (field := _with_environment(rule)) is not None:
        return _held_back(field, "vmalert would replace %{NAME} by its environment; write it in another way")
    return None


def _held_back(field: str, message: str) -> Fitted:
    return Fitted(None, (Note(kind=Treatment.QUARANTINED, field=field, message=message),))


def _beyond_ascii(rule: RuleContent) -> str | None:
    for names in (rule.labels, rule.annotations, rule.group_options.labels):
        for name in names:
            if not is_legacy_name(name):
                return name
    # A recording rule's name may have colons, too.
    return rule.record if rule.record and not is_legacy_name(rule.record.replace(":", "_")) else None


def _with_environment(rule: RuleContent) -> str | None:
    options = rule.group_options
    texts = {
        "name": [rule.name],
        "expression": [rule.expression],
        "record": [rule.record or ""],
        "labels": [*rule.all_labels, *rule.all_labels.values()],
        "annotations": [*rule.annotations, *rule.annotations.values()],
        "group": [rule.group],
        "group_options": [
            *options.labels.values(),
            *options.headers,
            *options.notifier_headers,
            *(value for values in options.params.values() for value in values),
        ],
    }
    found = (name for name, values in texts.items() if any("%{" in v and _ENVIRONMENT.search(v) for v in values))
    return next(found, None)


def _omissions(rule: RuleContent, gate: Gate) -> Iterator[Note]:
    for feature in _wanted(rule):
        if feature not in gate:
            yield Note(kind=Treatment.OMITTED, field=_field_of(feature), message=gate.why_not(feature))
        elif not may_say(rule, feature, gate):
            yield Note(kind=Treatment.OMITTED, field=_field_of(feature), message=_CONTRADICTIONS[feature])


def _wanted(rule: RuleContent) -> list[Feature]:
    options = rule.group_options
    wanted: tuple[tuple[Feature, object], ...] = (
        (Feature.KEEP_FIRING_FOR, rule.keep_firing_for),
        (Feature.DEBUG, rule.debug),
        (Feature.UPDATE_ENTRIES_LIMIT, rule.update_entries_limit),
    )
    if options != _NO_OPTIONS:
        wanted += (
            (Feature.QUERY_OFFSET, options.query_offset),
            (Feature.LIMIT, options.limit),
            (Feature.GROUP_LABELS, options.labels or None),
            (Feature.CONCURRENCY, options.concurrency),
            (Feature.PARAMS, options.params or None),
            (Feature.HEADERS, options.headers or None),
            (Feature.NOTIFIER_HEADERS, options.notifier_headers or None),
            (Feature.EVAL_OFFSET, options.eval_offset),
            (Feature.EVAL_DELAY, options.eval_delay),
            (Feature.EVAL_ALIGNMENT, options.eval_alignment),
            (Feature.GROUP_DEBUG, options.debug),
        )
    return [feature for feature, value in wanted if value is not None]


_RULE_FIELDS = {Feature.KEEP_FIRING_FOR, Feature.DEBUG, Feature.UPDATE_ENTRIES_LIMIT}
_CONTRADICTIONS = {
    Feature.EVAL_OFFSET: "vmalert wants an interval for the group that is longer than eval_offset",
    Feature.EVAL_DELAY: "vmalert takes either eval_offset or eval_delay",
}


def _field_of(feature: Feature) -> str:
    if feature in _RULE_FIELDS:
        return feature
    return "group_options.debug" if feature is Feature.GROUP_DEBUG else f"group_options.{feature}"


def may_say(rule: RuleContent, feature: Feature, gate: Gate) -> bool:
    """Whether a target is to get this: it must know it, and vmalert refuses group options that contradict others."""
    if feature not in gate:
        return False
    offset, interval = rule.group_options.eval_offset, rule.interval
    if feature is Feature.EVAL_OFFSET:
        return offset is not None and interval is not None and offset < interval
    return feature is not Feature.EVAL_DELAY or not may_say(rule, Feature.EVAL_OFFSET, gate)
