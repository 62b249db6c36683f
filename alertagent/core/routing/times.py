"""Named time intervals, ready to be asked. Pure, but for the zone of the machine where a span says `Local`.

The rules are Alertmanager's. Source: prometheus/alertmanager, `timeinterval/timeinterval.go` (`ContainsTime`).
"""

from calendar import monthrange
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from alertagent.core.alertmanager.times import (
    LOCAL,
    Bounds,
    TimeInterval,
    TimeRange,
    TimeSpan,
    day_bounds,
    minutes,
    month_bounds,
    weekday_bounds,
    year_bounds,
)

Ranges = tuple[Bounds, ...] | None
"""None: not asked for, so anything fits. Without any range nothing fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Every field must hold; of each, one range. `zone` None: that of the machine. Sunday is day 0 of the week.

    `times` are minutes of the day, and their ends are outside; all other ends are inside.
    """

    times: Ranges = None
    weekdays: Ranges = None
    days_of_month: Ranges = None
    months: Ranges = None
    years: Ranges = None
    zone: tzinfo | None = UTC

    def covers(self, moment: datetime) -> bool:
        """Whether this moment, as clocks and calendars of the zone show it, is inside."""
        local = moment.astimezone(self.zone)
        return (
            _fits(self.times, local.hour * 60 + local.minute, reach=-1)
            and _fits(self.days(local), local.day)
            and _fits(self.months, local.month)
            and _fits(self.weekdays, local.isoweekday() % 7)
            and _fits(self.years, local.year)
        )

    def days(self, local: datetime) -> Ranges:
        """The days of the month, those from its end counted from its beginning and none beyond it."""
        if self.days_of_month is None:
            return None
        length = monthrange(local.year, local.month)[1]
        return tuple((_from_start(first, length), _from_start(last, length)) for first, last in self.days_of_month)


def _from_start(day: int, length: int) -> int:
    return day if day > 0 else length + day + 1


def _fits(ranges: Ranges, value: int, *, reach: int = 0) -> bool:
    return ranges is None or any(first <= value <= last + reach for first, last in ranges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """A named interval: any of its spans."""

    spans: tuple[Span, ...]

    def covers(self, moment: datetime) -> bool:
        return any(span.covers(moment) for span in self.spans)


def calendar_of(interval: TimeInterval) -> Intervals:
    """The interval must be a valid one."""
    return Intervals(spans=tuple(map(_span, interval.time_intervals or ())))


def _span(given: TimeSpan) -> Span:
    return Span(
        times=_ranges(given.times, _clock_bounds),
        weekdays=_ranges(given.weekdays, weekday_bounds),
        days_of_month=_ranges(given.days_of_month, day_bounds),
        months=_ranges(given.months, month_bounds),
        years=_ranges(given.years, year_bounds),
        zone=_zone(given.location),
    )


def _ranges(given: Iterable[object] | None, bounds: Callable[..., Bounds]) -> Ranges:
    return None if given is None else tuple(map(bounds, given))


def _clock_bounds(given: TimeRange) -> Bounds:
    return minutes(given.start_time or ""), minutes(given.end_time or "")


def _zone(name: str | None) -> tzinfo | None:
    if name == LOCAL:
        return None
    return ZoneInfo(name) if name else UTC
