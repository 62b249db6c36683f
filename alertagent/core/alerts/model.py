"""An alert as it comes in and as it is kept. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from alertagent.kernel.record import record

# An alert that began to fire this often within this span comes and goes.
FLAPPING_FROM, FLAPPING_WITHIN = 3, timedelta(hours=1)


class AlertStatus(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


class AnalysisStatus(StrEnum):
    PENDING = "pending"
    ANALYZING = "analyzing"
    ANALYZED = "analyzed"
    FAILED = "failed"


class NotificationStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


@dataclass(slots=True, kw_only=True)
class IncomingAlert:
    """One alert of a post, understood; nobody changes it, but a frozen one takes thrice as long to make.

    `ends_at` is when it ended, or, while it fires, when silence will count as its end. `trace` is that of its post.
    """

    fingerprint: str
    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    generator_url: str
    source: str
    starts_at: datetime
    ends_at: datetime
    trace: str | None = field(default=None, compare=False)


@record
class Alert:
    """A stored alert in its current or last episode."""

    fingerprint: str
    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    generator_url: str
    source: str
    starts_at: datetime
    ends_at: datetime
    last_seen_at: datetime
    updated_at: datetime
    fired_at: datetime
    episode: int
    analysis_status: AnalysisStatus
    analysis_result: Mapping[str, Any] | None
    task_id: str | None
    notification_status: NotificationStatus
    acknowledged_by: str | None
    assigned_to: str | None = None

    @property
    def key(self) -> str:
        """This episode of this alert: acknowledgement, analysis and deliveries belong to it."""
        return f"{self.fingerprint}/{self.episode}"

    @property
    def is_firing(self) -> bool:
        return self.status is AlertStatus.FIRING

    @property
    def severity(self) -> str:
        return self.labels.get("severity", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """Something that happened to an alert in one of its episodes."""

    id: int
    fingerprint: str
    episode: int
    kind: str
    at: datetime
    actor: str
    detail: Mapping[str, Any]
