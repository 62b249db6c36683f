"""What a silence is, and how one may change. Pure.

What a silence has muted so far stays on record: a change that would alter it ends the silence and begins another. So it
is in Alertmanager, too. Source: prometheus/alertmanager, `silence/silence.go`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Self

from alertagent.core.silences.recurrence import LOOK_AHEAD, Recurrence, Window
from alertagent.kernel.clock import rfc3339
from alertagent.kernel.errors import Detail, Invalid
from alertagent.kernel.matchers import Matcher, Operator

MAX_MATCHERS = 100

# Times lie before this one. A silence that recurs may end then, which says: when somebody ends it.
OPEN_END = datetime(2100, 1, 1, tzinfo=UTC)


_ENDLESS = Detail(("ends_at",), "say when it ends, by ends_at or by duration")


class SilenceMatcher(Matcher):
    """Long lists of names are usual: a page that silences many hosts writes them as one expression."""

    max_pattern: ClassVar[int] = 16_384

    @classmethod
    def of(cls, name: str, value: str, *, is_regex: bool = False, is_equal: bool = True) -> Self:
        """One in the form that Alertmanager's API has. Raises ValueError."""
        if not name:
            raise ValueError("the name of a label is empty")
        positive, negative = (Operator.MATCH, Operator.NOT_MATCH) if is_regex else (Operator.EQUAL, Operator.NOT_EQUAL)
        return cls(name, positive if is_equal else negative, value)


class State(StrEnum):
    """PENDING: it will mute, and does not now; so is one that recurs, between its windows."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A silence as somebody asks for it: from `starts_at`, or from now, to `ends_at` or for a `duration`.

    One with a `recurrence` need not say when it ends.
    """

    matchers: tuple[SilenceMatcher, ...]
    comment: str
    created_by: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    duration: timedelta | None = None
    recurrence: Recurrence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a silence says. With a `recurrence` it mutes only inside the windows of that."""

    matchers: tuple[SilenceMatcher, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    recurrence: Recurrence | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "matchers": [str(matcher) for matcher in self.matchers],
            "starts_at": rfc3339(self.starts_at),
            "ends_at": rfc3339(self.ends_at),
            "created_by": self.created_by,
            "comment": self.comment,
            "recurrence": self.recurrence.as_json() if self.recurrence is not None else None,
        }

    def window(self, now: datetime) -> Window | None:
        """From when to when it mutes, where that is now; of one that recurs the window, as far as it is its own."""
        if not self.starts_at <= now < self.ends_at:
            return None
        return self._own(self.recurrence.current(now)) if self.recurrence is not None else self._whole

    def next_window(self, now: datetime) -> Window | None:
        """When it mutes next, after now."""
        if now < self.starts_at:
            return self.window(self.starts_at) or self._next(self.starts_at)
        return self._next(now)

    @property
    def _whole(self) -> Window:
        return Window(self.starts_at, self.ends_at)

    def _next(self, now: datetime) -> Window | None:
        return self._own(self.recurrence.next(now, self.ends_at)) if self.recurrence is not None else None

    def _own(self, window: Window | None) -> Window | None:
        if window is None or window.starts_at >= self.ends_at:
            return None
        return Window(max(window.starts_at, self.starts_at), min(window.ends_at, self.ends_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence(Terms):
    """A silence as it is kept."""

    id: str
    revision: int
    created_at: datetime
    updated_at: datetime

    @property
    def terms(self) -> Terms:
        return Terms(**{field.name: getattr(self, field.name) for field in fields(Terms)})

    def state(self, now: datetime) -> State:
        if self.ends_at <= now:
            return State.EXPIRED
        return State.PENDING if self.window(now) is None else State.ACTIVE

    def may_become(self, terms: Terms, now: datetime) -> bool:
        """Whether these can be its own terms without a change of what it has muted so far."""
        same = set(terms.matchers) == set(self.matchers) and terms.recurrence == self.recurrence
        if not same or self.ends_at <= now:
            return False
        if now < self.starts_at:
            return terms.starts_at >= now
        return terms.starts_at == self.starts_at


def agreed(draft: Draft, now: datetime) -> Terms:
    """The terms that a draft comes to. Raises Invalid with the place of each finding.

    A start in the past stays one here, because it may be that of a silence that is to be changed.
    """
    starts_at = draft.starts_at or now
    ends_at = draft.ends_at
    if draft.duration is not None:
        ends_at = max(starts_at, now) + draft.duration
    elif ends_at is None and draft.recurrence is not None:
        ends_at = OPEN_END
    terms = Terms(
        matchers=draft.matchers,
        starts_at=starts_at,
        ends_at=ends_at or starts_at,
        created_by=draft.created_by,
        comment=draft.comment,
        recurrence=draft.recurrence,
    )
    findings = [*_matchers(draft.matchers), *(_times(terms, now) if ends_at is not None else [_ENDLESS])]
    if findings:
        first = findings[0]
        message = f"{'.'.join(map(str, first.loc))}: {first.message}"
        raise Invalid(message, code="silence.invalid", details=findings)
    return terms


def sent_back(terms: Terms, before: Terms) -> Terms:
    """Terms made from those before: a start of the same second is the same, for not everyone keeps its fraction."""
    is_same = int(terms.starts_at.timestamp()) == int(before.starts_at.timestamp())
    return replace(terms, starts_at=before.starts_at) if is_same else terms


def from_now(terms: Terms, now: datetime) -> Terms:
    """Nothing is muted in hindsight."""
    return replace(terms, starts_at=max(terms.starts_at, now))


def revised(silence: Silence, changes: Mapping[str, Any]) -> Draft:
    """What comes of a silence when fields of its draft are replaced."""
    stays = {field.name: getattr(silence, field.name) for field in fields(Terms)}
    if changes.get("duration") is not None:
        stays["ends_at"] = None
    return Draft(**{**stays, **changes})


def _matchers(matchers: Sequence[SilenceMatcher]) -> list[Detail]:
    if len(matchers) > MAX_MATCHERS:
        return [Detail(("matchers",), f"at most {MAX_MATCHERS} matchers")]
    # As Alertmanager has it: a negative one never counts as matching nothing.
    if all(matcher.matches({}) and not matcher.operator.is_negative for matcher in matchers):
        return [Detail(("matchers",), "at least one matcher must not match the empty string")]
    return []


def _times(terms: Terms, now: datetime) -> list[Detail]:
    latest = OPEN_END if terms.recurrence is not None else OPEN_END - timedelta.resolution
    if terms.ends_at > latest:
        return [Detail(("ends_at",), f"a silence ends before {OPEN_END:%Y}, unless it recurs")]
    if terms.ends_at <= terms.starts_at:
        return [Detail(("ends_at",), "must be after starts_at")]
    if terms.ends_at <= now:
        return [Detail(("ends_at",), "lies in the past")]
    if terms.window(max(now, terms.starts_at)) is None and terms.next_window(now) is None:
        years = LOOK_AHEAD.days // 365
        return [Detail(("recurrence", "rrule"), f"no window begins before the silence ends, or within {years} years")]
    return []
