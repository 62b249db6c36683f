"""What fires, by group: a group for each route and each set of labels that the route groups by. Pure.

Order is Alertmanager's, so that two answers can be compared line by line. Source: prometheus/alertmanager,
`dispatch/dispatch.go`, `types/types.go`; prometheus/common, `model/labelset.go`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from alertagent.core.alerts.model import Alert
from alertagent.core.gateway import render
from alertagent.core.gateway.model import Question, Standing, muted_by
from alertagent.core.routing.model import Route, RoutingTable
from alertagent.kernel.labels import Labels

Pairs = tuple[tuple[str, str], ...]
"""Labels in the order of their names."""


@dataclass(frozen=True, slots=True)
class Member:
    """An alert, written already, and its labels."""

    labels: Pairs
    written: bytes


@dataclass(slots=True)
class Group:
    labels: Pairs
    receiver: str
    members: list[Member] = field(default_factory=list)


class Grouping:
    """Gathers the groups that a question asks for, alert by alert."""

    def __init__(self, table: RoutingTable, question: Question, now: datetime) -> None:
        self._table = table
        self._question = question
        self._now = now
        self._muted: dict[str, tuple[str, ...]] = {}
        self._groups: dict[tuple[str, Pairs], Group] = {}

    @property
    def groups(self) -> list[Group]:
        return list(self._groups.values())

    def add(self, alert: Alert, standing: Standing) -> None:
        routes = [route for route in self._table.takers(alert.labels) if self._question.hears(route.receiver)]
        receivers = sorted(route.receiver for route in routes)
        labels = pairs(alert.labels)
        written: dict[tuple[str, ...], Member] = {}
        for route in routes:
            muted = self._muted_by(route)
            if muted and not self._question.muted:
                continue
            if muted not in written:
                written[muted] = Member(labels, render.alert(alert, standing, receivers, muted))
            self._group(route, labels).members.append(written[muted])

    def _group(self, route: Route, labels: Pairs) -> Group:
        by = labels if route.group_by is None else tuple(pair for pair in labels if pair[0] in route.group_by)
        return self._groups.setdefault((route.key, by), Group(by, route.receiver))

    def _muted_by(self, route: Route) -> tuple[str, ...]:
        if route.key not in self._muted:
            self._muted[route.key] = muted_by(self._table, route, self._now)
        return self._muted[route.key]


def pairs(labels: Labels) -> Pairs:
    return tuple(sorted(labels.items()))


class Order:
    """Keys by which groups and their alerts are sorted, for all of whose labels the names are known."""

    def __init__(self, all_labels: Iterable[Pairs]) -> None:
        names = sorted({name for labels in all_labels for name, _ in labels}, reverse=True)
        self._ranks: Mapping[str, int] = {name: rank for rank, name in enumerate(names)}

    def group(self, group: Group) -> tuple[object, ...]:
        return (*self._labels(group.labels), group.receiver)

    def member(self, member: Member) -> tuple[object, ...]:
        """Like those of one job and one instance, which stand together; those without come last."""
        labels = dict(member.labels)
        places = tuple((name not in labels, labels.get(name, "")) for name in ("job", "instance"))
        return (*places, *self._labels(member.labels))

    def _labels(self, labels: Pairs) -> tuple[int, Sequence[tuple[int, str]]]:
        """Fewer labels come first; then, at the first difference, the greater name or the smaller value."""
        return len(labels), tuple((self._ranks[name], value) for name, value in labels)
