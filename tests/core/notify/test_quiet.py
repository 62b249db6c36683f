"""Quiet hours and minimum severities, by themselves."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alertagent.core.notify.quiet import read_quiet_hours
from alertagent.core.notify.wishes import wishes_of
from alertagent.core.routing.stages import Drop, Stage

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = {"start": "22:00", "end": "07:00"}
WEEKEND = ["saturday", "sunday"]


def covers(moment: datetime, *windows: dict[str, Any], zone: str = "Europe/Berlin") -> bool:
    quiet = read_quiet_hours({"time_zone": zone, "windows": list(windows)})
    assert quiet is not None
    return quiet.covers(moment)


def at(text: str, fold: int = 0) -> datetime:
    """A moment as a clock in Berlin shows it; 2026-11-28 is a Saturday."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "windows", "expected"),
    [
        ("2026-11-28T21:59:59", [NIGHT], False),
        ("2026-11-28T22:00", [NIGHT], True),
        ("2026-11-28T00:00", [NIGHT], True),
        ("2026-11-28T06:59:59", [NIGHT], True),
        ("2026-11-28T07:00", [NIGHT], False),
        # The night that begins on a Friday goes on into Saturday, and no other night does.
        ("2026-11-28T03:00", [{**NIGHT, "days": ["friday"]}], True),
        ("2026-11-27T03:00", [{**NIGHT, "days": ["friday"]}], False),
        ("2026-11-28T22:30", [{**NIGHT, "days": ["friday"]}], False),
        # So does that of the last day of the week.
        ("2026-11-29T03:00", [{**NIGHT, "days": ["saturday"]}], True),
        ("2026-11-30T03:00", [{**NIGHT, "days": ["sunday"]}], True),
        ("2026-11-28T12:00", [{"start": "00:00", "end": "24:00", "days": WEEKEND}], True),
        ("2026-11-30T00:00", [{"start": "00:00", "end": "24:00", "days": WEEKEND}], False),
        ("2026-11-28T23:30", [{"start": "22:00", "end": "00:00"}], True),
        ("2026-11-28T00:00", [{"start": "22:00", "end": "00:00"}], False),
        ("2026-11-28T12:30", [NIGHT, {"start": "12:00", "end": "13:00"}], True),
        # The clock is put forward from 02:00 to 03:00, and back from 03:00 to 02:00.
        ("2026-03-29T01:59", [{"start": "02:00", "end": "03:00"}], False),
        ("2026-03-29T03:00", [{"start": "02:00", "end": "03:00"}], False),
        ("2026-03-29T06:59", [NIGHT], True),
        ("2026-03-29T07:00", [NIGHT], False),
        ("2026-10-25T07:00", [NIGHT], False),
    ],
)
def test_when_it_is_quiet(moment: str, windows: list[dict[str, Any]], expected: bool) -> None:
    assert covers(at(moment), *windows) is expected


def test_an_hour_that_comes_twice_is_quiet_twice() -> None:
    window = {"start": "02:00", "end": "03:00"}

    assert [covers(at("2026-10-25T02:30", fold), window) for fold in (0, 1)] == [True, True]


def test_a_zone_that_this_machine_does_not_know_has_no_quiet_hours() -> None:
    assert not covers(at("2026-11-28T23:00"), NIGHT, zone="Europe/Atlantis")


@pytest.mark.parametrize(
    ("severity", "minimum", "told"),
    [
        ("critical", "critical", True),
        ("page", "critical", True),
        ("error", "critical", False),
        ("unheard of", "critical", False),
        ("", "critical", False),
        ("unheard of", "warning", True),
        ("", "warning", True),
        ("warning", "warning", True),
        ("info", "warning", False),
        ("info", "info", True),
    ],
)
def test_a_severity_that_nobody_knows_is_an_error(severity: str, minimum: str, told: bool) -> None:
    wishes = wishes_of(minimum, None)
    assert wishes is not None

    drop = wishes.drop({"severity": severity}, at("2026-11-28T12:00"))

    assert drop == (None if told else Drop(Stage.BELOW_MINIMUM, (minimum,)))


def test_what_is_urgent_enough_is_told_in_quiet_hours() -> None:
    wishes = wishes_of(None, {"time_zone": "Europe/Berlin", "windows": [NIGHT], "except_severity": "critical"})
    assert wishes is not None
    night = at("2026-11-28T23:00")

    assert wishes.drop({"severity": "critical"}, night) is None
    assert wishes.drop({"severity": "critical"}, at("2026-11-28T12:00")) is None
    assert wishes.drop({"severity": "warning"}, night) == Drop(Stage.QUIET_HOURS, ("22:00-07:00 (Europe/Berlin)",))


def test_a_channel_without_settings_wants_to_hear_of_everything() -> None:
    assert wishes_of(None, None) is None
