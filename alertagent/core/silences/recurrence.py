"""Maintenance windows: times that come again by a rule of RFC 5545. Pure, but for the list of time zones.

A rule is looked at period by period (a year, a month, a week, a day), and no question looks further than LOOK_AHEAD. So
a rule that nothing fits, such as every 30th of February, costs little and is found out.

Starts are what the clock on the wall shows: 02:00 stays 02:00 when summer time begins or ends. A start that is left out
that night counts as if the clock had gone on; one that comes twice counts the first time. A window then lasts its
duration, whatever the clock does meanwhile. Source: RFC 5545, section 3.3.10, and for such nights 3.3.5.
"""

from calendar import isleap, monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from alertagent.core.silences.rrule import Frequency, Rule, parse_rule
from alertagent.kernel.durations import format_duration, parse_duration

LOOK_AHEAD = timedelta(days=5 * 366)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """From a start, inclusive, to an end, exclusive."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """Windows of one length. `dtstart` is where the rule counts from, as the clock in the zone shows it."""

    rrule: str
    timezone: str
    duration: timedelta
    dtstart: datetime
    _days: "_Days" = field(init=False, repr=False, compare=False)
    _zone: ZoneInfo | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises ValueError for what is no rule. A zone that is not known here has no windows."""
        object.__setattr__(self, "_days", _Days(parse_rule(self.rrule), self.dtstart))
        object.__setattr__(self, "_zone", ZoneInfo(self.timezone) if is_zone(self.timezone) else None)

    def current(self, now: datetime) -> Window | None:
        """The window that now lies in; of several the one that ends last."""
        earliest = now - self.duration
        # Where windows come often and last long, the last day is enough.
        for since in sorted({max(earliest, now - DAY), earliest}, reverse=True):
            starts = [start for start in self._starts(since, now) if earliest < start <= now]
            if starts:
                return Window(max(starts), max(starts) + self.duration)
        return None

    def next(self, now: datetime, until: datetime) -> Window | None:
        """The first window that begins after now; None: none does before that other moment, or for years."""
        until = min(until, now + LOOK_AHEAD)
        start = next((start for start in self._starts(now, until) if now < start < until), None)
        return Window(start, start + self.duration) if start is not None else None

    def as_json(self) -> dict[str, Any]:
        return {
            "rrule": self.rrule,
            "timezone": self.timezone,
            "duration": format_duration(self.duration),
            "dtstart": self.dtstart.isoformat(),
        }

    @property
    def dtstart_utc(self) -> datetime:
        return self.dtstart.replace(tzinfo=self._zone or UTC).astimezone(UTC)

    def _starts(self, earliest: datetime, latest: datetime) -> Iterator[datetime]:
        """The starts from one moment to another, in order, and a few before and after."""
        if self._zone is None:
            return
        first, last = (moment.astimezone(self._zone).date() for moment in (earliest - DAY, latest + DAY))
        for _, starts in groupby(self._days.starts(first, last), key=datetime.date):
            # When summer time begins, 02:30 is not before 03:00.
            yield from sorted(start.replace(tzinfo=self._zone).astimezone(UTC) for start in starts)


def read_recurrence(document: Any) -> Recurrence:
    """Read back what `as_json` wrote."""
    return Recurrence(
        rrule=document["rrule"],
        timezone=document["timezone"],
        duration=parse_duration(document["duration"]),
        dtstart=datetime.fromisoformat(document["dtstart"]),
    )


def dtstart_of(moment: datetime | None, timezone: str, now: datetime) -> datetime:
    """Where a rule counts from: this moment, or the midnight before now, as the clock in the zone shows it."""
    zone = ZoneInfo(timezone)
    if moment is not None:
        return moment.astimezone(zone).replace(tzinfo=None, microsecond=0)
    return datetime.combine(now.astimezone(zone).date(), time())


def is_zone(name: str) -> bool:
    return name in _zones()


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


@dataclass(frozen=True, slots=True)
class _Days:
    """A rule and where it counts from, which fills in what the rule leaves open."""

    rule: Rule
    dtstart: datetime

    def starts(self, first: date, last: date) -> Iterator[datetime]:
        """The starts on these days, in order."""
        for period in self._periods(max(first, self.dtstart.date()), last):
            found = [datetime.combine(day, at) for day in period if self._fits(day) for at in self._times(day)]
            for start in self._positioned(found):
                if start >= self.dtstart and first <= start.date() <= last:
                    yield start

    def _periods(self, first: date, last: date) -> Iterator[Iterable[date]]:
        """The days of each period that the rule counts and that holds one of these days."""
        begin = self.dtstart.date()
        match self.rule.frequency:
            case Frequency.YEARLY:
                years = range(first.year, last.year + 1)
                return (_year(year) for year in years if (year - begin.year) % self.rule.interval == 0)
            case Frequency.MONTHLY:
                months = range(_month_number(first), _month_number(last) + 1)
                counted = (month for month in months if (month - _month_number(begin)) % self.rule.interval == 0)
                return (_month(month) for month in counted)
            case Frequency.WEEKLY:
                weeks = range(self._week_number(first), self._week_number(last) + 1)
                counted = (week for week in weeks if (week - self._week_number(begin)) % self.rule.interval == 0)
                return (self._week(week) for week in counted)
            case Frequency.DAILY:
                days = _between(first, last)
                return ([day] for day in days if (day - begin).days % self.rule.interval == 0)
            case Frequency.HOURLY:
                return ([day] for day in _between(first, last))

    def _week_number(self, day: date) -> int:
        return (day.toordinal() - 1 - self.rule.week_start) // 7

    def _week(self, number: int) -> Sequence[date]:
        first = date.fromordinal(number * 7 + 1 + self.rule.week_start)
        return [first + timedelta(days=day) for day in range(7)]

    def _fits(self, day: date) -> bool:
        rule = self.rule
        if rule.months and day.month not in rule.months:
            return False
        if not rule.month_days and not rule.week_days:
            return self._fits_dtstart(day)
        if rule.month_days and not {day.day, day.day - monthrange(day.year, day.month)[1] - 1} & rule.month_days:
            return False
        return not rule.week_days or self._fits_week_day(day)

    def _fits_dtstart(self, day: date) -> bool:
        """Which day it is when the rule does not say."""
        match self.rule.frequency:
            case Frequency.YEARLY:
                return day.day == self.dtstart.day and (bool(self.rule.months) or day.month == self.dtstart.month)
            case Frequency.MONTHLY:
                return day.day == self.dtstart.day
            case Frequency.WEEKLY:
                return day.weekday() == self.dtstart.weekday()
            case Frequency.DAILY | Frequency.HOURLY:
                return True

    def _fits_week_day(self, day: date) -> bool:
        """`2TU` is the second Tuesday of a year, unless months are named, and otherwise of a month."""
        if (0, day.weekday()) in self.rule.week_days:
            return True
        if self.rule.frequency is Frequency.YEARLY and not self.rule.months:
            place, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
        else:
            place, length = day.day, monthrange(day.year, day.month)[1]
        from_start, from_end = (place - 1) // 7 + 1, -((length - place) // 7 + 1)
        return bool({(from_start, day.weekday()), (from_end, day.weekday())} & self.rule.week_days)

    def _times(self, day: date) -> Iterator[time]:
        rule, begin = self.rule, self.dtstart
        hours: Iterable[int] = rule.hours or (begin.hour,)
        if rule.frequency is Frequency.HOURLY:
            before = (day - begin.date()).days * 24 - begin.hour
            counted = (hour for hour in range(24) if (before + hour) % rule.interval == 0)
            hours = [hour for hour in counted if not rule.hours or hour in rule.hours]
        return (time(hour, minute, begin.second) for hour in hours for minute in rule.minutes or (begin.minute,))

    def _positioned(self, starts: Sequence[datetime]) -> Iterable[datetime]:
        """Of the starts of a period those at the positions that the rule names, from its beginning or its end."""
        if not self.rule.positions:
            return starts
        places = {place - 1 if place > 0 else len(starts) + place for place in self.rule.positions}
        return [start for place, start in enumerate(starts) if place in places]


def _between(first: date, last: date) -> Iterator[date]:
    return (date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1))


def _year(year: int) -> Iterator[date]:
    return _between(date(year, 1, 1), date(year, 12, 31))


def _month_number(day: date) -> int:
    return day.year * 12 + day.month - 1


def _month(number: int) -> Iterator[date]:
    year, month = divmod(number, 12)
    return _between(date(year, month + 1, 1), date(year, month + 1, monthrange(year, month + 1)[1]))
