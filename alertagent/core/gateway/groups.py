"""What fires, by group: a group for each route and each set of labels that the route groups by. Pure.

Of the alerts of a group only the keys are kept until they are written. Order is Alertmanager's, so that two answers can
be compared line by line. Source: prometheus/alertmanager, `dispatch/dispatch.go`, `types/types.go`; prometheus/common,
`model/labelset.go`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from alertagent.core.gateway import render
from alertagent.core.gateway.model import Question
from alertagent.core.routing.model import Route, RoutingTable
from alertagent.core.routing.stages import first_drop, off_time
from alertagent.kernel.labels import Labels

_INVERTED = bytes(255 - byte for byte in range(256))


@dataclass(slots=True)
class Group:
    """`place` sorts it among others. `keys` are the fingerprints of its alerts, with a space after each."""

    route: Route
    place: tuple[str, str]
    keys: bytearray = field(default_factory=bytearray)

    @property
    def fingerprints(self) -> list[str]:
        return self.keys.decode().split()

    def labels_of(self, member: Labels) -> Labels:
        """The labels that an alert of it shares with all others of it."""
        return common(self.route, member)


class Grouping:
    """Gathers the groups that a question asks for."""

    def __init__(self, table: RoutingTable, question: Question, now: datetime) -> None:
        self._table = table
        self._question = question
        self._now = now
        self._muted: dict[str, tuple[str, ...]] = {}
        self._groups: dict[tuple[str, str], Group] = {}

    @property
    def groups(self) -> list[Group]:
        return list(self._groups.values())

    def of(self, routes: Iterable[Route], labels: Labels) -> Sequence[Group]:
        """The groups that an alert with these labels is in, if these routes take it."""
        heard = [route for route in routes if self._question.hears(route.receiver)]
        if not self._question.muted:
            heard = [route for route in heard if not self.muted_by(route)]
        return [self._group(route, place_of(common(route, labels))) for route in heard]

    def muted_by(self, route: Route) -> tuple[str, ...]:
        """The time intervals because of which the route tells nobody now."""
        if route.key not in self._muted:
            drop = first_drop(off_time(route, self._table, self._now))
            self._muted[route.key] = drop.by if drop is not None else ()
        return self._muted[route.key]

    def _group(self, route: Route, place: str) -> Group:
        key = route.key, place
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(route, (place, route.receiver))
        return group


class Pages:
    """Writes groups one after the other, each some alerts at a time."""

    def __init__(self) -> None:
        self._open: Group | None = None
        self._is_empty = True

    def written(self, group: Group, labels: Labels, alerts: Sequence[bytes]) -> Iterator[bytes]:
        """More alerts, at least one, of this group: of the one before, or of the next."""
        if group is self._open:
            yield b","
        else:
            yield b"[" if self._is_empty else b"]},"
            yield render.group(labels, group.route.receiver)
            self._open, self._is_empty = group, False
        yield b",".join(alerts)

    def end(self) -> bytes:
        return b"[]" if self._is_empty else b"]}]"


def grouped_by(routes: Iterable[Route]) -> Sequence[str] | None:
    """The labels by which any of these routes groups; None where one groups by all."""
    names: set[str] = set()
    for route in routes:
        if route.group_by is None:
            return None
        names.update(route.group_by)
    return sorted(names)


def common(route: Route, labels: Labels) -> Labels:
    """The labels of a group that an alert with these is in."""
    names = labels if route.group_by is None else route.group_by
    return {name: labels[name] for name in sorted(names) if name in labels}


def place_of(labels: Labels) -> str:
    """A text that sorts as Alertmanager sorts sets of labels.

    Fewer come first; then, at the first difference in the order of names, the greater name or the smaller value.
    """
    names, form = _shape(tuple(labels))
    return form % tuple([labels[name] for name in names])


def place_of_member(labels: Labels) -> str:
    """Those of one job, and of one instance, stand together; those without one come last."""
    job, instance = labels.get("job"), labels.get("instance")
    first = "\1" if job is None else f"\0{job}\0"
    second = "\1" if instance is None else f"\0{instance}\0"
    return first + second + place_of(labels)


@lru_cache(maxsize=4096)
def _shape(names: tuple[str, ...]) -> tuple[Sequence[str], str]:
    """Such names in order, and the place of labels that have them, where values are to be filled in."""
    ordered = sorted(names)
    inverted = [name.encode().translate(_INVERTED).decode("latin-1").replace("%", "%%") for name in ordered]
    return ordered, f"{len(names):08x}\0" + "".join(f"{name}\xff%s\0" for name in inverted)
