"""A group while it is looked at: who must hear of it, what holds its alerts back, which of them leave it. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alertagent.core.alerts.model import Alert
from alertagent.core.notify.model import PlannedAlert
from alertagent.core.routing.model import Receiver, Route, RoutingTable, Told
from alertagent.core.routing.plan import group_of, is_settled, is_told_over, must_tell, next_look
from alertagent.core.routing.stages import Drop
from alertagent.kernel.clock import rfc3339
from alertagent.kernel.labels import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Alerts that are told together. `revision`: of the routing document by which they are in it."""

    key: str
    receiver: str
    labels: Mapping[str, str]
    route: str
    revision: int
    flush_at: datetime | None
    generation: int
    ticks_from: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A channel that may be told something."""

    id: str
    name: str
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who hears of a group: channels by their ids, and whether they want to hear of ends."""

    channels: tuple[str, ...] = ()
    send_resolved: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """One channel is to hear of one group."""

    group: Group
    channel_id: str
    alerts: list[dict[str, Any]]


@dataclass(slots=True, kw_only=True)
class Look:
    """One group while it is looked at.

    `told` says what each channel knows, also those that hear nothing of it any more; `open` are the channels that are
    being told. `held` says what holds alerts back, `was_held` what did when the group was looked at last, both by
    fingerprint. `gone` are alerts that belong to other groups by now.
    """

    group: Group
    route: Route | None
    audience: Audience = Audience()
    alerts: list[Alert] = field(default_factory=list)
    told: dict[str, Told] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    held: dict[str, Drop] = field(default_factory=dict)
    was_held: dict[str, Drop] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        return self.group.key

    @property
    def here(self) -> list[Alert]:
        return [alert for alert in self.alerts if alert.fingerprint not in self.gone]

    @property
    def members(self) -> list[Alert]:
        """The alerts that somebody may still have to hear of."""
        told = [self.told.get(channel) for channel in self.audience.channels]
        return [alert for alert in self.here if not is_told_over(alert, told)]

    @property
    def staying(self) -> list[Alert]:
        """Those that still concern somebody, which is not known while a channel is being told."""
        return [alert for alert in self.members if self.open or not self._is_settled(alert)]

    @property
    def leaving(self) -> list[Alert]:
        staying = {alert.fingerprint for alert in self.staying}
        return [alert for alert in self.alerts if alert.fingerprint not in staying]

    @property
    def newly_held(self) -> list[tuple[Alert, Drop | None]]:
        """The alerts for which what holds them back has changed, with what does now."""
        return [
            (alert, self.held.get(alert.fingerprint))
            for alert in self.here
            if self.held.get(alert.fingerprint) != self.was_held.get(alert.fingerprint)
        ]

    def tells(self, now: datetime) -> list[Tell]:
        """The channels that must hear of the group now; from here on they are being told."""
        if self.route is None:
            return []
        members = [alert for alert in self.members if alert.fingerprint not in self.held]
        alerts = [planned(alert) for alert in members if alert.is_firing or self.audience.send_resolved]
        if not alerts:
            return []
        telling = [channel for channel in self.audience.channels if self._must_tell(channel, members, now)]
        self.open.update(telling)
        return [Tell(group=self.group, channel_id=channel, alerts=alerts) for channel in telling]

    def next(self, now: datetime) -> datetime | None:
        """When it must be looked at again, even if nothing changes."""
        if self.route is None:
            return None
        staying = self.staying
        is_held = bool(self.audience.channels) and any(alert.fingerprint in self.held for alert in staying)
        return next_look(
            self.route,
            self.group.ticks_from or now,
            staying,
            self._known,
            now,
            is_busy=bool(self.open) or is_held,
        )

    @property
    def _known(self) -> list[Told]:
        """What the channels that hear of the group know."""
        return [self.told[channel] for channel in self.audience.channels if channel in self.told]

    def _must_tell(self, channel: str, members: Collection[Alert], now: datetime) -> bool:
        if channel in self.open or self.route is None:
            return False
        return must_tell(
            self.route,
            members,
            self.told.get(channel),
            now,
            send_resolved=self.audience.send_resolved,
            others=self._known,
            held=self.was_held,
        )

    def _is_settled(self, alert: Alert) -> bool:
        """An end that is held back, or that nobody wants to hear of, is over with this look."""
        if not alert.is_firing and (alert.fingerprint in self.held or not self.audience.send_resolved):
            return True
        return is_settled(alert, self._known)


def groups_of(table: RoutingTable, labels: Labels) -> list[tuple[str, Mapping[str, str], Route]]:
    """The groups that an alert with these labels belongs to: the key and the labels of each, and its route."""
    found = [(group_of(route, labels), route) for route in table.takers(labels)]
    return [(group.key, group.labels, route) for group, route in found]


def audience_of(receiver: Receiver | None, listeners: Iterable[Listener]) -> Audience:
    """Which of the usable channels a receiver means; None: those that hear of everything."""
    if receiver is None:
        return Audience(channels=tuple(each.id for each in listeners if each.is_default))
    named = tuple(each.id for each in listeners if each.name in receiver.channels)
    return Audience(channels=named, send_resolved=receiver.send_resolved)


def planned(alert: Alert) -> dict[str, Any]:
    """An alert as a delivery remembers it."""
    return {
        "fingerprint": alert.fingerprint,
        "episode": alert.episode,
        "status": alert.status,
        "starts_at": rfc3339(alert.starts_at),
        "ends_at": None if alert.is_firing else rfc3339(alert.ends_at),
    }


def planned_alert(document: Mapping[str, Any]) -> PlannedAlert:
    """Read back what `planned` wrote."""
    ends_at = document["ends_at"]
    return PlannedAlert(
        fingerprint=document["fingerprint"],
        episode=document["episode"],
        status=document["status"],
        starts_at=datetime.fromisoformat(document["starts_at"]),
        ends_at=datetime.fromisoformat(ends_at) if ends_at is not None else None,
    )
