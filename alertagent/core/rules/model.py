"""What a rule is and how one version follows another. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from alertagent.kernel.durations import format_duration, parse_duration

DEFAULT_GROUP = "alertagent"

# The group of the marker with which every rule file ends; Prometheus refuses a file that has a group twice.
RESERVED_GROUP = "alertagent:meta"

# The source of a rule that a sidecar found where it runs, before the id of the cluster.
ADOPTED = "adopted:"

_VERSION = re.compile(r"v1\.0\.(0|[1-9][0-9]{0,8})")


class Kind(StrEnum):
    ALERTING = "alerting"
    RECORDING = "recording"


class Dialect(StrEnum):
    """What the expression is written in. MetricsQL is vmalert's superset of PromQL and goes to vmalert only."""

    PROMQL = "promql"
    METRICSQL = "metricsql"


class Status(StrEnum):
    """How far a rule has come on its way to its targets."""

    PENDING = "pending"
    ACTIVE = "active"
    ERROR = "error"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOptions:
    """What a rule wants of its group beside the interval; None and empty leave it to the target.

    Rules of one group that want different options form groups beside each other. `partial_response_strategy` is
    Thanos' and stands in PrometheusRule objects only. From `type` on they are vmalert's.
    """

    query_offset: timedelta | None = None
    limit: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    partial_response_strategy: str | None = None
    type: str | None = None
    concurrency: int | None = None
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    notifier_headers: tuple[str, ...] = ()
    eval_offset: timedelta | None = None
    eval_delay: timedelta | None = None
    eval_alignment: bool | None = None
    tenant: str | None = None
    debug: bool | None = None

    def document(self) -> dict[str, Any]:
        """As JSON, without what is left to the target."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: _plain(value) for name, value in values.items() if value not in (None, {}, ())}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From what `document` gave."""
        return cls(**{name: _read_option(name, value) for name, value in document.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleContent:
    """What people decide about a rule. Everything else follows from storing it.

    `parameters` are declared with their defaults; a cluster may set other values. `${name}` in the expression stands
    for the value of a declared one, and `duration_parameter` names the one that gives the duration.
    `debug` and `update_entries_limit` are vmalert's.
    """

    name: str
    kind: Kind = Kind.ALERTING
    record: str | None = None
    dialect: Dialect = Dialect.PROMQL
    expression: str
    duration: timedelta = timedelta()
    duration_parameter: str | None = None
    keep_firing_for: timedelta | None = None
    severity: str | None = None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    targets: tuple[str, ...] = ()
    group: str = DEFAULT_GROUP
    interval: timedelta | None = None
    group_options: GroupOptions = GroupOptions()
    parameters: Mapping[str, str] = field(default_factory=dict)
    debug: bool | None = None
    update_entries_limit: int | None = None
    notes: str = ""
    enabled: bool = True

    @property
    def all_labels(self) -> dict[str, str]:
        """The labels as the target gets them; the severity is one of them."""
        return {**self.labels, **({"severity": self.severity} if self.severity is not None else {})}

    def document(self) -> dict[str, Any]:
        """As JSON, for versions and the audit log."""
        values = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        return {**values, "group_options": self.group_options.document()}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From what `document` gave, in this release or another: what it lacks has its default."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: _read(name, value) for name, value in document.items() if name in known})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A stored rule. `position` orders rules within a group; only an import changes it.

    `source` names the import that owns the rule, and is empty for one that people keep here. A rule that was adopted
    has no owner yet: its source only says where it ran.
    """

    id: str
    content: RuleContent
    position: int
    revision: int
    created_by: str
    created_at: datetime
    updated_by: str
    updated_at: datetime
    source: str = ""

    @property
    def version(self) -> str:
        return version_name(self.revision)

    @property
    def is_owned(self) -> bool:
        return bool(self.source) and not self.source.startswith(ADOPTED)


def _plain(value: Any) -> Any:
    return format_duration(value) if isinstance(value, timedelta) else value


def _read(name: str, value: Any) -> Any:
    if name in {"duration", "keep_firing_for", "interval"} and value is not None:
        return parse_duration(value)
    match name:
        case "kind":
            return Kind(value)
        case "dialect":
            return Dialect(value)
        case "group_options":
            return GroupOptions.of(value)
        case "targets":
            return tuple(value)
    return value


def _read_option(name: str, value: Any) -> Any:
    if name in {"query_offset", "eval_offset", "eval_delay"}:
        return parse_duration(value)
    if name == "params":
        return {key: tuple(values) for key, values in value.items()}
    return tuple(value) if isinstance(value, list) else value


def version_name(revision: int) -> str:
    """`v1.0.0` for the first revision, then `v1.0.1` …"""
    return f"v1.0.{revision - 1}"


def revision_of(version: str) -> int | None:
    """The revision that has this name; None when none can have it."""
    match = _VERSION.fullmatch(version)
    return int(match[1]) + 1 if match else None
