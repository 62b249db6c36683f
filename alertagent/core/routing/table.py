"""From the routing document to the table by which alerts are routed. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from alertagent.core.alertmanager.document import ALL_LABELS, InhibitRule, Tree
from alertagent.core.alertmanager.document import Route as Given
from alertagent.core.alertmanager.routes import matchers_of, source_of, target_of
from alertagent.core.routing.document import RoutingDocument
from alertagent.core.routing.model import DEFAULT_ROUTE, Inhibition, Receiver, Route, RoutingTable
from alertagent.core.routing.times import calendar_of
from alertagent.kernel.durations import format_duration
from alertagent.kernel.matchers import Matcher, Operator

_OPERATORS = list(Operator)

# What a root has that says nothing else. Source: prometheus/alertmanager, `dispatch/route.go` (`DefaultRouteOpts`).
DEFAULTS = Route(
    key="",
    receiver="",
    group_by=(),
    group_wait=timedelta(seconds=30),
    group_interval=timedelta(minutes=5),
    repeat_interval=timedelta(hours=4),
)


def table_of(document: RoutingDocument, revision: int) -> RoutingTable:
    """The document must be a valid one."""
    return RoutingTable(
        revision=revision,
        root=tree_of(document),
        inhibitions=tuple(map(_inhibition, document.inhibit_rules or ())),
        intervals={interval.name or "": calendar_of(interval) for interval in document.intervals},
        receivers={
            entry.name or "": Receiver(
                name=entry.name or "",
                channels=tuple(dict.fromkeys(entry.leads_to)),
                send_resolved=entry.send_resolved is not False,
            )
            for entry in document.receivers or ()
        },
    )


def tree_of(tree: Tree) -> Route:
    """The routes of a valid document, each with what it has from its parents."""
    return _route(tree.route or Given(), DEFAULTS, "{}", ())


def _route(given: Given, above: Route, key: str, matchers: tuple[Matcher, ...]) -> Route:
    """Intervals are for the route alone, all else is for those below too."""
    own = Route(
        key=key,
        receiver=given.receiver or above.receiver,
        group_by=_group_by(given, above),
        group_wait=_or(given.group_wait, above.group_wait),
        group_interval=_or(given.group_interval, above.group_interval),
        repeat_interval=_or(given.repeat_interval, above.repeat_interval),
        matchers=matchers,
        continues=bool(given.continue_),
        mute_time_intervals=given.mute_time_intervals or (),
        active_time_intervals=given.active_time_intervals or (),
    )
    return replace(own, routes=tuple(_below(given.routes or (), own)))


def _below(given: Iterable[Given], parent: Route) -> Iterator[Route]:
    """Siblings with the same matchers would share a key, so that all but the first get a number."""
    seen: Counter[str] = Counter()
    for child in given:
        matchers = _sorted(matchers_of(child))
        shown = f"{{{','.join(map(str, matchers))}}}"
        seen[shown] += 1
        suffix = f"#{seen[shown]}" if seen[shown] > 1 else ""
        yield _route(child, parent, f"{parent.key}/{shown}{suffix}", matchers)


def _group_by(given: Given, above: Route) -> tuple[str, ...] | None:
    if not given.group_by:
        return above.group_by
    return None if ALL_LABELS in given.group_by else given.group_by


def _or(given: timedelta | None, inherited: timedelta) -> timedelta:
    return given if given is not None else inherited


def _inhibition(rule: InhibitRule) -> Inhibition:
    return Inhibition(
        source=_sorted(source_of(rule)),
        target=_sorted(target_of(rule)),
        equal=tuple(dict.fromkeys(rule.equal or ())),
        name=rule.name or "",
    )


def _sorted(matchers: Iterable[Matcher]) -> tuple[Matcher, ...]:
    """As Alertmanager sorts them, so that their order in the document does not change a key."""
    return tuple(sorted(matchers, key=lambda each: (each.name, each.value, _OPERATORS.index(each.operator))))


def default_values(channels: Iterable[str]) -> dict[str, Any]:
    """What happens while no document is stored, as a document: these channels hear of everything."""
    route = DEFAULT_ROUTE
    times = ("group_wait", "group_interval", "repeat_interval")
    return {
        "route": {
            "receiver": route.receiver,
            "group_by": list(route.group_by or ()),
            **{name: format_duration(getattr(route, name)) for name in times},
        },
        "receivers": [{"name": route.receiver, "channels": list(channels), "send_resolved": True}],
    }
