"""Which of the alerts that fire would be told to others, were another table in force. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alertagent.core.alerts.model import Alert
from alertagent.core.routing.model import RoutingTable
from alertagent.kernel.labels import Labels

# Nobody waits for the walk of more alerts than these, or for more steps in it.
MOST_ALERTS = 10_000
MOST_STEPS = 2_000_000

FIRST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One alert, and the channels that hear of it now and then."""

    alert: Alert
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """`count` of `looked_at` alerts move. `total` is how many fire, None where they are more than are counted."""

    count: int
    looked_at: int
    total: int | None
    first: tuple[Move, ...]


def reach(before: RoutingTable, after: RoutingTable) -> int:
    """How many alerts can be walked through both tables in the time that somebody waits."""
    steps = sum(1 for table in (before, after) for _ in table.root.all())
    return max(1, min(MOST_ALERTS, MOST_STEPS // steps))


def moves_of(
    alerts: Sequence[Alert],
    total: int | None,
    before: RoutingTable,
    after: RoutingTable,
    *,
    defaults: Iterable[str],
) -> Moves:
    """`defaults` are the channels that hear of everything while no document is stored."""
    everybody = tuple(sorted(defaults))
    count = 0
    first: list[Move] = []
    for alert in alerts:
        now, then = hearers(before, alert.labels, everybody), hearers(after, alert.labels, everybody)
        if now != then:
            count += 1
            if len(first) < FIRST:
                first.append(Move(alert=alert, before=now, after=then))
    return Moves(count=count, looked_at=len(alerts), total=total, first=tuple(first))


def hearers(table: RoutingTable, labels: Labels, defaults: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the channels that hear of an alert with these labels, unless something holds it back."""
    names: set[str] = set()
    for route in table.takers(labels):
        receiver = table.receiver(route.receiver)
        names.update(defaults if receiver is None else receiver.channels)
    return tuple(sorted(names))
