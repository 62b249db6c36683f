"""What a named time interval covers."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.alertmanager.times import TimeInterval
from alertagent.core.routing.times import calendar_of


def covers(moment: datetime, *spans: dict[str, Any]) -> bool:
    interval = TimeInterval.model_validate({"name": "x", "time_intervals": spans})
    return calendar_of(interval).covers(moment)


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(start: str, end: str) -> dict[str, Any]:
    return {"times": [{"start_time": start, "end_time": end}]}


@pytest.mark.parametrize(
    ("span", "moment", "expected"),
    [
        # 2026-03-02 is a Monday.
        ({}, "2026-03-02T12:00", True),
        (hours("09:00", "17:00"), "2026-03-02T08:59:59", False),
        (hours("09:00", "17:00"), "2026-03-02T09:00", True),
        (hours("09:00", "17:00"), "2026-03-02T16:59:59", True),
        (hours("09:00", "17:00"), "2026-03-02T17:00", False),
        (hours("20:00", "24:00"), "2026-03-02T23:59:59", True),
        (hours("20:00", "24:00"), "2026-03-03T00:00", False),
        ({"weekdays": ["monday:friday"]}, "2026-03-02T12:00", True),
        ({"weekdays": ["monday:friday"]}, "2026-03-01T12:00", False),
        ({"weekdays": ["Sunday"]}, "2026-03-01T12:00", True),
        ({"weekdays": ["saturday", "sunday"]}, "2026-03-07T12:00", True),
        ({"weekdays": []}, "2026-03-07T12:00", False),
        ({"months": ["january:march"]}, "2026-03-31T23:59", True),
        ({"months": ["january:march"]}, "2026-04-01T00:00", False),
        ({"months": ["4", "december"]}, "2026-12-01T00:00", True),
        ({"years": ["2024:2025", "2030"]}, "2026-01-01T00:00", False),
        ({"years": ["2024:2026"]}, "2026-01-01T00:00", True),
        ({"days_of_month": ["1:5"]}, "2026-03-05T12:00", True),
        ({"days_of_month": ["1:5"]}, "2026-03-06T12:00", False),
        ({"days_of_month": ["-1"]}, "2026-02-28T12:00", True),
        ({"days_of_month": ["-1"]}, "2028-02-28T12:00", False),
        ({"days_of_month": ["-1"]}, "2028-02-29T12:00", True),
        ({"days_of_month": ["-3:-1"]}, "2026-04-27T12:00", False),
        ({"days_of_month": ["-3:-1"]}, "2026-04-28T12:00", True),
        ({"days_of_month": ["30:31"]}, "2026-02-28T12:00", False),
        ({"days_of_month": ["28:31"]}, "2026-02-28T12:00", True),
        ({"days_of_month": ["15:-1"]}, "2026-02-28T12:00", True),
        ({"days_of_month": ["-31:-29"]}, "2026-02-01T12:00", False),
        ({"days_of_month": ["-31:-28"]}, "2026-02-01T12:00", True),
        ({"months": ["march"], "weekdays": ["tuesday"]}, "2026-03-02T12:00", False),
        ({**hours("00:00", "01:00"), "location": "Asia/Shanghai"}, "2026-03-01T16:30", True),
        ({"weekdays": ["monday"], "location": "Asia/Shanghai"}, "2026-03-01T16:30", True),
        ({"years": ["2027"], "location": "Asia/Shanghai"}, "2026-12-31T16:00", True),
        # Berlin is an hour ahead of UTC, and from 2026-03-29 two.
        ({**hours("09:00", "10:00"), "location": "Europe/Berlin"}, "2026-03-28T08:00", True),
        ({**hours("09:00", "10:00"), "location": "Europe/Berlin"}, "2026-03-30T08:00", False),
        ({**hours("09:00", "10:00"), "location": "Europe/Berlin"}, "2026-03-30T07:00", True),
        # The hour that clocks leave out, and the one that they show twice.
        ({**hours("02:00", "03:00"), "location": "Europe/Berlin"}, "2026-03-29T01:00", False),
        ({**hours("02:00", "03:00"), "location": "Europe/Berlin"}, "2026-10-25T00:30", True),
        ({**hours("02:00", "03:00"), "location": "Europe/Berlin"}, "2026-10-25T01:30", True),
    ],
)
def test_a_span_covers_what_alertmanager_says_it_covers(span: dict[str, Any], moment: str, expected: bool) -> None:
    assert covers(at(moment), span) is expected


def test_an_interval_covers_what_any_of_its_spans_covers() -> None:
    spans = (hours("00:00", "06:00"), {"weekdays": ["sunday"]})

    covered = [covers(at(moment), *spans) for moment in ("2026-03-02T05:00", "2026-03-01T12:00", "2026-03-02T12:00")]

    assert covered == [True, True, False]


def test_an_interval_without_spans_covers_nothing() -> None:
    assert not covers(at("2026-03-02T12:00"))


def test_a_local_span_follows_the_clock_of_the_machine() -> None:
    moment = at("2026-03-02T12:00")
    local = moment.astimezone()
    start = f"{local.hour:02}:00"
    end = f"{local.hour + 1:02}:00"

    assert covers(moment, {**hours(start, end), "location": "Local"})
    assert not covers(moment + timedelta(hours=1), {**hours(start, end), "location": "Local"})


DAYS = st.integers(-31, 31).filter(bool)


def days_covered(first: int, last: int, length: int) -> set[int]:
    """The days of a month, read as the documentation of `days_of_month` tells."""
    listed = [*range(1, length + 1)]
    begin = first if first > 0 else length + 1 + first
    end = last if last > 0 else length + 1 + last
    return {day for day in listed if begin <= day <= end}


@given(
    first=DAYS,
    last=DAYS,
    moment=st.timedeltas(timedelta(), timedelta(days=36_500)).map(at("2000-01-01").__add__),
    zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"]),
)
def test_days_of_the_month_are_counted_from_either_end(first: int, last: int, moment: datetime, zone: str) -> None:
    if (first < 0 < last) or ((first > 0) == (last > 0) and first > last):
        return
    local = moment.astimezone(ZoneInfo(zone))
    length = monthrange(local.year, local.month)[1]

    covered = covers(moment, {"days_of_month": [f"{first}:{last}"], "location": zone})

    assert covered is (local.day in days_covered(first, last, length))
