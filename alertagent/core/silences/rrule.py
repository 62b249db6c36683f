"""A recurrence rule as RFC 5545 writes it: `FREQ=WEEKLY;BYDAY=SU;BYHOUR=2`. Pure.

What is read is what calendars use for appointments. COUNT and UNTIL are not: a silence says itself when it ends.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

MAX_INTERVAL = 999
MAX_MINUTES = 12

_NUMBER = re.compile(r"[+-]?[0-9]{1,3}", re.ASCII)
_WEEK_DAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_WEEK_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_NAMES = ("FREQ", "INTERVAL", "BYMONTH", "BYMONTHDAY", "BYDAY", "BYHOUR", "BYMINUTE", "BYSETPOS", "WKST")


class Frequency(StrEnum):
    HOURLY = "HOURLY"
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is empty leaves open. Weekdays count from Monday, 0; with each goes which one is meant, 0 for every one."""

    frequency: Frequency
    interval: int
    months: frozenset[int]
    month_days: frozenset[int]
    week_days: frozenset[tuple[int, int]]
    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    positions: frozenset[int]
    week_start: int


def parse_rule(text: str) -> Rule:
    """Raises ValueError with the reason."""
    parts = _parts(text)
    frequency = _frequency(parts.get("FREQ", ""))
    rule = Rule(
        frequency=frequency,
        interval=next(iter(_numbers(parts, "INTERVAL", 1, MAX_INTERVAL)), 1),
        months=frozenset(_numbers(parts, "BYMONTH", 1, 12)),
        month_days=frozenset(_numbers(parts, "BYMONTHDAY", 1, 31, is_signed=True)),
        week_days=frozenset(_week_days(parts.get("BYDAY"), frequency)),
        hours=_numbers(parts, "BYHOUR", 0, 23),
        minutes=_numbers(parts, "BYMINUTE", 0, 59),
        positions=frozenset(_numbers(parts, "BYSETPOS", 1, 366, is_signed=True)),
        week_start=_week_start(parts.get("WKST", "MO")),
    )
    _agree(rule, parts)
    return rule


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.upper().removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"not a rule: {text[:80]!r}; write it as FREQ=WEEKLY;BYDAY=SU;BYHOUR=2")
        if name in parts:
            raise ValueError(f"{name} stands twice")
        if name in {"COUNT", "UNTIL"}:
            raise ValueError(f"{name} is not taken: when a silence ends for good is said by its ends_at")
        if name not in _NAMES:
            raise ValueError(f"{name[:20]!r} is not taken; known: {', '.join(_NAMES)}")
        parts[name] = value
    return parts


def _frequency(text: str) -> Frequency:
    if text not in set(Frequency):
        raise ValueError(f"FREQ is one of {', '.join(Frequency)}")
    return Frequency(text)


def _numbers(
    parts: dict[str, str], name: str, least: int, greatest: int, *, is_signed: bool = False
) -> tuple[int, ...]:
    """In order and each once; none where the part is missing."""
    if name not in parts:
        return ()
    texts = parts[name].split(",")
    numbers = {int(text) for text in texts if _NUMBER.fullmatch(text)}
    if not all(map(_NUMBER.fullmatch, texts)) or not all(
        least <= (abs(number) if is_signed else number) <= greatest for number in numbers
    ):
        sign = ", or their negatives, which count from the end" if is_signed else ""
        raise ValueError(f"{name} takes numbers from {least} to {greatest}{sign}, with commas between")
    return tuple(sorted(numbers))


def _week_days(text: str | None, frequency: Frequency) -> list[tuple[int, int]]:
    greatest = {Frequency.MONTHLY: 5, Frequency.YEARLY: 53}.get(frequency, 0)
    found = []
    for part in text.split(",") if text is not None else ():
        match = _WEEK_DAY.fullmatch(part)
        number = int(match[1] or 0) if match is not None else 0
        if match is None or abs(number) > greatest or (match[1] and not number):
            raise ValueError(
                f"BYDAY with FREQ={frequency} does not take {part[:20]!r}; write it as SU, or monthly as 2SU"
            )
        found.append((number, _WEEK_DAYS.index(match[2])))
    return found


def _week_start(text: str) -> int:
    if text not in _WEEK_DAYS:
        raise ValueError(f"WKST is one of {', '.join(_WEEK_DAYS)}")
    return _WEEK_DAYS.index(text)


def _agree(rule: Rule, parts: dict[str, str]) -> None:
    """What the standard does not allow together, and what would be too much."""
    if "," in parts.get("INTERVAL", ""):
        raise ValueError("INTERVAL is one number")
    if rule.month_days and rule.frequency is Frequency.WEEKLY:
        raise ValueError("BYMONTHDAY is not for FREQ=WEEKLY")
    if rule.positions and rule.frequency in {Frequency.HOURLY, Frequency.DAILY}:
        raise ValueError(f"BYSETPOS is not for FREQ={rule.frequency}")
    if rule.positions and not (set(parts) & {"BYMONTH", "BYMONTHDAY", "BYDAY", "BYHOUR", "BYMINUTE"}):
        raise ValueError("BYSETPOS chooses among what another part names, such as BYDAY")
    if len(rule.minutes) > MAX_MINUTES:
        raise ValueError(f"BYMINUTE takes at most {MAX_MINUTES} numbers")
