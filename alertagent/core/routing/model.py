"""Where alerts go: a route, the groups it forms, and what a channel already knows. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who hears of an alert and how it is grouped; the words mean what they mean in Alertmanager."""

    receiver: str
    group_by: tuple[str, ...]
    group_wait: timedelta
    group_interval: timedelta
    repeat_interval: timedelta
    send_resolved: bool = True


DEFAULT_ROUTE = Route(
    receiver="default",
    group_by=("alertname",),
    group_wait=timedelta(seconds=10),
    group_interval=timedelta(minutes=1),
    repeat_interval=timedelta(hours=4),
)
"""In force until a routing document is stored: every enabled channel marked `default` gets every alert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupId:
    """A group of a route: the labels that its alerts have in common by `group_by`."""

    key: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a channel was last told about a group: the alerts ("fingerprint/episode") in each state."""

    firing: frozenset[str]
    resolved: frozenset[str]
    at: datetime
