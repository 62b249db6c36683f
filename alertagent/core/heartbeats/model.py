"""What a heartbeat is, and when it is missing. Pure.

A heartbeat expects alerts that some matchers fit, such as Prometheus' `Watchdog`, which always fires. It beats while
they come. One that never came counts from when the heartbeat was made or last changed: a watchdog that never arrives is
what somebody must hear of first.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from alertagent.core.alerts.model import AlertStatus, IncomingAlert
from alertagent.kernel.clock import rfc3339
from alertagent.kernel.durations import format_duration
from alertagent.kernel.errors import Detail, Invalid
from alertagent.kernel.labels import fingerprint
from alertagent.kernel.matchers import Operator, parse_matcher

ALERTNAME = "AlertAgentHeartbeatMissing"
SOURCE = "heartbeat"
OWN_LABELS = frozenset({"alertname", "heartbeat"})

# The alarm is repeated with every look; without that, as when its heartbeat is deleted, it ends after this.
KEPT_FOR = timedelta(minutes=5)


class State(StrEnum):
    WAITING = "waiting"
    BEATING = "beating"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    id: str
    name: str
    matchers: tuple[str, ...]
    interval: timedelta
    labels: Mapping[str, str]
    last_seen_at: datetime | None
    revision: int
    created_at: datetime
    updated_at: datetime

    @property
    def due_at(self) -> datetime:
        """When it counts as missing unless it comes before."""
        return max(self.last_seen_at or self.updated_at, self.updated_at) + self.interval

    def state(self, now: datetime) -> State:
        if now > self.due_at:
            return State.MISSING
        return State.WAITING if self.last_seen_at is None else State.BEATING

    @property
    def alarm_labels(self) -> Mapping[str, str]:
        labels = {"severity": "critical", **self.labels, "alertname": ALERTNAME, "heartbeat": self.name}
        return {name: value for name, value in labels.items() if value}

    @property
    def fingerprint(self) -> str:
        """Of its alarm."""
        return fingerprint(self.alarm_labels)


def checked(matchers: Sequence[str], labels: Collection[str]) -> None:
    """Raises Invalid with the place of what cannot be.

    At least one matcher names a value: a heartbeat that everything fits would never be missed.
    """
    findings = []
    parsed = []
    for index, text in enumerate(matchers):
        try:
            parsed.append(parse_matcher(text))
        except ValueError as error:
            findings.append(Detail(("matchers", index), str(error)))
    if not findings and not any(each.operator is Operator.EQUAL and each.value for each in parsed):
        findings.append(Detail(("matchers",), 'one of them must name a value, such as alertname="Watchdog"'))
    findings += [
        Detail(("labels", name), "is set by the heartbeat itself") for name in sorted(OWN_LABELS & set(labels))
    ]
    if findings:
        first = findings[0]
        message = f"{'.'.join(map(str, first.loc))}: {first.message}"
        raise Invalid(message, code="heartbeat.invalid", details=findings)


def alarm(heartbeat: Heartbeat, now: datetime) -> IncomingAlert:
    """The alert that tells of a missing heartbeat, or of its return."""
    is_missing = heartbeat.state(now) is State.MISSING
    since = rfc3339(heartbeat.last_seen_at) if heartbeat.last_seen_at is not None else "it was set up"
    every = format_duration(heartbeat.interval)
    return IncomingAlert(
        fingerprint=heartbeat.fingerprint,
        status=AlertStatus.FIRING if is_missing else AlertStatus.RESOLVED,
        labels=heartbeat.alarm_labels,
        annotations={
            "summary": f"Heartbeat {heartbeat.name} is missing",
            "description": f"Nothing that fits {', '.join(heartbeat.matchers)} has come since {since}, though "
            f"something should at least every {every}. Whatever sends it, or the way from there to here, is broken: "
            "other alerts may not arrive either.",
        },
        generator_url="",
        source=SOURCE,
        starts_at=min(heartbeat.due_at, now),
        ends_at=now + KEPT_FOR if is_missing else now,
    )
