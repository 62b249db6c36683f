"""How soon somebody has to look, read from the `severity` that people give their alerts. Pure."""

from enum import IntEnum


class Urgency(IntEnum):
    """Least first."""

    INFO = 0
    WARNING = 1
    ERROR = 2
    CRITICAL = 3


_URGENCIES = {
    **dict.fromkeys(("critical", "page", "fatal", "emergency", "disaster", "p0", "p1"), Urgency.CRITICAL),
    **dict.fromkeys(("error", "high", "major", "p2"), Urgency.ERROR),
    **dict.fromkeys(("warning", "warn", "medium", "average", "minor", "p3"), Urgency.WARNING),
    **dict.fromkeys(("info", "information", "notice", "low", "none", "debug", "p4", "p5"), Urgency.INFO),
}


def urgency_of(severity: str) -> Urgency:
    """A severity that nobody knows may be anything, so it is an error."""
    return _URGENCIES.get(severity.strip().lower(), Urgency.ERROR)
