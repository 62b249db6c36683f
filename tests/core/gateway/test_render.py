"""What is said of an alert, and the beginning of a group."""

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest

from alertagent.core.gateway import render
from alertagent.core.gateway.model import Standing


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


def test_what_is_said_of_an_alert_stands_before_its_labels() -> None:
    head = render.head(["a", "b"], Standing(inhibited_by=["efb7325833e521ca"]))

    assert orjson.loads(head + b'{"team":"db"}}') == {
        "receivers": [{"name": "a"}, {"name": "b"}],
        "status": {"inhibitedBy": ["efb7325833e521ca"], "mutedBy": [], "silencedBy": [], "state": "suppressed"},
        "labels": {"team": "db"},
    }


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
    status = orjson.loads(render.head(["a"], standing, muted_by) + b"{}}")["status"]

    assert status == {
        "state": state,
        "silencedBy": list(standing.silenced_by),
        "inhibitedBy": list(standing.inhibited_by),
        "mutedBy": list(muted_by),
    }


def test_the_beginning_of_a_group_leaves_its_alerts_open() -> None:
    assert orjson.loads(render.group({"b": "c"}, 'q"') + b"1,2]}") == {
        "labels": {"b": "c"},
        "receiver": {"name": 'q"'},
        "alerts": [1, 2],
    }
