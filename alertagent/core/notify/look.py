"""A group while it is looked at: who must hear of it, what holds its alerts back, which of them leave it. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from alertagent.core.alerts.model import Alert
from alertagent.core.notify.model import PlannedAlert
from alertagent.core.notify.wishes import Wishes, wishes_of
from alertagent.core.routing.model import Receiver, Route, RoutingTable, Told
from alertagent.core.routing.plan import group_of, has_heard, is_settled, is_told_over, must_tell, next_look
from alertagent.core.routing.stages import Drop, Stage
from alertagent.kernel.labels import Labels
from alertagent.kernel.record import record


@record
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


@record
class Listener:
    """A channel that may be told something. `wishes`: what of it it wants to hear, where that is not all."""

    id: str
    name: str
    is_default: bool
    user_id: str | None = None
    wishes: Wishes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who hears of a group: channels by their ids, with their names, and whether they want to hear of ends.

    `wishes` has those of the channels that do not want to hear of everything.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    send_resolved: bool = True
    wishes: Mapping[str, Wishes] = field(default_factory=dict)

    @property
    def channels(self) -> Collection[str]:
        return self.names.keys()

    def concerned(self, alert: Alert) -> list[str]:
        """The channels that hear of such an alert, now or later."""
        if not self.wishes:
            return list(self.channels)
        wishes = self.wishes
        return [each for each in self.channels if each not in wishes or not wishes[each].is_below(alert.labels)]


@record
class Tell:
    """One channel is to hear of these alerts of a group. `known`: those of which it hears once more, by fingerprint."""

    group: Group
    channel_id: str
    alerts: list[Alert]
    known: Collection[str] = ()

    def due(self, now: datetime) -> datetime:
        """When it should have heard of them; the look at the group may come late."""
        return min(self.group.flush_at or now, now)


@dataclass(kw_only=True)
class Look:
    """One group while it is looked at. Ask for `members` when `told` and `gone` are known, and for `staying` after
    `tells`: each is found once.

    `told` says what each channel knows, also those that hear nothing of it any more; `open` are the channels that are
    being told, `telling` those of them with which this look begins. `held` says what holds alerts back, `was_held`
    what did when the group was looked at last, both by fingerprint; `kept` and `was_kept` are the same of single
    channels, by fingerprint and the channel's id. `gone` are alerts that belong to other groups by now.
    """

    group: Group
    route: Route | None
    audience: Audience = Audience()
    alerts: list[Alert] = field(default_factory=list)
    told: dict[str, Told] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    telling: set[str] = field(default_factory=set)
    held: dict[str, Drop] = field(default_factory=dict)
    was_held: dict[str, Drop] = field(default_factory=dict)
    kept: dict[str, dict[str, Drop]] = field(default_factory=dict)
    was_kept: dict[str, Mapping[str, Stage]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        return self.group.key

    @property
    def here(self) -> list[Alert]:
        return [alert for alert in self.alerts if alert.fingerprint not in self.gone]

    @cached_property
    def members(self) -> list[Alert]:
        """The alerts that somebody may still have to hear of."""
        return [alert for alert in self.here if not is_told_over(alert, self._told_of(alert))]

    @cached_property
    def staying(self) -> list[Alert]:
        """Those that still concern somebody, which is not known while a channel is being told."""
        return [alert for alert in self.members if self.open or not self._is_settled(alert)]

    @property
    def leaving(self) -> list[Alert]:
        staying = {alert.fingerprint for alert in self.staying}
        return [alert for alert in self.alerts if alert.fingerprint not in staying]

    @property
    def newly_kept(self) -> list[tuple[Alert, Mapping[str, Drop]]]:
        """The alerts for which it has changed what holds them back from single channels, with what does now."""
        found: list[tuple[Alert, Mapping[str, Drop]]] = []
        for alert in self.members:
            kept = self.kept.get(alert.fingerprint, {})
            stages = {channel: drop.stage for channel, drop in kept.items()}
            if stages != self.was_kept.get(alert.fingerprint, {}):
                found.append((alert, kept))
        return found

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
        tells = []
        for channel in self.audience.channels if members else ():
            own = self._heard_by(channel, members)
            alerts = [alert for alert in own if alert.is_firing or self.audience.send_resolved]
            if alerts and self._must_tell(channel, own, now):
                known = self._known_to(channel, alerts)
                tells.append(Tell(group=self.group, channel_id=channel, alerts=alerts, known=known))
        self.telling.update(tell.channel_id for tell in tells)
        self.open |= self.telling
        return tells

    def next(self, now: datetime) -> datetime | None:
        """When it must be looked at again, even if nothing changes."""
        if self.route is None:
            return None
        staying = self.staying
        is_held = bool(self.audience.channels) and any(self._is_released_later(alert) for alert in staying)
        waiting = {channel for alert in staying for channel in self.audience.concerned(alert)} - self.open
        return next_look(
            self.route,
            self.group.ticks_from or now,
            staying,
            [self.told[channel] for channel in self.audience.channels if channel in self.told and channel in waiting],
            now,
            is_busy=self.open > self.telling or is_held,
            is_telling=bool(self.telling),
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
            held=self._was_held_from(channel),
        )

    def _known_to(self, channel: str, alerts: Collection[Alert]) -> Collection[str]:
        """None where there is nothing new: then it is reminded of all of them."""
        told = self.told.get(channel)
        if told is None:
            return ()
        known = {alert.fingerprint for alert in alerts if has_heard(told, alert)}
        return known if len(known) < len(alerts) else ()

    def _heard_by(self, channel: str, members: list[Alert]) -> list[Alert]:
        if channel not in self.audience.wishes:
            return members
        return [alert for alert in members if channel not in self.kept.get(alert.fingerprint, ())]

    def _was_held_from(self, channel: str) -> Collection[str]:
        kept = [fingerprint for fingerprint, channels in self.was_kept.items() if channel in channels]
        return self.was_held.keys() | kept if kept else self.was_held

    def _is_released_later(self, alert: Alert) -> bool:
        """Whether what holds it back may end while nothing about the alert changes."""
        kept = self.kept.get(alert.fingerprint, {})
        return alert.fingerprint in self.held or any(drop.stage is Stage.QUIET_HOURS for drop in kept.values())

    def _told_of(self, alert: Alert) -> list[Told | None]:
        """What the channels know that hear of such an alert."""
        return [self.told.get(channel) for channel in self.audience.concerned(alert)]

    def _is_settled(self, alert: Alert) -> bool:
        """An end that is held back, or that nobody wants to hear of, is over with this look."""
        if not alert.is_firing and (alert.fingerprint in self.held or not self.audience.send_resolved):
            return True
        return is_settled(alert, filter(None, self._told_of(alert)))


def looks_at(table: RoutingTable, groups: Iterable[Group], listeners: Sequence[Listener]) -> dict[str, Look]:
    """Looks of which only the group and its audience are known, by the keys of the groups."""
    audiences: dict[str, Audience] = {}
    looks = {}
    for group in groups:
        route = table.route(group.route)
        if route is None:
            looks[group.key] = Look(group=group, route=None)
            continue
        if route.receiver not in audiences:
            audiences[route.receiver] = audience_of(table.receiver(route.receiver), listeners)
        looks[group.key] = Look(group=group, route=route, audience=audiences[route.receiver])
    return looks


def groups_of(table: RoutingTable, labels: Labels) -> list[tuple[str, Mapping[str, str], Route]]:
    """The groups that an alert with these labels belongs to: the key and the labels of each, and its route."""
    found = [(group_of(route, labels), route) for route in table.takers(labels)]
    return [(group.key, group.labels, route) for group, route in found]


def audience_of(receiver: Receiver | None, listeners: Iterable[Listener]) -> Audience:
    """Which of the usable channels a receiver means; None: those that hear of everything."""
    if receiver is None:
        return _audience([each for each in listeners if each.is_default], send_resolved=True)
    named = [each for each in listeners if receiver.leads_to(each.name, each.user_id)]
    return _audience(named, send_resolved=receiver.send_resolved)


def _audience(listeners: Sequence[Listener], *, send_resolved: bool) -> Audience:
    return Audience(
        names={each.id: each.name for each in listeners},
        send_resolved=send_resolved,
        wishes={each.id: each.wishes for each in listeners if each.wishes is not None},
    )


def listener_of(row: Any) -> Listener:
    wishes = wishes_of(row["min_severity"], row["quiet_hours"])
    return Listener(id=row["id"], name=row["name"], is_default=row["is_default"], user_id=row["user_id"], wishes=wishes)


def planned(alert: Alert, *, is_news: bool = True) -> PlannedAlert:
    """An alert as a delivery remembers it."""
    return PlannedAlert(
        fingerprint=alert.fingerprint,
        episode=alert.episode,
        status=alert.status,
        starts_at=alert.starts_at,
        ends_at=None if alert.is_firing else alert.ends_at,
        is_news=is_news,
    )


def planned_alert(document: Mapping[str, Any]) -> PlannedAlert:
    """Read back what `as_json` wrote."""
    ends_at = document["ends_at"]
    return PlannedAlert(
        fingerprint=document["fingerprint"],
        episode=document["episode"],
        status=document["status"],
        starts_at=datetime.fromisoformat(document["starts_at"]),
        ends_at=datetime.fromisoformat(ends_at) if ends_at is not None else None,
        is_news=document.get("is_news", True),
    )
