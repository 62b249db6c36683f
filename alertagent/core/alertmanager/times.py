"""Named intervals of time: when a route is muted or active. Pure, but for the machine's list of time zones."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator

from alertagent.core.alertmanager.fields import Section, Since, Text

LOCAL, UTC = "Local", "UTC"

_CLOCK = re.compile(r"(?:([01]?[0-9]|2[0-3]):([0-5][0-9]))|24:00")
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)


Bounds = tuple[int, int]
"""The first and the last of a range."""


def weekday_bounds(value: Any) -> Bounds:
    """`monday:friday` as (1, 5); Sunday is 0. Raises ValueError."""
    return _forward(value, lambda name: _DAYS.index(name.lower()), "the name of a day")


def month_bounds(value: Any) -> Bounds:
    """`march:5` as (3, 5). Raises ValueError."""
    return _forward(value, _month_number, "the name of a month or its number")


def year_bounds(value: Any) -> Bounds:
    """`2024` as (2024, 2024). Raises ValueError."""
    return _forward(value, _whole, "a year")


def day_bounds(value: Any) -> Bounds:
    """`-3:-1` as (-3, -1): days count from 1, or from -1 at the end of the month. Raises ValueError."""
    what = "a day from 1 to 31, or from -31 to -1"
    begin, end = _range_of(value, _whole, what)
    if not (1 <= abs(begin) <= 31 and 1 <= abs(end) <= 31):
        raise ValueError(f"must be {what}")
    if begin < 0 < end:
        raise ValueError("a range that begins at the end of the month cannot end at its beginning")
    if (begin > 0) == (end > 0) and begin > end:
        raise ValueError("the end of the range is before its beginning")
    return begin, end


def is_backwards(bounds: Bounds) -> bool:
    """Whether Alertmanager takes these days for a range that ends before it begins: for this it counts -1 as day 27.

    Source: prometheus/alertmanager, `timeinterval/timeinterval.go`.
    """
    begin, end = (28 + day if day < 0 else day for day in bounds)
    return begin > end


def minutes(clock: str) -> int:
    """The minutes since midnight of `09:30`."""
    hours, _, rest = clock.partition(":")
    return int(hours) * 60 + int(rest)


def _range_of(value: Any, position: Callable[[str], int], what: str) -> Bounds:
    """Both ends of `monday:friday`, or of a single one."""
    if not isinstance(value, str):
        raise ValueError(f"must be {what}")  # noqa: TRY004 - pydantic wants ValueError
    first, colon, last = value.partition(":")
    try:
        begin, end = position(first), position(last if colon else first)
    except (ValueError, LookupError):
        raise ValueError(f"must be {what}, or two of them as FIRST:LAST") from None
    return begin, end


def _forward(value: Any, position: Callable[[str], int], what: str) -> Bounds:
    begin, end = _range_of(value, position, what)
    if begin > end:
        raise ValueError("the end of the range is before its beginning")
    return begin, end


def _whole(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _month_number(text: str) -> int:
    number = _MONTHS.index(text.lower()) + 1 if text.lower() in _MONTHS else _whole(text)
    if not 1 <= number <= 12:
        raise ValueError(text)
    return number


def _readable_by(bounds: Callable[[Any], Bounds]) -> BeforeValidator:
    """Keeps the text as it stands where it can be read so."""

    def check(value: Any) -> Any:
        bounds(value)
        return str(value)

    return BeforeValidator(check)


def _clock(value: Any) -> Any:
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError("must be a time as HH:MM, up to 24:00")
    return str(value)


def _zone(value: Any) -> Any:
    if not isinstance(value, str) or not (value in {"", LOCAL, UTC} or _is_zone(value)):
        raise ValueError("not a time zone; write it as Europe/Berlin, UTC or Local")
    return str(value)


@lru_cache(maxsize=1000)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return False
    return True


Clock = Annotated[str, BeforeValidator(_clock)]


class TimeRange(Section):
    at_least_one: ClassVar = (("start_time",), ("end_time",))

    start_time: Clock | None = None
    end_time: Clock | None = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        for name, time in (("start_time", self.start_time), ("end_time", self.end_time)):
            if time and len(time) < len("00:00"):
                yield name, f"must be a time as HH:MM; write it as 0{time}"
        if self.start_time and self.end_time and minutes(self.start_time) >= minutes(self.end_time):
            yield "end_time", "must be after start_time"


class TimeSpan(Section):
    """All fields must hold; of each field one element must."""

    times: tuple[TimeRange, ...] | None = None
    weekdays: tuple[Annotated[str, _readable_by(weekday_bounds)], ...] | None = None
    days_of_month: tuple[Annotated[str, _readable_by(day_bounds)], ...] | None = None
    months: tuple[Annotated[str, _readable_by(month_bounds)], ...] | None = None
    years: tuple[Annotated[str, _readable_by(year_bounds)], ...] | None = None
    location: Annotated[Annotated[str, BeforeValidator(_zone)] | None, Since("0.25")] = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        for days in self.days_of_month or ():
            if is_backwards(day_bounds(days)):
                yield "days_of_month", f"{days} may end before it begins; Alertmanager counts -1 as day 27"


class TimeInterval(Section):
    at_least_one: ClassVar = (("name",),)

    name: Text | None = None
    time_intervals: tuple[TimeSpan, ...] | None = None
