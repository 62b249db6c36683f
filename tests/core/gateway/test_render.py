"""The JSON of alerts and groups."""

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest

from alertagent.core.gateway import render
from alertagent.core.gateway.model import Standing
from tests.core.gateway.samples import NOON, alert, make


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 11, 28, 3, 42, 41, 308_999, UTC), "2026-11-28T03:42:41.308Z"),
        (datetime(2026, 11, 28, 3, 42, 41, 0, UTC), "2026-11-28T03:42:41.000Z"),
        (datetime(2026, 11, 28, 3, 42, tzinfo=timezone(timedelta(hours=8))), "2026-11-27T19:42:00.000Z"),
    ],
)
def test_times_are_in_milliseconds_and_utc(at: datetime, text: str) -> None:
    assert render.moment(at) == text


def test_an_alert_has_everything_that_clients_read() -> None:
    told = make(
        fingerprint="c4af8974254f7d9c",
        labels={"alertname": "DiskFull", "team": "运维"},
        annotations={"summary": "the disk is full"},
        generator_url="http://prometheus/graph",
        last_seen_at=NOON + timedelta(minutes=1),
    )

    assert orjson.loads(render.alert(told, Standing(inhibited_by=["efb7325833e521ca"]), ["a", "b"])) == {
        "annotations": {"summary": "the disk is full"},
        "endsAt": "2026-11-28T12:05:00.000Z",
        "fingerprint": "c4af8974254f7d9c",
        "generatorURL": "http://prometheus/graph",
        "labels": {"alertname": "DiskFull", "team": "运维"},
        "receivers": [{"name": "a"}, {"name": "b"}],
        "startsAt": "2026-11-28T12:00:00.000Z",
        "status": {"inhibitedBy": ["efb7325833e521ca"], "mutedBy": [], "silencedBy": [], "state": "suppressed"},
        "updatedAt": "2026-11-28T12:01:00.000Z",
    }


def test_without_a_generator_nothing_is_said_of_it() -> None:
    assert "generatorURL" not in orjson.loads(render.alert(alert(), Standing(), ["a"]))


@pytest.mark.parametrize(
    ("standing", "muted_by", "state"),
    [
        (Standing(), (), "active"),
        (Standing(), ("nights",), "suppressed"),
        (Standing(silenced_by=["s"]), (), "suppressed"),
        (Standing(inhibited_by=["f"]), ("nights",), "suppressed"),
    ],
)
def test_whatever_holds_an_alert_back_suppresses_it(standing: Standing, muted_by: tuple[str, ...], state: str) -> None:
    status = orjson.loads(render.alert(alert(), standing, ["a"], muted_by))["status"]

    assert status == {
        "state": state,
        "silencedBy": list(standing.silenced_by),
        "inhibitedBy": list(standing.inhibited_by),
        "mutedBy": list(muted_by),
    }


def test_a_group_takes_alerts_as_they_are_written() -> None:
    assert orjson.loads(render.group({}, "a", [])) == {"labels": {}, "receiver": {"name": "a"}, "alerts": []}
    assert orjson.loads(render.group({"b": "c"}, 'q"', [b"1", b"2"])) == {
        "labels": {"b": "c"},
        "receiver": {"name": 'q"'},
        "alerts": [1, 2],
    }
