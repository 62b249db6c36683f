"""Silences to test with: made at noon, for an hour."""

from datetime import UTC, datetime, timedelta
from typing import Any

from alertagent.core.silences.model import Draft, Silence, SilenceMatcher
from alertagent.core.silences.recurrence import Recurrence

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def matchers(*texts: str) -> tuple[SilenceMatcher, ...]:
    return tuple(map(SilenceMatcher.parse, texts))


def daily_at(hour: int) -> Recurrence:
    """For an hour."""
    midnight = NOON.replace(hour=0, tzinfo=None)
    return Recurrence(rrule=f"FREQ=DAILY;BYHOUR={hour}", timezone="UTC", duration=timedelta(hours=1), dtstart=midnight)


def draft(*texts: str, **values: Any) -> Draft:
    """For an hour, unless an end is given."""
    end = {} if "ends_at" in values else {"duration": timedelta(hours=1)}
    defaults = {"matchers": matchers(*(texts or ('alertname="DiskFull"',))), "comment": "repair", "created_by": "anna"}
    return Draft(**{**defaults, **end, **values})


def silence(*texts: str, **values: Any) -> Silence:
    defaults: dict[str, Any] = {
        "id": "s",
        "matchers": matchers(*(texts or ('alertname="DiskFull"',))),
        "starts_at": NOON,
        "ends_at": at(60),
        "created_by": "anna",
        "comment": "repair",
        "revision": 1,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Silence(**{**defaults, **values})
