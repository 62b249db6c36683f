"""Channels, groups and deliveries as they are kept. Pure."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

from alertagent.kernel.clock import rfc3339
from alertagent.kernel.language import Language
from alertagent.kernel.record import record


@record
class Channel:
    """A plugin with its settings, secrets included: a channel is shown only through its plugin's mask.

    Without a language its readers speak that of its plugin; `template` is the name of one.
    `unreadable` says why the settings do not open, where that is so; then there are none.
    """

    id: str
    name: str
    plugin_name: str
    config: Mapping[str, Any] = field(repr=False)
    enabled: bool
    is_default: bool
    fallback: tuple[str, ...]
    user_id: str | None
    paused_until: datetime | None
    revision: int
    created_at: datetime
    updated_at: datetime
    min_severity: str | None = None
    quiet_hours: Mapping[str, Any] | None = None
    pool: tuple[str, ...] = ()
    unreadable: str | None = None
    language: Language | None = None
    template: str | None = None


# The receiver of a delivery that tells of alerts which nobody acknowledged.
ESCALATION = "escalation"
# The receiver of a delivery that tells of alerts which were assigned to the owner of its channel.
ASSIGNMENT = "assignment"
# The receiver of a delivery that tells late what several others were to tell.
DIGEST = "digest"


class DeliveryStatus(StrEnum):
    """`cancelled`: the channel was switched off before it could be told."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"


@record
class PlannedAlert:
    """One alert of a delivery, as it was when the delivery was planned.

    It is no news where it is only repeated beside something new, because messages tell of a group as a whole.
    """

    fingerprint: str
    episode: int
    status: str
    starts_at: datetime
    ends_at: datetime | None
    is_news: bool = True

    @property
    def key(self) -> str:
        return f"{self.fingerprint}/{self.episode}"

    def as_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "fingerprint": self.fingerprint,
            "episode": self.episode,
            "status": self.status,
            "starts_at": rfc3339(self.starts_at),
            "ends_at": None if self.ends_at is None else rfc3339(self.ends_at),
            **({} if self.is_news else {"is_news": False}),
        }


@record
class Delivery:
    """One channel is to be told of one group, or by a digest of several. Its id stays the same on every attempt."""

    id: str
    channel_id: str
    group_key: str
    receiver: str
    group_labels: Mapping[str, str]
    alerts: tuple[PlannedAlert, ...]
    due_at: datetime
    created_at: datetime
    updated_at: datetime
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    parts_sent: int = 0
    is_ambiguous: bool = False
    provider_code: str = ""
    provider_message: str = ""
    message_id: str | None = None
    latency_ms: int | None = None
    digest_id: str | None = None
    stands_in_for: str | None = None
    fallback: tuple[str, ...] = ()
    sent_by: str | None = None
    thread: str | None = None
    template_error: str = ""
    assigned_by: str | None = None

    @property
    def is_digest(self) -> bool:
        return self.receiver == DIGEST

    @property
    def is_on_its_own(self) -> bool:
        """Whether no group looks what its channel must hear next."""
        return not self.is_digest and (self.stands_in_for is not None or is_outside_groups(self.group_key))


def is_outside_groups(key: str) -> bool:
    """Whether this is the key of no group, but of what an escalation, an assignment or a digest tells."""
    return key.startswith((f"{ESCALATION}:", f"{ASSIGNMENT}:", f"{DIGEST}:"))
