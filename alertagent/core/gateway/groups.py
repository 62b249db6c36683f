"""What fires, by group: a group for each route and each set of labels that the route groups by. Pure.

Order is Alertmanager's, so that two answers can be compared line by line. Source: prometheus/alertmanager,
`dispatch/dispatch.go`, `types/types.go`; prometheus/common, `model/labelset.go`.
"""

from dataclasses import dataclass, field
from datetime import datetime

from alertagent.core.alerts.model import Alert
from alertagent.core.gateway import render
from alertagent.core.gateway.model import Question, Standing
from alertagent.core.routing.model import Route, RoutingTable
from alertagent.core.routing.stages import first_drop, off_time
from alertagent.kernel.labels import Labels

_INVERTED = bytes(255 - byte for byte in range(256))


@dataclass(frozen=True, slots=True)
class Member:
    """An alert that is written already, and its place among others."""

    place: bytes
    written: bytes


@dataclass(slots=True)
class Group:
    labels: Labels
    receiver: str
    members: list[Member] = field(default_factory=list)

    @property
    def place(self) -> tuple[bytes, str]:
        """Its place among others."""
        return place_of(self.labels), self.receiver


class Grouping:
    """Gathers the groups that a question asks for, alert by alert."""

    def __init__(self, table: RoutingTable, question: Question, now: datetime) -> None:
        self._table = table
        self._question = question
        self._now = now
        self._muted: dict[str, tuple[str, ...]] = {}
        self._groups: dict[tuple[str, tuple[tuple[str, str], ...]], Group] = {}

    @property
    def groups(self) -> list[Group]:
        return list(self._groups.values())

    def add(self, alert: Alert, standing: Standing) -> None:
        routes = [route for route in self._table.takers(alert.labels) if self._question.hears(route.receiver)]
        receivers = sorted(route.receiver for route in routes)
        members: dict[tuple[str, ...], Member] = {}
        for route in routes:
            muted = self._muted_by(route)
            if muted and not self._question.muted:
                continue
            if muted not in members:
                written = render.alert(alert, standing, receivers, muted)
                # A copy: orjson leaves four kilobytes of room around what it has written.
                members[muted] = Member(_place_of_member(alert.labels), bytes(memoryview(written)))
            self._group(route, alert.labels).members.append(members[muted])

    def _group(self, route: Route, labels: Labels) -> Group:
        common = {
            name: labels[name]
            for name in sorted(labels if route.group_by is None else route.group_by)
            if name in labels
        }
        return self._groups.setdefault((route.key, tuple(common.items())), Group(common, route.receiver))

    def _muted_by(self, route: Route) -> tuple[str, ...]:
        """The time intervals because of which the route tells nobody now."""
        if route.key not in self._muted:
            drop = first_drop(off_time(route, self._table, self._now))
            self._muted[route.key] = drop.by if drop is not None else ()
        return self._muted[route.key]


def place_of(labels: Labels) -> bytes:
    """Bytes that sort as Alertmanager sorts sets of labels.

    Fewer come first; then, at the first difference in the order of names, the greater name or the smaller value.
    """
    parts = [len(labels).to_bytes(4)]
    for name, value in sorted(labels.items()):
        parts += (name.encode().translate(_INVERTED), b"\xff", value.encode(), b"\0")
    return b"".join(parts)


def _place_of_member(labels: Labels) -> bytes:
    """Those of one job, and of one instance, stand together; those without one come last."""
    first = [b"\0" + labels[name].encode() + b"\0" if name in labels else b"\1" for name in ("job", "instance")]
    return b"".join([*first, place_of(labels)])
