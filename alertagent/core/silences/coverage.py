"""Which silences fit an alert, fast where both are many. Pure.

A silence is found by one of its matchers: by the value that it demands, and of several by the one that the fewest other
silences demand; or else by the label that its regular expression demands. Only silences without either are tried on
every alert.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from alertagent.core.silences.model import Silence, State
from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import Matcher, Operator

Pair = tuple[str, str]
"""The name and the value of a label."""


class Coverage:
    """Silences by what they demand of an alert."""

    def __init__(self, silences: Iterable[Silence]) -> None:
        self.silences: Sequence[Silence] = tuple(silences)
        self._by_value: dict[Pair, list[Silence]] = {}
        self._by_label: dict[str, list[tuple[Matcher, Silence]]] = {}
        self._others: list[Silence] = []
        # What the expressions on a label say of a value; a storm has many alerts and few values.
        self._said: dict[Pair, Sequence[Silence]] = {}
        frequency = Counter(pair for silence in self.silences for pair in _values(silence))
        for silence in self.silences:
            self._place(silence, frequency)

    def fitting(self, labels: Labels) -> list[Silence]:
        """The silences that fit such an alert, whatever the time."""
        return [silence for silence in self._candidates(labels) if silence.fits(labels)]

    def _place(self, silence: Silence, frequency: Counter[Pair]) -> None:
        pairs = _values(silence)
        if pairs:
            self._by_value.setdefault(min(pairs, key=lambda pair: frequency[pair]), []).append(silence)
        elif (matcher := _demanding(silence)) is not None:
            self._by_label.setdefault(matcher.name, []).append((matcher, silence))
        else:
            self._others.append(silence)

    def _candidates(self, labels: Labels) -> Iterator[Silence]:
        yield from self._others
        for pair in labels.items():
            yield from self._by_value.get(pair, ())
            if pair[0] in self._by_label:
                yield from self._expressed(pair)

    def _expressed(self, pair: Pair) -> Sequence[Silence]:
        known = self._said.get(pair)
        if known is None:
            if len(self._said) >= MAX_SAID:
                self._said.clear()
            label = dict([pair])
            known = tuple(silence for matcher, silence in self._by_label[pair[0]] if matcher.matches(label))
            self._said[pair] = known
        return known


MAX_SAID = 100_000


class ActiveSilences:
    """The silences that mute at one moment."""

    def __init__(self, coverage: Coverage, now: datetime) -> None:
        self._coverage = coverage
        self._now = now
        self._mutes: dict[str, bool] = {}

    def muting(self, labels: Labels) -> tuple[Silence, ...]:
        """Those that mute an alert with these labels, the oldest first; none: it may be told."""
        found = [silence for silence in self._coverage.fitting(labels) if self._mutes_now(silence)]
        return tuple(sorted(found, key=lambda silence: silence.id)) if len(found) > 1 else tuple(found)

    def resting(self) -> list[Silence]:
        """Those that have begun and are between two of their windows."""
        return [silence for silence in self._coverage.silences if not self._mutes_now(silence)]

    def _mutes_now(self, silence: Silence) -> bool:
        mutes = self._mutes.get(silence.id)
        if mutes is None:
            mutes = self._mutes[silence.id] = silence.state(self._now) is State.ACTIVE
        return mutes


def _values(silence: Silence) -> list[Pair]:
    return [
        (matcher.name, matcher.value)
        for matcher in silence.matchers
        if matcher.operator is Operator.EQUAL and matcher.value
    ]


def _demanding(silence: Silence) -> Matcher | None:
    """A regular expression that an alert without the label cannot fit."""
    expressions = (matcher for matcher in silence.matchers if matcher.operator is Operator.MATCH)
    return next((matcher for matcher in expressions if not matcher.matches({})), None)
