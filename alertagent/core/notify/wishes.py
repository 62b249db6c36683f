"""What the owner of a channel wants to hear of: from which severity on, and at which hours. Pure.

Alerts are held back from one channel by that, and not from others that hear of the same group. An escalation and a
message in place of another channel's heed none of it: nobody would be told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alertagent.core.notify.quiet import QuietHours, read_quiet_hours
from alertagent.core.routing.stages import Drop, Stage
from alertagent.kernel.labels import Labels
from alertagent.kernel.urgency import Urgency, urgency_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """None: it wants to hear of anything, or at any time."""

    min_severity: str | None = None
    quiet_hours: QuietHours | None = None

    def is_below(self, labels: Labels) -> bool:
        """Whether it is never told of such an alert."""
        return self.min_severity is not None and _urgency(labels) < _level(self.min_severity)

    def drop(self, labels: Labels, now: datetime) -> Drop | None:
        """What holds such an alert back from it now, and the setting that does."""
        if self.min_severity is not None and self.is_below(labels):
            return Drop(Stage.BELOW_MINIMUM, (self.min_severity,))
        quiet = self.quiet_hours
        if quiet is None or not quiet.covers(now):
            return None
        if quiet.except_severity is not None and _urgency(labels) >= _level(quiet.except_severity):
            return None
        return Drop(Stage.QUIET_HOURS, (str(quiet),))


def wishes_of(min_severity: str | None, quiet_hours: Mapping[str, Any] | None) -> Wishes | None:
    """None where a channel wants to hear of everything at any time."""
    if min_severity is None and quiet_hours is None:
        return None
    return Wishes(min_severity=min_severity, quiet_hours=read_quiet_hours(quiet_hours))


def _urgency(labels: Labels) -> Urgency:
    return urgency_of(labels.get("severity", ""))


def _level(severity: str) -> Urgency:
    return Urgency[severity.upper()]
