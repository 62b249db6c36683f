"""Where the alert with these labels would go: Alertmanager's walk down the tree of routes. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from alertagent.core.alertmanager.document import ALL_LABELS, Document, Route
from alertagent.core.alertmanager.routes import matchers_of
from alertagent.core.alertmanager.walk import Loc
from alertagent.kernel.labels import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A route at which an alert arrives, with what it has from its parents. `group_by` None: by all labels."""

    loc: Loc
    receiver: str
    group_by: tuple[str, ...] | None
    mute_time_intervals: tuple[str, ...]
    active_time_intervals: tuple[str, ...]


def destinations(document: Document, labels: Labels, *, utf8: bool = True) -> list[Destination]:
    """Every route that an alert with these labels ends at, in order. The document must be a valid one."""
    return list(_arrivals(document.route, labels, ("route",), ("", ()), utf8=utf8)) if document.route else []


def _arrivals(
    route: Route, labels: Labels, loc: Loc, inherited: tuple[str, tuple[str, ...] | None], *, utf8: bool
) -> Iterator[Destination]:
    """An alert goes as deep as it can, and past a route that took it only where that continues."""
    if not all(matcher.matches(labels) for matcher in matchers_of(route, utf8=utf8)):
        return
    receiver, group_by = route.receiver or inherited[0], inherited[1]
    if route.group_by is not None:
        group_by = None if ALL_LABELS in route.group_by else route.group_by
    is_taken = False
    for index, child in enumerate(route.routes or ()):
        below = list(_arrivals(child, labels, (*loc, "routes", index), (receiver, group_by), utf8=utf8))
        yield from below
        is_taken = is_taken or bool(below)
        if below and not child.continue_:
            break
    if not is_taken:
        yield Destination(
            loc=loc,
            receiver=receiver,
            group_by=group_by,
            mute_time_intervals=route.mute_time_intervals or (),
            active_time_intervals=route.active_time_intervals or (),
        )
