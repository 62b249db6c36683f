"""Analyzers, the policy and runs as they are kept. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from alertagent.core.alerts.model import Alert, AnalysisStatus
from alertagent.core.alerts.service import Episode
from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import Matcher, parse_matcher
from alertagent.kernel.message import MessageAlert

LONGEST_HOLD = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzerSetup:
    """A plugin with its settings, secrets included: it is shown only through its plugin's mask.

    `unreadable` says why the settings do not open, where that is so; then there are none.
    """

    id: str
    name: str
    provider: str
    config: Mapping[str, Any] = field(repr=False)
    enabled: bool
    is_default: bool
    revision: int
    created_at: datetime
    updated_at: datetime
    unreadable: str | None = None


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Which alerts are analysed, how often, and how long a notification may wait for it.

    `max_per_hour` counts what somebody may bill; what is free has no limit.
    """

    filter: tuple[str, ...] = ('severity=~"critical|warning"',)
    hold: timedelta = timedelta()
    max_per_hour: int = 60
    revision: int = 0
    updated_by: str | None = None
    updated_at: datetime | None = None

    @cached_property
    def matchers(self) -> Sequence[Matcher]:
        return [parse_matcher(text) for text in self.filter]

    def wants(self, labels: Labels) -> bool:
        return all(matcher.matches(labels) for matcher in self.matchers)

    def revised(self, changes: Mapping[str, Any]) -> "Policy":
        return replace(self, **changes)

    def as_json(self) -> dict[str, Any]:
        return {
            "filter": list(self.filter),
            "hold_seconds": self.hold.total_seconds(),
            "max_per_hour": self.max_per_hour,
        }


class RunStatus(StrEnum):
    """`parked`: the provider will answer by callback. `dropped`: its alerts have begun anew meanwhile."""

    OPEN = "open"
    PARKED = "parked"
    ANALYZED = "analyzed"
    FAILED = "failed"
    DROPPED = "dropped"


# What the alerts of a run are told of its end.
ALERT_STATUS: Mapping[RunStatus, AnalysisStatus] = {
    RunStatus.ANALYZED: AnalysisStatus.ANALYZED,
    RunStatus.FAILED: AnalysisStatus.FAILED,
    RunStatus.DROPPED: AnalysisStatus.PENDING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One question to an analyzer about some episodes, the first of which stands for all."""

    id: str
    group_key: str
    analyzer_id: str | None
    status: RunStatus
    notes: Mapping[str, str]
    callback_digest: bytes | None
    called_back: bool
    deadline: datetime
    episodes: tuple[Episode, ...]

    @property
    def is_over(self) -> bool:
        return self.status not in {RunStatus.OPEN, RunStatus.PARKED}


def still_meant(run: RunRecord, alerts: Sequence[Alert]) -> list[Alert]:
    """Those of the run's alerts that are in the episode that it is about, in its order."""
    known = {(alert.fingerprint, alert.episode): alert for alert in alerts}
    return [known[episode] for episode in run.episodes if episode in known]


def message_alert(alert: Alert) -> MessageAlert:
    return MessageAlert(
        fingerprint=alert.fingerprint,
        status=alert.status,
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=None if alert.is_firing else alert.ends_at,
        generator_url=alert.generator_url,
    )
