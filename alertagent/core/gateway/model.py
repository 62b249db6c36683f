"""What a question of Alertmanager's API v2 asks for, and what holds an alert back. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alertagent.core.alertmanager.matching import parse_filter, parse_matchers
from alertagent.kernel.matchers import Matcher, Operator

# The release of Alertmanager whose API v2 this is: the first that tells which alerts are muted by the time of the week.
SPOKEN = "0.28.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What holds an alert back: silences by id, other alerts by fingerprint."""

    silenced_by: Sequence[str] = ()
    inhibited_by: Sequence[str] = ()

    @property
    def is_active(self) -> bool:
        return not self.silenced_by and not self.inhibited_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which alerts are asked for. An alert that is held back counts as silenced, inhibited or both, else as active.

    `receiver` is a compiled pattern for the whole name of a receiver. `muted` concerns groups alone: whether those are
    shown whose route tells nobody at this time of the week. Source: prometheus/alertmanager, `api/v2/api.go`.
    """

    matchers: tuple[Matcher, ...] = ()
    receiver: Any = None
    active: bool = True
    silenced: bool = True
    inhibited: bool = True
    muted: bool = True

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels that every alert asked for has: what a database can look for."""
        return {m.name: m.value for m in self.matchers if m.operator is Operator.EQUAL and m.value}

    def hears(self, receiver: str) -> bool:
        return self.receiver is None or self.receiver.fullmatch(receiver) is not None

    def shows(self, standing: Standing) -> bool:
        return (
            (self.active or not standing.is_active)
            and (self.silenced or not standing.silenced_by)
            and (self.inhibited or not standing.inhibited_by)
        )


def read_filter(texts: Iterable[str]) -> tuple[Matcher, ...]:
    """The matchers of a filter, each text one of them or a whole `{a="b",c="d"}`. Raises ValueError."""
    return tuple(matcher for text in texts for matcher in _matchers(text))


def _matchers(text: str) -> tuple[Matcher, ...]:
    bare = text.strip()
    try:
        matchers = parse_matchers(bare) if bare.startswith("{") and bare.endswith("}") else parse_filter(bare)
    except ValueError as error:
        raise ValueError(f"bad matcher format: {text}: {error}") from error
    if not matchers or any("\x00" in matcher.name + matcher.value for matcher in matchers):
        raise ValueError(f'bad matcher format: {text}; write it as name="value", with =, !=, =~ or !~')
    return matchers
