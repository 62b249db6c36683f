"""When a heartbeat is missing, and what cannot be one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alertagent.core.alerts.model import AlertStatus
from alertagent.core.heartbeats.model import Heartbeat, State, alarm, checked
from alertagent.kernel.errors import Invalid
from alertagent.kernel.labels import fingerprint

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def heartbeat(seen: float | None = None, **values: Any) -> Heartbeat:
    """Made at noon, and due every ten minutes."""
    defaults: dict[str, Any] = {
        "id": "h",
        "name": "prod",
        "matchers": ('alertname="Watchdog"',),
        "interval": timedelta(minutes=10),
        "labels": {},
        "last_seen_at": at(seen) if seen is not None else None,
        "revision": 1,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Heartbeat(**{**defaults, **values})


@pytest.mark.parametrize(
    ("seen", "now", "state"),
    [
        (None, 0, State.WAITING),
        (None, 10, State.WAITING),
        (None, 10.01, State.MISSING),
        (5, 15, State.BEATING),
        (5, 15.01, State.MISSING),
        # What came before it was made, or changed, says nothing about the time since.
        (-60, 9, State.BEATING),
        (-60, 11, State.MISSING),
    ],
)
def test_the_state_of_a_heartbeat(seen: float | None, now: float, state: State) -> None:
    assert heartbeat(seen).state(at(now)) is state


def test_the_alarm_fires_from_when_it_was_due_and_ends_when_it_is_back() -> None:
    missing, back = alarm(heartbeat(5), at(20)), alarm(heartbeat(19), at(20))

    assert (missing.status, missing.starts_at, missing.ends_at) == (AlertStatus.FIRING, at(15), at(25))
    assert (back.status, back.ends_at, back.fingerprint) == (AlertStatus.RESOLVED, at(20), missing.fingerprint)
    assert missing.fingerprint == fingerprint(missing.labels)
    assert missing.labels == {"alertname": "AlertAgentHeartbeatMissing", "heartbeat": "prod", "severity": "critical"}
    assert "since 2026-11-22T12:05:00" in missing.annotations["description"]
    assert "every 10m" in missing.annotations["description"]
    assert "since it was set up" in alarm(heartbeat(), at(20)).annotations["description"]


def test_labels_of_its_own_go_with_the_alarm() -> None:
    labels = alarm(heartbeat(labels={"severity": "", "team": "db"}), at(20)).labels

    assert labels == {"alertname": "AlertAgentHeartbeatMissing", "heartbeat": "prod", "team": "db"}


@pytest.mark.parametrize(
    ("matchers", "labels", "place"),
    [
        (['alertname="Watchdog"', 'cluster=~"a|b"'], {}, None),
        (["alertname"], {}, ("matchers", 0)),
        (['a="b"', 'c=~"("'], {}, ("matchers", 1)),
        (['alertname=~"Watch.*"'], {}, ("matchers",)),
        (['alertname!="x"', 'cluster=""'], {}, ("matchers",)),
        (['alertname="Watchdog"'], {"alertname": "x"}, ("labels", "alertname")),
        (['alertname="Watchdog"'], {"heartbeat": "x"}, ("labels", "heartbeat")),
    ],
)
def test_what_cannot_be_a_heartbeat(matchers: list[str], labels: dict[str, str], place: tuple[str, ...] | None) -> None:
    if place is None:
        checked(matchers, labels)
        return
    with pytest.raises(Invalid) as refused:
        checked(matchers, labels)
    assert refused.value.details[0].loc == place
