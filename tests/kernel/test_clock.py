"""How times are written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from alertagent.kernel.clock import SystemClock, rfc3339


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 22, 14, 40, tzinfo=UTC), "2026-11-22T14:40:00Z"),
        (datetime(2026, 11, 22, 14, 40, 0, 123456, tzinfo=UTC), "2026-11-22T14:40:00.123456Z"),
        (datetime(2026, 11, 22, 22, 40, tzinfo=timezone(timedelta(hours=8))), "2026-11-22T14:40:00Z"),
    ],
)
def test_a_time_is_written_in_utc_with_z(moment: datetime, text: str) -> None:
    assert rfc3339(moment) == text


def test_the_systems_clock_knows_its_zone() -> None:
    assert SystemClock().now().tzinfo is UTC
