"""What is wrong with the sidecars, as alerts for a person at 3 a.m. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from alertagent.core.alerts.model import Alert, AlertStatus, IncomingAlert
from alertagent.core.configs.model import SidecarStatus
from alertagent.kernel.durations import format_duration
from alertagent.kernel.labels import fingerprint

SOURCE = "alertagent"

SILENT, REJECTED, FAILED, DRIFT = (
    "AlertAgentSidecarSilent",
    "AlertAgentConfigRejected",
    "AlertAgentSyncFailed",
    "AlertAgentConfigDrift",
)
NAMES = (SILENT, REJECTED, FAILED, DRIFT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long each state may last before somebody is told, and how long a drift is told of."""

    silent_after: timedelta
    stale_after: timedelta
    drift_shown_for: timedelta


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with one sidecar since some time."""

    alertname: str
    severity: str
    since: datetime
    summary: str
    description: str


def findings(sidecar: SidecarStatus, now: datetime, patience: Patience, heard_since: datetime) -> list[Finding]:
    """What is wrong with this sidecar. What it could not tell before anybody was there to hear does not count."""
    last_heard = max(sidecar.received_at, heard_since)
    if now - last_heard > patience.silent_after:
        return [_silence(sidecar, last_heard + patience.silent_after)]
    if sidecar.received_at < heard_since:
        return []
    return [*_failure(sidecar, now, patience), *_drift(sidecar, now, patience)]


def _silence(sidecar: SidecarStatus, since: datetime) -> Finding:
    return Finding(
        SILENT,
        "critical",
        since,
        f"The sidecar of {_place(sidecar)} is silent",
        f"It has not reported since {_moment(sidecar.received_at)}. Changed rules do not reach its target, and the "
        "target itself may be down. Look whether the sidecar runs, what it logs, and whether it reaches this server.",
    )


def _failure(sidecar: SidecarStatus, now: datetime, patience: Patience) -> Iterator[Finding]:
    report, words = sidecar.report, _shortened(sidecar.report.error_message)
    if sidecar.refuses_desired:
        yield Finding(
            REJECTED,
            "critical",
            sidecar.desired_since or sidecar.received_at,
            f"The target of {_place(sidecar)} refuses its configuration",
            f"{report.checker or 'The target'} says: {words} The last good configuration goes on running. Mend what is "
            "named there; the next configuration is tried at once.",
        )
    elif sidecar.desired_since is not None and not sidecar.is_current:
        late = sidecar.desired_since + patience.stale_after
        if now > late:
            yield Finding(
                FAILED,
                "warning",
                late,
                f"The target of {_place(sidecar)} does not run its configuration",
                f"It has been wanted for more than {format_duration(patience.stale_after)} and has come as far as "
                f'"{sidecar.phase}". The sidecar says: {words}',
            )


def _drift(sidecar: SidecarStatus, now: datetime, patience: Patience) -> Iterator[Finding]:
    if sidecar.drifted_at is not None and now - sidecar.drifted_at < patience.drift_shown_for:
        yield Finding(
            DRIFT,
            "warning",
            sidecar.drifted_at,
            f"Somebody changed the configuration file of {_place(sidecar)}",
            "The sidecar has put it right. Whatever writes this file, a person or a program, will lose its changes; "
            "make them in AlertAgent, or give the sidecar a file of its own.",
        )


def alert_of(sidecar: SidecarStatus, finding: Finding, now: datetime, lasts: timedelta, url: str) -> IncomingAlert:
    """The finding as an alert that fires until it is repeated or this time has passed."""
    report = sidecar.report
    labels = {
        "alertname": finding.alertname,
        "cluster": report.cluster_id,
        "config_type": str(report.config_type),
        "instance": report.instance,
        "severity": finding.severity,
    }
    return IncomingAlert(
        fingerprint=fingerprint(labels),
        status=AlertStatus.FIRING,
        labels=labels,
        annotations={"summary": finding.summary, "description": finding.description},
        generator_url=url,
        source=SOURCE,
        starts_at=min(finding.since, now),
        ends_at=now + lasts,
    )


def ended(alert: Alert, now: datetime) -> IncomingAlert:
    """The end of one of these alerts: what it told of is over."""
    return IncomingAlert(
        fingerprint=alert.fingerprint,
        status=AlertStatus.RESOLVED,
        labels=alert.labels,
        annotations=alert.annotations,
        generator_url=alert.generator_url,
        source=SOURCE,
        starts_at=alert.starts_at,
        ends_at=now,
    )


def _place(sidecar: SidecarStatus) -> str:
    report = sidecar.report
    return f'{report.config_type} in cluster "{report.cluster_id}" ({report.instance})'


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _shortened(words: str | None) -> str:
    return (words or "nothing").strip()[:500]
