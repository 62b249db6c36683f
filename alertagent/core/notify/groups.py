"""Groups and their timers: from changed alerts to planned deliveries.

A group's timer is a task that is due when the group must be looked at. Both are rows of one transaction, so a
restart or a second process neither loses nor repeats anything; a timer that was overtaken knows it by its
generation. Groups that are due together share a task, so that a storm of alerts costs a few statements for many
groups instead of many for each.

Whoever writes about a group holds its row's lock first: a flush, a dispatch, the end of a delivery.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

import orjson

from alertagent.core.alerts.firing import FiringAlerts
from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import Alerts
from alertagent.core.analysis.planning import Planning
from alertagent.core.notify.holding import hold
from alertagent.core.notify.inhibiting import learn_sources, note_sources
from alertagent.core.notify.keeping import keep, was_kept_of
from alertagent.core.notify.kinds import DELIVER, FLUSH, REGROUP, Deliver, Flush, Regroup
from alertagent.core.notify.look import Group, Listener, Look, Tell, audience_of, groups_of, listener_of
from alertagent.core.notify.moving import move
from alertagent.core.routing.model import Route, RoutingTable, Told
from alertagent.core.routing.plan import next_flush, was_missed
from alertagent.core.routing.service import Routing
from alertagent.core.routing.stages import drop_of
from alertagent.core.silences.service import Silences
from alertagent.kernel.clock import Clock
from alertagent.kernel.ids import new_id
from alertagent.queue.producer import Producer
from alertagent.queue.task import NewTask
from alertagent.storage.database import Database, Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.notify")

# How many groups share a timer, and how many bytes of keys, as an envelope holds them.
GROUPS_A_FLUSH = 200
KEYS_A_FLUSH = 48 * 1024

# So many tasks may look at alerts and groups at the same time. Each holds up to a thousand of them in memory, and more
# than this would only wait for each other.
AT_ONCE = 3

# A flush this late is not coming any more: its task was buried.
LOST_AFTER = timedelta(minutes=15)


@dataclass(slots=True, kw_only=True)
class _Entrance:
    """A group, and those of the alerts at hand that fall into it. `known` have been in it, by their fingerprints."""

    route: Route
    labels: Mapping[str, str]
    alerts: list[Alert] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    @property
    def missed(self) -> list[Alert]:
        return [alert for alert in self.alerts if was_missed(self.route, alert) and alert.fingerprint not in self.known]

    @property
    def joining(self) -> list[Alert]:
        """Only an alert that has to be told opens a group or enters one; any other is known there already."""
        return [alert for alert in self.alerts if alert.is_firing] + self.missed


class Groups:
    """Keeps groups up to date and decides when a channel must hear of one."""

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        firing: FiringAlerts,
        *,
        routing: Routing,
        silences: Silences,
        analyses: Planning,
        producer: Producer,
        clock: Clock,
    ) -> None:
        self._database = database
        self._alerts = alerts
        self._firing = firing
        self._routing = routing
        self._silences = silences
        self._analyses = analyses
        self._producer = producer
        self._clock = clock
        self._room = asyncio.Semaphore(AT_ONCE)

    async def dispatch(self, fingerprints: Sequence[str], since: datetime | None = None) -> None:
        """Put alerts that changed into their groups and set the groups' timers.

        `since` is when that should have been done: a timer counts from then on, and may be over already.
        """
        async with self._room, self._database.transaction() as transaction:
            alerts = await self._alerts.find(fingerprints, transaction)
            table = await self._routing.table(transaction)
            await note_sources(transaction, table, alerts)
            entrances = _entrances(table, alerts)
            await self._recognise(transaction, entrances.values())
            now = self._clock.now()
            since = min(since or now, now)
            dues: dict[str, datetime | None] = {}
            for group in await self._join(transaction, table, entrances):
                entrance = entrances[group.key]
                oldest = min(alert.starts_at for alert in entrance.alerts)
                due = next_flush(entrance.route, group.ticks_from, oldest_start=oldest, now=since)
                if group.flush_at is None or due < group.flush_at or group.flush_at < now - LOST_AFTER:
                    dues[group.key] = due
            await self._plan_flushes(transaction, dues)
            await self._analyses.plan(transaction, {key: each.alerts for key, each in entrances.items()})

    async def flush(self, generations: Mapping[str, int]) -> None:
        """Look at groups: plan a delivery for every channel that must hear of one, and the next look at each.

        `generations` tells for which of a group's timers this is; an overtaken one does nothing.
        """
        async with self._room, self._database.transaction() as transaction:
            groups = groups_from(await transaction.fetch(sql.lock_groups, list(generations)))
            due = await self._ready(transaction, [each for each in groups if each.generation == generations[each.key]])
            if not due:
                return
            now, table = self._clock.now(), await self._routing.table(transaction)
            listeners = [listener_of(row) for row in await transaction.fetch(sql.usable_channels)]
            looks = await self._looks(transaction, table, due, listeners, now)
            await move(transaction, self._producer, table, looks, listeners)
            await hold(
                transaction,
                table,
                looks,
                now,
                silences=await self._silences.active(now, transaction),
                alerts=self._alerts,
            )
            await keep(transaction, looks, now, alerts=self._alerts)
            await self._plan_deliveries(transaction, [tell for look in looks for tell in look.tells(now)], now)
            await self._let_go(transaction, looks)
            dues = {look.key: look.next(now) for look in looks if look.staying}
            await self._plan_flushes(transaction, dues, ticks_from=now)

    async def regroup(self) -> None:
        """The channels or the routing document changed: look at every group anew."""
        async with self._database.transaction() as transaction:
            # Once more: an alert may have begun beside the transaction that changed the document.
            await learn_sources(transaction, await self._routing.table(transaction), self._firing)
            now = self._clock.now()
            rows = await transaction.fetch(sql.due_at_once, now, now - LOST_AFTER)
            await self._plan_flushes(transaction, {row["key"]: now for row in rows})

    async def rerouted(self, transaction: Transaction, table: RoutingTable) -> None:
        """The transaction changes the routing document to this."""
        await learn_sources(transaction, table, self._firing)
        await self._producer.enqueue(transaction, regroup_task())

    async def _recognise(self, transaction: Transaction, entrances: Iterable[_Entrance]) -> None:
        """A group may have been looked at since an alert in it ended: what left it then does not come back."""
        entrances = list(entrances)
        missed = {alert.fingerprint: alert for entrance in entrances for alert in entrance.missed}
        if not missed:
            return
        known = missed.keys() - await self._alerts.untold(list(missed.values()), transaction)
        for entrance in entrances:
            entrance.known |= known

    async def analysed(self, transaction: Transaction, keys: Sequence[str]) -> None:
        """Analyses of these groups end in this transaction: what waits for them is told now."""
        await transaction.fetch(sql.lock_groups, list(keys))
        waiting = await self._analyses.waiting(transaction, keys)
        await self._plan_flushes(transaction, dict.fromkeys(waiting, self._clock.now()))

    async def _ready(self, transaction: Transaction, due: Sequence[Group]) -> list[Group]:
        """Those of the groups that are told now; the others are looked at when their analyses must have ended."""
        dues = {group.key: group.flush_at for group in due if group.flush_at is not None}
        waits = await self._analyses.waits(transaction, dues)
        await self._plan_flushes(transaction, waits)
        return [group for group in due if group.key not in waits]

    async def _join(
        self, transaction: Transaction, table: RoutingTable, entrances: Mapping[str, _Entrance]
    ) -> Sequence[Group]:
        """These groups, locked, with the alerts in them."""
        joining = {key: entrance.joining for key, entrance in sorted(entrances.items())}
        missing = [key for key, members in joining.items() if members]
        while True:
            # A flush may end a group between these two, so look until all of them are ours.
            await transaction.execute(
                sql.add_groups,
                missing,
                [entrances[key].route.receiver for key in missing],
                [entrances[key].labels for key in missing],
                [entrances[key].route.key for key in missing],
                table.revision,
            )
            groups = groups_from(await transaction.fetch(sql.lock_groups, list(entrances)))
            locked = {group.key for group in groups}
            missing = [key for key, members in joining.items() if members and key not in locked]
            if not missing:
                break
        pairs = [(key, alert.fingerprint) for key, members in joining.items() for alert in members]
        await transaction.execute(sql.add_members, *_columns(pairs))
        return groups

    async def _looks(
        self,
        transaction: Transaction,
        table: RoutingTable,
        groups: Sequence[Group],
        listeners: Sequence[Listener],
        now: datetime,
    ) -> list[Look]:
        """What there is to know about locked groups."""
        looks = {group.key: _look(table, group, listeners) for group in groups}
        keys = list(looks)
        members = await transaction.fetch(sql.members, keys)
        alerts = await self._alerts.find({row["fingerprint"] for row in members}, transaction)
        known = {alert.fingerprint: alert for alert in alerts}
        for row in members:
            look, fingerprint = looks[row["group_key"]], row["fingerprint"]
            if fingerprint in known:
                look.alerts.append(known[fingerprint])
            if (drop := drop_of(row["held"])) is not None:
                look.was_held[fingerprint] = drop
            if row["held_for"]:
                look.was_kept[fingerprint] = was_kept_of(row["held_for"])
        await transaction.execute(sql.abandon_deliveries, keys, now)
        for row in await transaction.fetch(sql.open_deliveries, keys):
            looks[row["group_key"]].open.add(row["channel_id"])
        for row in await transaction.fetch(sql.told, keys):
            looks[row["group_key"]].told[row["channel_id"]] = Told(
                firing=frozenset(row["firing"]), resolved=frozenset(row["resolved"]), at=row["told_at"]
            )
        return list(looks.values())

    async def _let_go(self, transaction: Transaction, looks: Sequence[Look]) -> None:
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

    async def _plan_deliveries(self, transaction: Transaction, tells: Sequence[Tell], now: datetime) -> None:
        if not tells:
            return
        tasks = [_deliver_task() for _ in tells]
        await transaction.execute(
            sql.add_deliveries,
            [task.id for task in tasks],
            [tell.channel_id for tell in tells],
            [tell.group.key for tell in tells],
            [tell.group.receiver for tell in tells],
            [tell.group.labels for tell in tells],
            [{"alerts": tell.alerts} for tell in tells],
            [min(tell.group.flush_at or now, now) for tell in tells],
            now,
        )
        await self._producer.enqueue(transaction, *tasks)


def _entrances(table: RoutingTable, alerts: Iterable[Alert]) -> dict[str, _Entrance]:
    entrances: dict[str, _Entrance] = {}
    for alert in alerts:
        for key, labels, route in groups_of(table, alert.labels):
            entrances.setdefault(key, _Entrance(route=route, labels=labels)).alerts.append(alert)
    return entrances


def _look(table: RoutingTable, group: Group, listeners: Sequence[Listener]) -> Look:
    route = table.route(group.route)
    if route is None:
        return Look(group=group, route=None)
    return Look(group=group, route=route, audience=audience_of(table.receiver(route.receiver), listeners))


def groups_from(rows: Iterable[Any]) -> list[Group]:
    return [Group(**{field.name: row[field.name] for field in fields(Group)}) for row in rows]


def regroup_task() -> NewTask:
    return REGROUP.task(Regroup())


def _flush_task(generations: Mapping[str, int], due: datetime) -> NewTask:
    return FLUSH.task(Flush(groups=dict(generations)), due=due)


def _deliver_task() -> NewTask:
    id = new_id()
    return DELIVER.task(Deliver(delivery=id), id=id)


def _some(groups: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """The groups in parts of which each can be one task."""
    part: dict[str, int] = {}
    size = 0
    for key, generation in groups.items():
        length = len(orjson.dumps(key)) + 24
        if part and (len(part) >= GROUPS_A_FLUSH or size + length > KEYS_A_FLUSH):
            yield part
            part, size = {}, 0
        part[key] = generation
        size += length
    if part:
        yield part


def _columns(pairs: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [left for left, _ in pairs], [right for _, right in pairs]
