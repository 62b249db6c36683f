"""Groups and their timers: from changed alerts to planned deliveries.

A group's timer is a task that is due when the group must be looked at. Both are rows of one transaction, so a
restart or a second process neither loses nor repeats anything; a timer that was overtaken knows it by its
generation. Groups that are due together share a task, so that a storm of alerts costs a few statements for many
groups instead of many for each.

Whoever writes about a group holds its row's lock first: a flush, a dispatch, the end of a delivery.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import Alerts
from alertagent.core.analysis.service import task_for, wanted
from alertagent.core.notify.kinds import DELIVER, FLUSH, REGROUP, Deliver, Flush, Regroup
from alertagent.core.notify.model import PlannedAlert
from alertagent.core.routing.model import DEFAULT_ROUTE, GroupId, Told
from alertagent.core.routing.plan import (
    group_of,
    is_settled,
    is_told_over,
    must_tell,
    next_flush,
    next_look,
    was_missed,
)
from alertagent.kernel.clock import Clock, rfc3339
from alertagent.kernel.ids import new_id
from alertagent.queue.producer import Producer
from alertagent.queue.task import NewTask
from alertagent.storage.database import Database, Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.notify")

# How many groups share a timer: their keys, of at most 500 bytes, must fit into an envelope.
GROUPS_A_FLUSH = 50

# A flush this late is not coming any more: its task was buried.
LOST_AFTER = timedelta(minutes=15)

Grouped = Mapping[str, tuple[GroupId, list[Alert]]]
"""By key: the group, and those of the alerts at hand that fall into it."""


class Groups:
    """Keeps groups up to date and decides when a channel must hear of one."""

    def __init__(self, database: Database, alerts: Alerts, producer: Producer, clock: Clock) -> None:
        self._database = database
        self._alerts = alerts
        self._producer = producer
        self._clock = clock
        self._route = DEFAULT_ROUTE

    async def dispatch(self, fingerprints: Sequence[str]) -> None:
        """Put alerts that changed into their groups and set the groups' timers."""
        async with self._database.transaction() as transaction:
            alerts = await self._alerts.find(fingerprints, transaction)
            grouped = self._grouped(alerts)
            rows = await self._join(transaction, grouped)
            now = self._clock.now()
            dues: dict[str, datetime | None] = {}
            for row in rows:
                oldest = min(alert.starts_at for alert in grouped[row["key"]][1])
                due = next_flush(self._route, row["ticks_from"], oldest_start=oldest, now=now)
                if row["flush_at"] is None or due < row["flush_at"] or row["flush_at"] < now - LOST_AFTER:
                    dues[row["key"]] = due
            await self._plan_flushes(transaction, dues)
            await self._plan_analyses(transaction, alerts)

    async def flush(self, generations: Mapping[str, int]) -> None:
        """Look at groups: plan a delivery for every channel that must hear of one, and the next look at each.

        `generations` tells for which of a group's timers this is; an overtaken one does nothing.
        """
        async with self._database.transaction() as transaction:
            rows = await transaction.fetch(sql.lock_groups, list(generations))
            due = [row for row in rows if row["generation"] == generations[row["key"]]]
            if not due:
                return
            now = self._clock.now()
            channels = [row["id"] for row in await transaction.fetch(sql.default_channels)]
            looks = await self._looks(transaction, due, channels, now)
            await self._plan_deliveries(transaction, [tell for look in looks for tell in self._told_now(look, now)])
            await self._let_go(transaction, looks)
            dues = {look.key: self._next(look, now) for look in looks if look.staying}
            await self._plan_flushes(transaction, dues, ticks_from=now)

    async def regroup(self) -> None:
        """The channels changed: look at every group anew."""
        async with self._database.transaction() as transaction:
            now = self._clock.now()
            rows = await transaction.fetch(sql.due_at_once, now, now - LOST_AFTER)
            await self._plan_flushes(transaction, {row["key"]: now for row in rows})

    def _grouped(self, alerts: Iterable[Alert]) -> Grouped:
        grouped: dict[str, tuple[GroupId, list[Alert]]] = {}
        for alert in alerts:
            group = group_of(self._route, alert.labels)
            grouped.setdefault(group.key, (group, []))[1].append(alert)
        return grouped

    async def _join(self, transaction: Transaction, grouped: Grouped) -> Sequence[Any]:
        """The rows of these groups, locked, with the alerts in them.

        Only an alert that has to be told opens a group or enters one; any other is known there already.
        """
        joining = {
            key: [alert for alert in alerts if alert.is_firing or was_missed(self._route, alert)]
            for key, (_, alerts) in sorted(grouped.items())
        }
        missing = [key for key, members in joining.items() if members]
        while True:
            # A flush may end a group between these two, so look until all of them are ours.
            await transaction.execute(
                sql.add_groups,
                missing,
                [self._route.receiver] * len(missing),
                [grouped[key][0].labels for key in missing],
            )
            rows = await transaction.fetch(sql.lock_groups, list(grouped))
            locked = {row["key"] for row in rows}
            missing = [key for key, members in joining.items() if members and key not in locked]
            if not missing:
                break
        pairs = [(key, alert.fingerprint) for key, members in joining.items() for alert in members]
        await transaction.execute(sql.add_members, *_columns(pairs))
        return rows

    async def _looks(
        self, transaction: Transaction, rows: Sequence[Any], channels: Sequence[str], now: datetime
    ) -> list["_Look"]:
        """What there is to know about locked groups. Of channels that are told nothing now, nothing matters."""
        looks = {row["key"]: _Look(group=row, channels=channels) for row in rows}
        keys = list(looks)
        members = await transaction.fetch(sql.members, keys)
        alerts = await self._alerts.find({row["fingerprint"] for row in members}, transaction)
        known = {alert.fingerprint: alert for alert in alerts}
        for row in members:
            if row["fingerprint"] in known:
                looks[row["group_key"]].alerts.append(known[row["fingerprint"]])
        await transaction.execute(sql.abandon_deliveries, keys, now)
        for row in await transaction.fetch(sql.open_deliveries, keys):
            looks[row["group_key"]].open.add(row["channel_id"])
        for row in await transaction.fetch(sql.told, keys, channels):
            looks[row["group_key"]].told[row["channel_id"]] = Told(
                firing=frozenset(row["firing"]), resolved=frozenset(row["resolved"]), at=row["told_at"]
            )
        return list(looks.values())

    def _told_now(self, look: "_Look", now: datetime) -> list["_Tell"]:
        """The channels that must hear of a group now; from here on they are being told."""
        members = look.members
        alerts = [_planned(alert) for alert in members]
        telling = [
            channel
            for channel in look.channels
            if channel not in look.open
            and must_tell(self._route, members, look.told.get(channel), now, others=look.told.values())
        ]
        look.open.update(telling)
        return [_Tell(group=look.group, channel_id=channel, alerts=alerts) for channel in telling]

    def _next(self, look: "_Look", now: datetime) -> datetime | None:
        ticks_from = look.group["ticks_from"] or now
        return next_look(self._route, ticks_from, look.staying, look.told.values(), now, is_busy=bool(look.open))

    async def _let_go(self, transaction: Transaction, looks: Sequence["_Look"]) -> None:
        """Alerts that concern nobody any more leave their group; a group without alerts ends."""
        leaving = [(look.key, alert.fingerprint) for look in looks for alert in look.leaving]
        await transaction.execute(sql.drop_members, *_columns(leaving))
        await transaction.execute(sql.remove_groups, [look.key for look in looks if not look.staying])

    async def _plan_flushes(
        self, transaction: Transaction, dues: Mapping[str, datetime | None], *, ticks_from: datetime | None = None
    ) -> None:
        """Set the timers of locked groups; None stops one."""
        if not dues:
            return
        rows = await transaction.fetch(sql.plan_flushes, list(dues), list(dues.values()), ticks_from)
        together: dict[datetime, dict[str, int]] = {}
        for row in rows:
            due = dues[row["key"]]
            if due is not None:
                together.setdefault(due, {})[row["key"]] = row["generation"]
        tasks = [_flush_task(some, due) for due, groups in together.items() for some in _some(groups)]
        await self._producer.enqueue(transaction, *tasks)

    async def _plan_analyses(self, transaction: Transaction, alerts: Sequence[Alert]) -> None:
        tasks = {alert.fingerprint: task_for(alert) for alert in wanted(alerts)}
        if tasks:
            await self._alerts.analyses_planned(
                transaction, {fingerprint: task.id for fingerprint, task in tasks.items()}
            )
            await self._producer.enqueue(transaction, *tasks.values())

    async def _plan_deliveries(self, transaction: Transaction, tells: Sequence["_Tell"]) -> None:
        if not tells:
            return
        tasks = [_deliver_task() for _ in tells]
        await transaction.execute(
            sql.add_deliveries,
            [task.id for task in tasks],
            [tell.channel_id for tell in tells],
            [tell.group["key"] for tell in tells],
            [tell.group["receiver"] for tell in tells],
            [tell.group["labels"] for tell in tells],
            [{"alerts": tell.alerts} for tell in tells],
        )
        await self._producer.enqueue(transaction, *tasks)


@dataclass(slots=True, kw_only=True)
class _Look:
    """One group while it is looked at. `open` are the channels that are being told of it."""

    group: Mapping[str, Any]
    channels: Collection[str]
    alerts: list[Alert] = field(default_factory=list)
    told: dict[str, Told] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        key: str = self.group["key"]
        return key

    @property
    def members(self) -> list[Alert]:
        """The alerts that somebody may still have to hear of."""
        told = [self.told.get(channel) for channel in self.channels]
        return [alert for alert in self.alerts if not is_told_over(alert, told)]

    @property
    def staying(self) -> list[Alert]:
        """Those that still concern somebody, which is not known while a channel is being told."""
        return [alert for alert in self.members if self.open or not is_settled(alert, self.told.values())]

    @property
    def leaving(self) -> list[Alert]:
        staying = {alert.fingerprint for alert in self.staying}
        return [alert for alert in self.alerts if alert.fingerprint not in staying]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tell:
    """One channel is to hear of one group."""

    group: Mapping[str, Any]
    channel_id: str
    alerts: Sequence[Mapping[str, Any]]


def regroup_task() -> NewTask:
    return REGROUP.task(Regroup())


def planned_alert(document: Mapping[str, Any]) -> PlannedAlert:
    """Read back what `_planned` wrote."""
    ends_at = document["ends_at"]
    return PlannedAlert(
        fingerprint=document["fingerprint"],
        episode=document["episode"],
        status=document["status"],
        starts_at=datetime.fromisoformat(document["starts_at"]),
        ends_at=datetime.fromisoformat(ends_at) if ends_at is not None else None,
    )


def _planned(alert: Alert) -> dict[str, Any]:
    return {
        "fingerprint": alert.fingerprint,
        "episode": alert.episode,
        "status": alert.status,
        "starts_at": rfc3339(alert.starts_at),
        "ends_at": None if alert.is_firing else rfc3339(alert.ends_at),
    }


def _flush_task(generations: Mapping[str, int], due: datetime) -> NewTask:
    return FLUSH.task(Flush(groups=dict(generations)), due=due)


def _deliver_task() -> NewTask:
    id = new_id()
    return DELIVER.task(Deliver(delivery=id), id=id)


def _some(groups: Mapping[str, int]) -> Iterable[dict[str, int]]:
    pairs = list(groups.items())
    return (dict(pairs[start : start + GROUPS_A_FLUSH]) for start in range(0, len(pairs), GROUPS_A_FLUSH))


def _columns(pairs: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [left for left, _ in pairs], [right for _, right in pairs]
