"""Where alerts go: the tree of routes, who stands behind a receiver, and what a channel already knows. Pure.

The words mean what they mean in Alertmanager. A receiver is a channel by its name, all channels of a user as
`user:<id>`, or several of these under one name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Protocol

from alertagent.kernel.ids import digest
from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import Matcher
from alertagent.kernel.record import record

# Before the id of a user: the name for all of their channels. No channel gets a name that begins so.
USER = "user:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who hears of an alert and how it is grouped, with everything it has from its parents.

    `key` names the route among all others and stays the same for as long as its matchers and those above it do: groups
    are known by it. `group_by` is None where alerts are grouped by all of their labels.
    """

    key: str
    receiver: str
    group_by: tuple[str, ...] | None
    group_wait: timedelta
    group_interval: timedelta
    repeat_interval: timedelta
    matchers: tuple[Matcher, ...] = ()
    continues: bool = False
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    routes: "tuple[Route, ...]" = ()

    def takers(self, labels: Labels) -> list["Route"]:
        """Every route at which an alert with these labels arrives, in order; none where this one does not take it.

        An alert goes as deep as it can, and past a route that took it only where that continues. Source:
        prometheus/alertmanager, `dispatch/route.go`.
        """
        if not all(matcher.matches(labels) for matcher in self.matchers):
            return []
        taken: list[Route] = []
        for route in self.routes:
            below = route.takers(labels)
            taken += below
            if below and not route.continues:
                break
        return taken or [self]

    def all(self) -> Iterator["Route"]:
        """This route and all below it, parents first."""
        yield self
        for route in self.routes:
            yield from route.all()


class Calendar(Protocol):
    """A named time interval, ready to be asked."""

    def covers(self, moment: datetime) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Inhibition:
    """While an alert fires that fits `source`, those that fit `target` and agree with it in `equal` are held back."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]
    name: str = ""

    @cached_property
    def key(self) -> str:
        """The same for as long as the inhibition means the same, whatever stands around it."""
        sides = [sorted(map(str, self.source)), sorted(map(str, self.target)), sorted(set(self.equal))]
        return digest(repr(sides))


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """The channels, by name, that hear of what goes to a receiver; `user:<id>` is each channel of that user."""

    name: str
    channels: tuple[str, ...]
    send_resolved: bool = True

    def leads_to(self, channel: str, user_id: str | None) -> bool:
        """Whether it means the channel of this name, which is that of this user."""
        return channel in self.channels or (user_id is not None and user_receiver(user_id) in self.channels)


@dataclass(frozen=True, kw_only=True)
class RoutingTable:
    """A routing document, understood. Revision 0 is the one in force until a document is stored.

    A receiver that `receivers` does not name is the channel, or the user, of the same name; where `receivers` is None,
    every enabled channel marked `default` hears of everything.
    """

    revision: int
    root: Route
    inhibitions: tuple[Inhibition, ...] = ()
    intervals: Mapping[str, Calendar] = field(default_factory=dict)
    receivers: Mapping[str, Receiver] | None = field(default_factory=dict)

    def takers(self, labels: Labels) -> list[Route]:
        """Every route at which an alert with these labels arrives; at least the root."""
        return self.root.takers(labels)

    def route(self, key: str) -> Route | None:
        return self._by_key.get(key)

    def receiver(self, name: str) -> Receiver | None:
        """Who stands behind this name; None: every default channel."""
        if self.receivers is None:
            return None
        return self.receivers.get(name) or Receiver(name=name, channels=(name,))

    @cached_property
    def _by_key(self) -> Mapping[str, Route]:
        return {route.key: route for route in self.root.all()}


def user_receiver(user_id: str) -> str:
    """What a receiver that is all channels of a user is called."""
    return f"{USER}{user_id}"


DEFAULT_ROUTE = Route(
    key="default",
    receiver="default",
    group_by=("alertname",),
    group_wait=timedelta(seconds=10),
    group_interval=timedelta(minutes=1),
    repeat_interval=timedelta(hours=4),
)

DEFAULT_TABLE = RoutingTable(revision=0, root=DEFAULT_ROUTE, receivers=None)


@record
class GroupId:
    """A group of a route: the labels that its alerts have in common by `group_by`."""

    key: str
    labels: Mapping[str, str]


@record
class Told:
    """What a channel was last told about a group: the alerts ("fingerprint/episode") in each state.

    `has_failed`: it should have been told, and nobody got through.
    """

    firing: frozenset[str]
    resolved: frozenset[str]
    at: datetime
    has_failed: bool = False
