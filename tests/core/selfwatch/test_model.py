"""When somebody is told of a sidecar, and that he is told where to look."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from alertagent.core.alerts.model import AlertStatus
from alertagent.core.clusters.model import ConfigType
from alertagent.core.configs.model import Report, SidecarStatus, SyncStatus
from alertagent.core.selfwatch.model import DRIFT, FAILED, REJECTED, SILENT, Patience, alert_of, findings
from tests.core.configs.samples import NOON

WANTED, OLDER = "a" * 64, "b" * 64
PATIENCE = Patience(
    silent_after=timedelta(minutes=2), stale_after=timedelta(minutes=10), drift_shown_for=timedelta(minutes=15)
)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def make_sidecar(*, heard: float = 0, wanted: float = 60, drifted: float | None = None, **report: Any) -> SidecarStatus:
    """Numbers are minutes ago."""
    values: dict[str, Any] = {
        "cluster_id": "prod-bj",
        "config_type": ConfigType.PROMETHEUS,
        "instance": "prometheus-0",
        "status": SyncStatus.SUCCESS,
        "sync_time": NOON,
        "applied_hash": WANTED,
        "config_hash": WANTED,
        **report,
    }
    return SidecarStatus(
        report=Report(**values),
        received_at=NOON - minutes(heard),
        desired_hash=WANTED,
        desired_revision=1,
        desired_since=NOON - minutes(wanted),
        drifted_at=None if drifted is None else NOON - minutes(drifted),
    )


def failed(**values: Any) -> SidecarStatus:
    return make_sidecar(
        **{"status": SyncStatus.FAILED, "applied_hash": OLDER, "error_message": "it says why", **values}
    )


CASES: list[tuple[SidecarStatus, list[tuple[str, float]]]] = [
    (make_sidecar(), []),
    (make_sidecar(heard=1.9), []),
    (make_sidecar(heard=3), [(SILENT, 1)]),
    (failed(heard=3, error_class="check"), [(SILENT, 1)]),
    (failed(error_class="check", wanted=1), [(REJECTED, 1)]),
    (failed(error_class="check", rejected_hash=OLDER, config_hash=OLDER, wanted=1), []),
    (failed(error_class="unreachable", wanted=9), []),
    (failed(error_class="unreachable", wanted=11), [(FAILED, 1)]),
    (make_sidecar(applied_hash=OLDER, config_hash=OLDER, wanted=30), [(FAILED, 20)]),
    (make_sidecar(drifted=14), [(DRIFT, 14)]),
    (make_sidecar(drifted=16), []),
    (failed(error_class="check", wanted=5, drifted=1), [(REJECTED, 5), (DRIFT, 1)]),
]


@pytest.mark.parametrize(("sidecar", "expected"), CASES)
def test_what_is_wrong_and_since_when(sidecar: SidecarStatus, expected: list[tuple[str, float]]) -> None:
    found = findings(sidecar, NOON, PATIENCE, NOON - timedelta(days=1))

    assert [(finding.alertname, finding.since) for finding in found] == [(n, NOON - minutes(m)) for n, m in expected]


@pytest.mark.parametrize(("up_for", "expected"), [(1, []), (3, [SILENT])])
def test_silence_counts_from_when_somebody_was_there_to_hear(up_for: float, expected: list[str]) -> None:
    found = findings(make_sidecar(heard=600), NOON, PATIENCE, NOON - minutes(up_for))

    assert [finding.alertname for finding in found] == expected


def test_who_has_not_spoken_since_a_start_is_not_blamed_for_what_he_said_before() -> None:
    sidecar = failed(heard=1, error_class="check", drifted=2)

    assert findings(sidecar, NOON, PATIENCE, NOON - minutes(0.5)) == []
    assert len(findings(sidecar, NOON, PATIENCE, NOON - minutes(5))) == 2


def test_the_words_say_what_failed_and_where() -> None:
    (finding,) = findings(failed(error_class="check", checker="promtool"), NOON, PATIENCE, NOON - timedelta(days=1))

    alert = alert_of(failed(), finding, NOON, minutes(5), "http://aa/api/v1/config/status")

    assert alert.labels == {
        "alertname": REJECTED,
        "cluster": "prod-bj",
        "config_type": "prometheus",
        "instance": "prometheus-0",
        "severity": "critical",
    }
    assert alert.annotations["summary"] == (
        'The target of prometheus in cluster "prod-bj" (prometheus-0) refuses its configuration'
    )
    assert alert.annotations["description"].startswith("promtool says: it says why")
    assert (alert.status, alert.ends_at) == (AlertStatus.FIRING, NOON + minutes(5))


def test_the_same_finding_is_the_same_alert_at_any_time() -> None:
    def fingerprint(now: datetime) -> str:
        (finding,) = findings(make_sidecar(heard=30), now, PATIENCE, NOON - timedelta(days=1))
        return alert_of(make_sidecar(), finding, now, minutes(5), "").fingerprint

    assert fingerprint(NOON) == fingerprint(NOON + minutes(7))
