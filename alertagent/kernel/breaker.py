"""A circuit breaker: who keeps failing is left alone for a while, and then tried by one request. Pure.

    closed ──(5 failures or more, and more than half of the last 20)──▶ open ──(its time is over)──▶ half-open
       ▲                                                                 ▲                              │
       └──────────────────── the one probe passes ──────────────────────┼───────── it fails ────────────┘

The first opening lasts 30 s and each one after a failed probe twice as long, up to 5 min, less up to a quarter by
chance: many processes must not come back at the same moment. A probe of which nothing is heard counts as lost after
what who asks says that it may take, and the next one may go. Who cannot say that says again and again, within
`PROBE_LOST_AFTER`, that it still waits.

"Too many requests" is no failure: the other side works and says when to come back. It pauses a breaker, open or
closed, and is not counted.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

WINDOW = 20
LEAST_FAILURES = 5
FIRST_OPEN = timedelta(seconds=30)
LONGEST_OPEN = timedelta(minutes=5)
PROBE_LOST_AFTER = timedelta(seconds=10)
JITTER = 0.25


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """`recent` are the last outcomes, the newest last, true for a failure. `trips` counts openings without a success
    between them. `probe_until`: one request is out to try, and nobody else may go before."""

    recent: tuple[bool, ...] = ()
    trips: int = 0
    open_until: datetime | None = None
    probe_until: datetime | None = None
    paused_until: datetime | None = None

    def state(self, now: datetime) -> State:
        if self.open_until is not None:
            return State.OPEN if now < self.open_until else State.HALF_OPEN
        return State.PAUSED if self.is_paused(now) else State.CLOSED

    def is_calm(self, now: datetime) -> bool:
        """Whether nothing that happened lately would change what comes next."""
        return self.state(now) is State.CLOSED and not any(self.recent)

    def is_paused(self, now: datetime) -> bool:
        return self.paused_until is not None and now < self.paused_until


@dataclass(frozen=True, slots=True)
class Go:
    """Call. `breaker` is how it stands from here on."""

    breaker: Breaker


@dataclass(frozen=True, slots=True)
class Wait:
    """Do not call before then; `state` says why."""

    until: datetime
    state: State


def admit(breaker: Breaker, now: datetime, *, lost_after: timedelta = PROBE_LOST_AFTER) -> Go | Wait:
    """Whether a request may go out; as a probe it counts as lost if nothing is heard of it for so long."""
    if breaker.paused_until is not None and now < breaker.paused_until:
        return Wait(breaker.paused_until, State.PAUSED)
    if breaker.open_until is None:
        return Go(breaker)
    if now < breaker.open_until:
        return Wait(breaker.open_until, State.OPEN)
    if breaker.probe_until is not None and now < breaker.probe_until:
        return Wait(breaker.probe_until, State.HALF_OPEN)
    return Go(replace(breaker, probe_until=now + lost_after))


def passed(breaker: Breaker) -> Breaker:
    """The other side did its work: a probe that says so closes the breaker and forgets what was before."""
    if breaker.open_until is not None:
        return Breaker(paused_until=breaker.paused_until)
    return replace(breaker, recent=(*breaker.recent, False)[-WINDOW:], trips=0)


def failed(breaker: Breaker, now: datetime, random: float) -> Breaker:
    """It did not; `random` is uniform in [0, 1). What was sent before the breaker opened changes nothing any more."""
    if breaker.open_until is not None:
        return breaker if now < breaker.open_until else _opened(breaker, now, random)
    recent = (*breaker.recent, True)[-WINDOW:]
    failures = sum(recent)
    if failures < LEAST_FAILURES or failures * 2 <= len(recent):
        return replace(breaker, recent=recent)
    return _opened(replace(breaker, recent=recent), now, random)


def paused(breaker: Breaker, until: datetime) -> Breaker:
    """The other side wants nothing before then. It answers, so a probe has been as good as any."""
    longest = max(filter(None, (breaker.paused_until, until)))
    return replace(breaker, paused_until=longest, probe_until=None)


def released(breaker: Breaker) -> Breaker:
    """Its probe was never sent: the next one may go."""
    return replace(breaker, probe_until=None)


def _opened(breaker: Breaker, now: datetime, random: float) -> Breaker:
    whole = min(FIRST_OPEN * (1 << min(breaker.trips, 10)), LONGEST_OPEN)
    until = now + whole * (1 - JITTER * random)
    return replace(breaker, trips=breaker.trips + 1, open_until=until, probe_until=None)
