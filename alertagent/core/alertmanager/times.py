"""Named intervals of time: when a route is muted or active. Pure, but for the machine's list of time zones."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator

from alertagent.core.alertmanager.fields import Section, Since, Text

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


def _range_of(value: Any, position: Callable[[str], int], what: str) -> tuple[int, int]:
    """Both ends of `monday:friday`, or of a single one."""
    if not isinstance(value, str):
        raise ValueError(f"must be {what}")  # noqa: TRY004 - pydantic wants ValueError
    first, colon, last = value.partition(":")
    try:
        begin, end = position(first), position(last if colon else first)
    except (ValueError, LookupError):
        raise ValueError(f"must be {what}, or two of them as FIRST:LAST") from None
    return begin, end


def _forward(value: Any, position: Callable[[str], int], what: str) -> Any:
    begin, end = _range_of(value, position, what)
    if begin > end:
        raise ValueError("the end of the range is before its beginning")
    return str(value)


def _whole(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _month_number(text: str) -> int:
    number = _MONTHS.index(text.lower()) + 1 if text.lower() in _MONTHS else _whole(text)
    if not 1 <= number <= 12:
        raise ValueError(text)
    return number


def _weekday(value: Any) -> Any:
    return _forward(value, lambda name: _DAYS.index(name.lower()), "the name of a day")


def _month(value: Any) -> Any:
    return _forward(value, _month_number, "the name of a month or its number")


def _year(value: Any) -> Any:
    return _forward(value, _whole, "a year")


def _day_of_month(value: Any) -> Any:
    """Days count from 1, or from -1 at the end of the month."""
    what = "a day from 1 to 31, or from -31 to -1"
    begin, end = _range_of(value, _whole, what)
    if not (1 <= abs(begin) <= 31 and 1 <= abs(end) <= 31):
        raise ValueError(f"must be {what}")
    if begin < 0 < end:
        raise ValueError("a range that begins at the end of the month cannot end at its beginning")
    # The shortest month decides what surely comes first.
    if (begin > 0) == (end > 0) and begin > end:
        raise ValueError("the end of the range is before its beginning")
    return str(value)


def _clock(value: Any) -> Any:
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError("must be a time as HH:MM, up to 24:00")
    return str(value)


def _zone(value: Any) -> Any:
    if not isinstance(value, str) or not (value in {"", "Local", "UTC"} or _is_zone(value)):
        raise ValueError("not a time zone; write it as Europe/Berlin, UTC or Local")
    return str(value)


@lru_cache(maxsize=1000)
def _is_zone(name: str) -> bool:
    """Where the machine has no list of zones every name passes: Alertmanager has its own."""
    for tried in (name, "UTC"):
        try:
            ZoneInfo(tried)
        except (OSError, ValueError):
            continue
        except KeyError:
            continue
        return tried == name
    return True


Clock = Annotated[str, BeforeValidator(_clock)]


class TimeRange(Section):
    at_least_one: ClassVar = (("start_time",), ("end_time",))

    start_time: Clock | None = None
    end_time: Clock | None = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        if self.start_time and self.end_time and _minutes(self.start_time) >= _minutes(self.end_time):
            yield "end_time", "must be after start_time"


class TimeSpan(Section):
    """All fields must hold; of each field one element must."""

    times: tuple[TimeRange, ...] | None = None
    weekdays: tuple[Annotated[str, BeforeValidator(_weekday)], ...] | None = None
    days_of_month: tuple[Annotated[str, BeforeValidator(_day_of_month)], ...] | None = None
    months: tuple[Annotated[str, BeforeValidator(_month)], ...] | None = None
    years: tuple[Annotated[str, BeforeValidator(_year)], ...] | None = None
    location: Annotated[Annotated[str, BeforeValidator(_zone)] | None, Since("0.25")] = None


class TimeInterval(Section):
    at_least_one: ClassVar = (("name",),)

    name: Text | None = None
    time_intervals: tuple[TimeSpan, ...] | None = None


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)
