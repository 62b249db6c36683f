"""Which silences fit an alert, fast where both are many. Pure.

A silence is found by what one of its matchers demands: one of some values, or a beginning and a text in it, for which
values are searched before an expression is tried on them. Of several that is the one that the fewest other silences
demand. Only silences that demand nothing are tried on every alert.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from alertagent.core.silences.demand import Demand, demand_of
from alertagent.core.silences.model import Silence, State
from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import Matcher

# Of so many values it is remembered what expressions say of them.
REMEMBERED = 100_000

Pair = tuple[str, str]
"""The name of a label, and its value or the beginning of that."""

Key = Pair | tuple[str, str, str]
"""The name of a label and its value, or the beginning of that and what else is in it."""

Candidate = tuple[Silence, Sequence[Matcher]]
"""A silence, and those of its matchers of which nothing is known yet."""


class Coverage:
    """Silences by what they demand of an alert."""

    def __init__(self, silences: Iterable[Silence]) -> None:
        self.silences: Sequence[Silence] = tuple(silences)
        self._by_value: dict[Pair, list[Candidate]] = {}
        # And by the text that is in the value.
        self._by_prefix: dict[Pair, dict[str, list[tuple[Matcher, Candidate]]]] = {}
        self._lengths: dict[str, set[int]] = {}
        self._others: list[Candidate] = []
        # Alerts are many and their values few.
        self._said: dict[Pair, Sequence[Candidate]] = {}
        demands = [_demands(silence) for silence in self.silences]
        frequency = Counter(key for each in demands for demand in each for key in _keys(demand))
        for silence, each in zip(self.silences, demands, strict=True):
            self._place(silence, _rarest(each, frequency))

    def fitting(self, labels: Labels) -> list[Silence]:
        """The silences that fit such an alert, whatever the time."""
        return [silence for silence, rest in self._candidates(labels) if all(each.matches(labels) for each in rest)]

    def _place(self, silence: Silence, demand: Demand | None) -> None:
        if demand is None:
            self._others.append((silence, silence.matchers))
            return
        name = demand.matcher.name
        rest = [matcher for matcher in silence.matchers if matcher is not demand.matcher]
        candidate = silence, sorted(rest, key=lambda matcher: matcher.operator.is_regex)
        for value in demand.values:
            self._by_value.setdefault((name, value), []).append(candidate)
        if not demand.values:
            by_text = self._by_prefix.setdefault((name, demand.prefix), {})
            by_text.setdefault(demand.inner, []).append((demand.matcher, candidate))
            self._lengths.setdefault(name, set()).add(len(demand.prefix))

    def _candidates(self, labels: Labels) -> Iterator[Candidate]:
        yield from self._others
        for pair in labels.items():
            yield from self._by_value.get(pair, ())
            if pair[0] in self._lengths:
                yield from self._expressed(pair)

    def _expressed(self, pair: Pair) -> Sequence[Candidate]:
        """Those whose expression fits the value."""
        known = self._said.get(pair)
        if known is None:
            if len(self._said) >= REMEMBERED:
                self._said.clear()
            known = self._said[pair] = tuple(self._by_expression(*pair))
        return known

    def _by_expression(self, name: str, value: str) -> Iterator[Candidate]:
        label = {name: value}
        for length in self._lengths[name]:
            if length <= len(value):
                for text, found in self._by_prefix.get((name, value[:length]), {}).items():
                    if text in value:
                        yield from (candidate for matcher, candidate in found if matcher.matches(label))


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


def _demands(silence: Silence) -> Sequence[Demand]:
    return [demand for matcher in silence.matchers if (demand := demand_of(matcher)) is not None]


def _rarest(demands: Sequence[Demand], frequency: Counter[Key]) -> Demand | None:
    return min(demands, key=lambda demand: max(frequency[key] for key in _keys(demand)), default=None)


def _keys(demand: Demand) -> Sequence[Key]:
    """What others may demand, too: the values, or the beginning."""
    name = demand.matcher.name
    return [(name, value) for value in demand.values] or [(name, demand.prefix, demand.inner)]
