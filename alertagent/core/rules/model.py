"""What a rule is and how one version follows another. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from alertagent.kernel.durations import format_duration

DEFAULT_GROUP = "alertagent"

# The group of the marker with which every rule file ends; Prometheus refuses a file that has a group twice.
RESERVED_GROUP = "alertagent:meta"


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
class RuleContent:
    """What people decide about a rule. Everything else follows from storing it."""

    name: str
    kind: Kind = Kind.ALERTING
    record: str | None = None
    dialect: Dialect = Dialect.PROMQL
    expression: str
    duration: timedelta = timedelta()
    keep_firing_for: timedelta | None = None
    severity: str | None = None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    targets: tuple[str, ...] = ()
    group: str = DEFAULT_GROUP
    interval: timedelta | None = None
    enabled: bool = True

    @property
    def all_labels(self) -> dict[str, str]:
        """The labels as the target gets them; the severity is one of them."""
        return {**self.labels, **({"severity": self.severity} if self.severity is not None else {})}

    def document(self) -> dict[str, Any]:
        """As JSON, for versions and the audit log."""
        values = {field.name: getattr(self, field.name) for field in fields(RuleContent)}
        return {
            name: format_duration(value) if isinstance(value, timedelta) else value for name, value in values.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A stored rule. `position` orders rules within a group and never changes."""

    id: str
    content: RuleContent
    position: int
    revision: int
    created_by: str
    created_at: datetime
    updated_by: str
    updated_at: datetime

    @property
    def version(self) -> str:
        return version_name(self.revision)


def version_name(revision: int) -> str:
    """`v1.0.0` for the first revision, then `v1.0.1` …"""
    return f"v1.0.{revision - 1}"
