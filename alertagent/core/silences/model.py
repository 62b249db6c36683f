"""What a silence is, and how one may change. Pure.

What a silence has muted so far stays on record: a change that would alter it ends the silence and begins another. So it
is in Alertmanager, too. Source: prometheus/alertmanager, `silence/silence.go`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Self

from alertagent.kernel.clock import rfc3339
from alertagent.kernel.errors import Detail, Invalid
from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import Matcher, Operator

MAX_MATCHERS = 100

# Times lie before this one, which stands for "until somebody ends it".
OPEN_END = datetime(2100, 1, 1, tzinfo=UTC)


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
    """PENDING: it mutes nothing yet."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A silence as somebody asks for it: from `starts_at`, or from now, to `ends_at` or for a `duration`."""

    matchers: tuple[SilenceMatcher, ...]
    comment: str
    created_by: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    duration: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a silence says."""

    matchers: tuple[SilenceMatcher, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str

    def as_json(self) -> dict[str, Any]:
        return {
            "matchers": [str(matcher) for matcher in self.matchers],
            "starts_at": rfc3339(self.starts_at),
            "ends_at": rfc3339(self.ends_at),
            "created_by": self.created_by,
            "comment": self.comment,
        }


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
        return State.PENDING if now < self.starts_at else State.ACTIVE

    def fits(self, labels: Labels) -> bool:
        """Whether it is meant for such an alert, whatever the time."""
        return all(matcher.matches(labels) for matcher in self.matchers)

    def may_become(self, terms: Terms, now: datetime) -> bool:
        """Whether these can be its own terms without a change of what it has muted so far.

        Starts are compared by the second, because not everyone who sends one back keeps its fraction.
        """
        if set(terms.matchers) != set(self.matchers) or self.ends_at <= now:
            return False
        if now < self.starts_at:
            return terms.starts_at >= now
        return int(terms.starts_at.timestamp()) == int(self.starts_at.timestamp())


def agreed(draft: Draft, now: datetime) -> Terms:
    """The terms that a draft comes to. Raises Invalid with the place of each finding.

    A start in the past stays one here, because it may be that of a silence that is to be changed.
    """
    starts_at = draft.starts_at or now
    ends_at = draft.ends_at
    if draft.duration is not None:
        ends_at = max(starts_at, now) + draft.duration
    findings = [*_matchers(draft.matchers), *_times(starts_at, ends_at, now)]
    if findings or ends_at is None:
        first = findings[0]
        message = f"{'.'.join(map(str, first.loc))}: {first.message}"
        raise Invalid(message, code="silence.invalid", details=findings)
    return Terms(
        matchers=draft.matchers,
        starts_at=starts_at,
        ends_at=ends_at,
        created_by=draft.created_by,
        comment=draft.comment,
    )


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


def _times(starts_at: datetime, ends_at: datetime | None, now: datetime) -> list[Detail]:
    if ends_at is None:
        return [Detail(("ends_at",), "say when it ends, by ends_at or by duration")]
    if max(starts_at, ends_at) >= OPEN_END:
        return [Detail(("ends_at",), f"a silence ends before {OPEN_END:%Y}")]
    if ends_at <= starts_at:
        return [Detail(("ends_at",), "must be after starts_at")]
    if ends_at <= now:
        return [Detail(("ends_at",), "lies in the past")]
    return []
