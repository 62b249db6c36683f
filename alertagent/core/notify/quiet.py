"""Quiet hours: when the owner of a channel is not to be told. Pure, but for the machine's list of time zones.

Windows are what the clock on the wall shows, so they move with summer time. One that ends before it begins goes on
into the next day, and belongs to the day on which it begins.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from alertagent.core.alertmanager.times import minutes
from alertagent.core.routing.times import Intervals, Ranges, Span
from alertagent.core.silences.recurrence import is_zone

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MIDNIGHT = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietWindow:
    """From `22:00` to `07:00`, the end outside. `days` are those on which it begins; none: every day."""

    start: str
    end: str
    days: tuple[str, ...] = ()

    def spans(self, zone: ZoneInfo) -> Iterator[Span]:
        start, end = minutes(self.start), minutes(self.end)
        if start < end:
            yield Span(times=((start, end),), weekdays=self._weekdays(0), zone=zone)
        else:
            yield Span(times=((start, MIDNIGHT),), weekdays=self._weekdays(0), zone=zone)
            yield Span(times=((0, end),), weekdays=self._weekdays(1), zone=zone)

    def _weekdays(self, later: int) -> Ranges:
        numbers = [(DAYS.index(day) + later) % 7 for day in self.days]
        return tuple((number, number) for number in numbers) or None

    def __str__(self) -> str:
        clock = f"{self.start}-{self.end}"
        return f"{', '.join(self.days)} {clock}" if self.days else clock


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """Any of the windows. `except_severity`: what is at least that urgent is told all the same."""

    time_zone: str
    windows: tuple[QuietWindow, ...]
    except_severity: str | None = None
    _calendar: Intervals = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """A zone that is not known here has no quiet hours."""
        zone = ZoneInfo(self.time_zone) if is_zone(self.time_zone) else None
        spans = [span for window in self.windows for span in window.spans(zone)] if zone is not None else []
        object.__setattr__(self, "_calendar", Intervals(spans=tuple(spans)))

    def covers(self, moment: datetime) -> bool:
        return self._calendar.covers(moment)

    def __str__(self) -> str:
        return f"{'; '.join(map(str, self.windows))} ({self.time_zone})"


def read_quiet_hours(document: Mapping[str, Any] | None) -> QuietHours | None:
    """As they are kept."""
    if document is None:
        return None
    windows: Sequence[Mapping[str, Any]] = document["windows"]
    return QuietHours(
        time_zone=document["time_zone"],
        windows=tuple(
            QuietWindow(start=each["start"], end=each["end"], days=tuple(each.get("days", ()))) for each in windows
        ),
        except_severity=document.get("except_severity"),
    )
