"""Which alerts can inhibit and which can be inhibited, as keys that can be looked up. Pure.

An alert that fits both sides of an inhibition is not inhibited by another one that does, so two such alerts cannot
silence each other. Source: prometheus/alertmanager, `inhibit/inhibit.go`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from alertagent.core.routing.model import Inhibition
from alertagent.kernel.ids import digest
from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import Matcher


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an inhibition that an alert takes. Two sides meet where `rule` and `agreed` are the same."""

    rule: str
    agreed: str
    is_both: bool


def as_source(inhibitions: Iterable[Inhibition], labels: Labels) -> Iterator[Side]:
    """What an alert inhibits while it fires."""
    for rule in inhibitions:
        if _fits(rule.source, labels):
            yield Side(rule.key, _agreed(rule, labels), _fits(rule.target, labels))


def as_target(inhibitions: Iterable[Inhibition], labels: Labels) -> Iterator[Side]:
    """What can inhibit an alert."""
    for rule in inhibitions:
        if _fits(rule.target, labels):
            yield Side(rule.key, _agreed(rule, labels), _fits(rule.source, labels))


def _agreed(rule: Inhibition, labels: Labels) -> str:
    """A label that is missing counts as empty, so it agrees with one that is missing, too."""
    return digest(repr([labels.get(name, "") for name in sorted(set(rule.equal))]))


def _fits(matchers: Iterable[Matcher], labels: Labels) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)
