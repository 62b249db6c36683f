"""Groups and their timers: from changed alerts to planned deliveries.

A group's timer is a task that is due when the group must be looked at. Both are rows of one transaction, so a
restart or a second process neither loses nor repeats anything. Groups that are due together share a task, so that a
storm of alerts costs a few statements for many groups instead of many for each. A new group that need not wait and
cannot grow is looked at by the transaction that makes it.

Whoever writes about a group holds its row's lock first: a flush, a dispatch, the end of a delivery.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from alertagent.core.alerts.firing import FiringAlerts
from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import Alerts
from alertagent.core.analysis.planning import Planning
from alertagent.core.notify.inhibiting import learn_sources, note_sources
from alertagent.core.notify.kinds import regroup_task
from alertagent.core.notify.look import Group, Listener, groups_of, listener_of
from alertagent.core.notify.looking import Looking
from alertagent.core.notify.moving import move
from alertagent.core.notify.records import Planned
from alertagent.core.notify.timers import add_timers, set_timers
from alertagent.core.routing.model import Route, RoutingTable
from alertagent.core.routing.plan import next_flush, was_missed
from alertagent.core.routing.service import Routing
from alertagent.kernel.clock import Clock
from alertagent.kernel.record import record
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database, Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.notify")

# So many transactions may look at alerts and groups at the same time, and each at groups of so many alerts together:
# that is what a process has of them in memory. More would only wait for each other.
AT_ONCE = 3
ALERTS_A_LOOK = 1000

# A flush this late is not coming any more: its task was buried.
LOST_AFTER = timedelta(minutes=15)


@record
class Changed:
    """Alerts that changed, and since when they should have been put into their groups.

    A timer counts from then on, and may be over already. The task `by` tells at once what need not wait.
    """

    fingerprints: Sequence[str]
    since: datetime | None = None
    by: str | None = None


@dataclass(slots=True, kw_only=True)
class _Entrance:
    """A group, and those of the alerts at hand that fall into it. `known` have been in it, by their fingerprints."""

    route: Route
    labels: Mapping[str, str]
    since: datetime
    by: str | None
    alerts: list[Alert] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    @property
    def missed(self) -> list[Alert]:
        return [alert for alert in self.alerts if was_missed(self.route, alert) and alert.fingerprint not in self.known]

    @property
    def joining(self) -> list[Alert]:
        """Only an alert that has to be told opens a group or enters one; any other is known there already."""
        return [alert for alert in self.alerts if alert.is_firing] + self.missed

    def is_whole(self, group: Group, now: datetime) -> bool:
        """Whether the group is due and has all the alerts that it can have: nobody else has the same labels."""
        return self.route.group_by is None and group.flush_at is not None and group.flush_at <= now

    def due(self, ticks_from: datetime | None) -> datetime:
        oldest = min(alert.starts_at for alert in self.alerts)
        return next_flush(self.route, ticks_from, oldest_start=oldest, now=self.since)


class Groups:
    """Keeps groups up to date and decides when a channel must hear of one."""

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        firing: FiringAlerts,
        *,
        routing: Routing,
        analyses: Planning,
        looking: Looking,
        producer: Producer,
        clock: Clock,
    ) -> None:
        self._database = database
        self._alerts = alerts
        self._firing = firing
        self._routing = routing
        self._analyses = analyses
        self._looking = looking
        self._producer = producer
        self._clock = clock
        self._room = asyncio.Semaphore(AT_ONCE)

    async def dispatch(self, changes: Sequence[Changed]) -> list[Sequence[Planned]]:
        """Put alerts that changed into their groups and set the groups' timers.

        Returns for each of the changes what its task is to tell at once, of new groups that wait for nothing; without
        a task those have timers, too.
        """
        async with self._room, self._database.transaction() as transaction:
            now = self._clock.now()
            # Of two changes of one alert the older one counts.
            ordered = sorted(changes, key=lambda change: change.since or now, reverse=True)
            of = {fingerprint: change for change in ordered for fingerprint in change.fingerprints}
            alerts = await self._alerts.find(of, transaction)
            table = await self._routing.table(transaction)
            await note_sources(transaction, table, alerts)
            entrances = _entrances(table, alerts, of, now)
            await self._recognise(transaction, entrances.values())
            made, known = await self._join(transaction, table, entrances)
            tasks = {change.by for change in changes if change.by is not None}
            await self._looking.resume(transaction, [group.key for group in known], tasks)
            await self._analyses.plan(transaction, {key: each.alerts for key, each in entrances.items()})
            dues: dict[str, datetime | None] = {}
            for group in known:
                due = entrances[group.key].due(group.ticks_from)
                if group.flush_at is None or due < group.flush_at or group.flush_at < now - LOST_AFTER:
                    dues[group.key] = due
            await set_timers(transaction, self._producer, dues)
            begun = await self._begin(transaction, table, made, now)
        mine: dict[str | None, list[Planned]] = {change.by: [] for change in changes}
        for one in begun:
            mine[entrances[one.delivery.group_key].by].append(one)
        return [mine[change.by] for change in changes]

    async def parts(self, generations: Mapping[str, int]) -> list[dict[str, int]]:
        """These groups in parts of so many alerts that each is looked at by itself; a group is never divided.

        Whoever is told first waits for none of the others then, and no dispatch waits for all of them.
        """
        if len(generations) <= 1:
            return [dict(generations)]
        rows = await self._database.fetch(sql.sizes_of_groups, list(generations))
        sizes = {row["key"]: row["size"] for row in rows}
        return [{key: generations[key] for key in part} for part in _parts(sorted(generations), sizes)]

    async def flush(self, generations: Mapping[str, int], *, by: str | None = None) -> Sequence[Planned]:
        """Look at groups: plan a delivery for every channel that must hear of one, and the next look at each.

        `generations` tells for which of a group's timers this is; an overtaken one does nothing. Returns what the task
        `by` is to tell at once.
        """
        async with self._room, self._database.transaction() as transaction:
            groups = groups_from(await transaction.fetch(sql.lock_groups, list(generations)))
            current = [each for each in groups if each.generation == generations[each.key]]
            if by is not None:
                await self._looking.resume(transaction, generations.keys() - {each.key for each in current}, {by})
            due = await self._ready(transaction, current)
            if not due:
                return ()
            now, table = self._clock.now(), await self._routing.table(transaction)
            listeners = await _listeners(transaction)
            looks = await self._looking.at(transaction, table, due, listeners, now)
            await move(transaction, self._producer, table, looks, listeners)
            tasks = {look.key: by for look in looks} if by is not None else {}
            return await self._looking.conclude(transaction, table, looks, now, by=tasks)

    async def regroup(self) -> None:
        """The channels or the routing document changed: look at every group anew."""
        async with self._database.transaction() as transaction:
            # Once more: an alert may have begun beside the transaction that changed the document.
            await learn_sources(transaction, await self._routing.table(transaction), self._firing)
            now = self._clock.now()
            rows = await transaction.fetch(sql.due_at_once, now, now - LOST_AFTER)
            await set_timers(transaction, self._producer, {row["key"]: now for row in rows})

    async def rerouted(self, transaction: Transaction, table: RoutingTable) -> None:
        """The transaction changes the routing document to this."""
        await learn_sources(transaction, table, self._firing)
        await self._producer.enqueue(transaction, regroup_task())

    async def analysed(self, transaction: Transaction, keys: Sequence[str]) -> None:
        """Analyses of these groups end in this transaction: what waits for them is told now."""
        await transaction.fetch(sql.lock_groups, list(keys))
        waiting = await self._analyses.waiting(transaction, keys)
        await set_timers(transaction, self._producer, dict.fromkeys(waiting, self._clock.now()))

    async def _recognise(self, transaction: Transaction, entrances: Iterable[_Entrance]) -> None:
        """A group may have been looked at since an alert in it ended: what left it then does not come back."""
        entrances = list(entrances)
        missed = {alert.fingerprint: alert for entrance in entrances for alert in entrance.missed}
        if not missed:
            return
        known = missed.keys() - await self._alerts.untold(list(missed.values()), transaction)
        for entrance in entrances:
            entrance.known |= known

    async def _ready(self, transaction: Transaction, due: Sequence[Group]) -> list[Group]:
        """Those of the groups that are told now; the others are looked at when their analyses must have ended."""
        if not due:
            return []
        dues = {group.key: group.flush_at for group in due if group.flush_at is not None}
        waits = await self._analyses.waits(transaction, dues)
        await set_timers(transaction, self._producer, waits)
        return [group for group in due if group.key not in waits]

    async def _begin(
        self,
        transaction: Transaction,
        table: RoutingTable,
        made: Sequence[tuple[Group, _Entrance]],
        now: datetime,
    ) -> Sequence[Planned]:
        """Look at those of the new groups that need not wait, and set the timers of the others."""
        tasks = {
            group.key: entrance.by
            for group, entrance in made
            if entrance.by is not None and entrance.is_whole(group, now)
        }
        due = {group.key: group for group, _ in made if group.key in tasks}
        await add_timers(transaction, self._producer, [group for group, _ in made if group.key not in due])
        joined = {group.key: entrance.joining for group, entrance in made}
        ready = {group.key: (group, joined[group.key]) for group in await self._ready(transaction, list(due.values()))}
        if not ready:
            return ()
        looks = await self._looking.at_new(transaction, table, ready, await _listeners(transaction))
        return await self._looking.conclude(transaction, table, looks, now, by=tasks)

    async def _join(
        self, transaction: Transaction, table: RoutingTable, entrances: Mapping[str, _Entrance]
    ) -> tuple[list[tuple[Group, _Entrance]], list[Group]]:
        """The groups that are new, and those that were there: locked, with the alerts in them."""
        joining = {key: entrance.joining for key, entrance in sorted(entrances.items())}
        made, known = dict[str, Group](), dict[str, Group]()
        missing = [key for key, members in joining.items() if members]
        while True:
            # A flush may end a group between these two, so look until all of them are ours.
            made |= await self._made(transaction, table, {key: entrances[key] for key in missing})
            others = [key for key in entrances if key not in made]
            if others:
                known = {group.key: group for group in groups_from(await transaction.fetch(sql.lock_groups, others))}
            missing = [key for key, members in joining.items() if members and key not in made and key not in known]
            if not missing:
                break
        pairs = [(key, alert.fingerprint) for key, members in joining.items() for alert in members]
        await transaction.execute(sql.add_members, [key for key, _ in pairs], [alert for _, alert in pairs])
        return [(group, entrances[key]) for key, group in made.items()], list(known.values())

    async def _made(
        self, transaction: Transaction, table: RoutingTable, entrances: Mapping[str, _Entrance]
    ) -> dict[str, Group]:
        """Make those of the groups that are not there."""
        if not entrances:
            return {}
        groups = {
            key: Group(
                key=key,
                receiver=entrance.route.receiver,
                labels=entrance.labels,
                route=entrance.route.key,
                revision=table.revision,
                flush_at=entrance.due(None),
                generation=1,
                ticks_from=None,
            )
            for key, entrance in entrances.items()
        }
        rows = await transaction.fetch(
            sql.make_groups,
            list(groups),
            [group.receiver for group in groups.values()],
            [group.labels for group in groups.values()],
            [group.route for group in groups.values()],
            [group.flush_at for group in groups.values()],
            table.revision,
        )
        return {row["key"]: groups[row["key"]] for row in rows}


def _entrances(
    table: RoutingTable, alerts: Iterable[Alert], of: Mapping[str, Changed], now: datetime
) -> dict[str, _Entrance]:
    """By key; each as old as the oldest of the changes, which `of` tells for each alert."""
    entrances: dict[str, _Entrance] = {}
    for alert in alerts:
        change = of[alert.fingerprint]
        for key, labels, route in groups_of(table, alert.labels):
            entrance = entrances.get(key)
            if entrance is None:
                entrance = entrances[key] = _Entrance(route=route, labels=labels, since=now, by=change.by)
            entrance.since = min(entrance.since, change.since or now)
            entrance.alerts.append(alert)
    return entrances


def _parts(keys: Iterable[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for key in keys:
        if part and size + sizes.get(key, 0) > ALERTS_A_LOOK:
            yield part
            part, size = [], 0
        part.append(key)
        size += sizes.get(key, 0)
    if part:
        yield part


async def _listeners(transaction: Transaction) -> list[Listener]:
    return [listener_of(row) for row in await transaction.fetch(sql.usable_channels)]


def groups_from(rows: Iterable[Any]) -> list[Group]:
    return [Group(**{field.name: row[field.name] for field in fields(Group)}) for row in rows]
