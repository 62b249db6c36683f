"""What the log says while the database is away: a line for each reason now and then, not one for each statement."""

import time
from collections.abc import Callable
from datetime import timedelta

import asyncpg
import structlog

SAY_EVERY = timedelta(seconds=10)

# Reasons with numbers in them could be without end.
REMEMBERED = 20

_LOST = "the connection was lost"
# asyncpg takes a connection back that was lost while somebody used it.
_RELEASED = "has been released back to the pool"
_SLOW = "there was no free connection, or no answer, in time"

log = structlog.get_logger()


class Outage:
    """Says at once why a statement could not be run, and then how many more there were."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._said: dict[str, tuple[float, int]] = {}

    def note(self, reason: str) -> None:
        """A statement could not be run for this reason."""
        now = self._monotonic()
        said_at, count = self._said.get(reason, (None, 0))
        if said_at is not None and now - said_at < SAY_EVERY.total_seconds():
            self._said[reason] = said_at, count + 1
            return
        if len(self._said) >= REMEMBERED:
            self._said.clear()
        self._said[reason] = now, 0
        log.warning("database.unavailable", reason=reason, statements=count + 1)


def reason_of(error: BaseException) -> str:
    """Why the database is away, in words for people: asyncpg speaks of its own states there, or says nothing."""
    if isinstance(error, asyncpg.InternalClientError) or _RELEASED in str(error):
        return _LOST
    if isinstance(error, TimeoutError):
        return str(error) or _SLOW
    return str(error).partition("\n")[0] or type(error).__name__
