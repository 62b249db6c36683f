"""Who hears of an alert and what holds it back, for many alerts in a row.

What depends on a few labels only is looked up once for all alerts that agree in these. An answer takes seconds, and for
these what was found is good enough.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from alertagent.core.gateway.model import Question, Standing
from alertagent.core.notify.inhibiting import inhibitors
from alertagent.core.routing.inhibition import as_target
from alertagent.core.routing.model import Route, RoutingTable
from alertagent.core.silences.coverage import ActiveSilences
from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import Matcher
from alertagent.storage.database import Database

# So many different combinations of labels are remembered.
REMEMBERED = 10_000

Values = tuple[str, ...]

_FREE = Standing()


@dataclass(frozen=True, slots=True)
class Taken:
    """The routes at which an alert arrives, their receivers, and by name those receivers that are asked for."""

    routes: Sequence[Route]
    receivers: Values
    heard: Values


class Takers:
    """Which routes take an alert, by the labels that their matchers look at."""

    def __init__(self, table: RoutingTable, question: Question) -> None:
        self._table = table
        self._question = question
        self.names = names_in(matcher for route in table.root.all() for matcher in route.matchers)
        self._known: dict[Values, Taken] = {}

    def of(self, labels: Labels) -> Taken:
        return self.by(tuple([labels.get(name, "") for name in self.names]))

    def by(self, values: Values) -> Taken:
        """For the values of `names`."""
        taken = self._known.get(values)
        if taken is None:
            make_room(self._known)
            routes = self._table.takers(dict(zip(self.names, values, strict=True)))
            receivers = tuple(route.receiver for route in routes)
            heard = tuple(sorted(filter(self._question.hears, receivers)))
            taken = self._known[values] = Taken(routes, receivers, heard)
        return taken


class Judge:
    """What holds alerts back at one moment."""

    def __init__(self, database: Database, table: RoutingTable, silences: ActiveSilences) -> None:
        self._database = database
        self._table = table
        self._silences = silences
        rules = table.inhibitions
        self._matched = names_in(matcher for rule in rules for matcher in (*rule.source, *rule.target))
        self._names = sorted({*self._matched, *(name for rule in rules for name in rule.equal)})
        self._targets: dict[Values, bool] = {}
        self._inhibitors: dict[Values, Values] = {}

    async def standings(self, alerts: Sequence[Labels]) -> Sequence[Standing]:
        """Of each of these alerts."""
        inhibited = await self._inhibited(alerts) if self._table.inhibitions else [()] * len(alerts)
        return [
            Standing(silenced_by=tuple([each.id for each in silences]), inhibited_by=by) if silences or by else _FREE
            for silences, by in zip(map(self._silences.muting, alerts), inhibited, strict=True)
        ]

    async def _inhibited(self, alerts: Sequence[Labels]) -> Sequence[Values]:
        names = self._names
        keys = [
            tuple([labels.get(name, "") for name in names]) if self._is_target(labels) else None for labels in alerts
        ]
        make_room(self._inhibitors)
        unknown = list({key for key in keys if key is not None and key not in self._inhibitors})
        if unknown:
            asked = ((str(place), dict(zip(names, key, strict=True))) for place, key in enumerate(unknown))
            found = await inhibitors(self._database, self._table, asked)
            self._inhibitors |= {key: found.get(str(place), ()) for place, key in enumerate(unknown)}
        return [self._inhibitors[key] if key is not None else () for key in keys]

    def _is_target(self, labels: Labels) -> bool:
        """Whether any inhibition concerns such an alert, whatever else fires."""
        values = tuple([labels.get(name, "") for name in self._matched])
        known = self._targets.get(values)
        if known is None:
            make_room(self._targets)
            sides = as_target(self._table.inhibitions, dict(zip(self._matched, values, strict=True)))
            known = self._targets[values] = any(True for _ in sides)
        return known


def names_in(matchers: Iterable[Matcher]) -> Sequence[str]:
    """The labels that they look at."""
    return sorted({matcher.name for matcher in matchers})


def make_room(known: dict[Any, Any]) -> None:
    if len(known) >= REMEMBERED:
        known.clear()
