"""Groups and their timers: from changed alerts to planned deliveries.

A group's timer is a task that is due when the group must be looked at. Both are rows of one transaction, so a
restart or a second process neither loses nor repeats anything; a timer that was overtaken knows it by its
generation.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog

from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import Alerts
from alertagent.core.analysis.service import task_for, wanted
from alertagent.core.notify.model import PlannedAlert
from alertagent.core.routing.model import DEFAULT_ROUTE, GroupId, Told
from alertagent.core.routing.plan import group_of, is_settled, must_tell, next_flush, was_missed
from alertagent.kernel.clock import Clock, rfc3339
from alertagent.kernel.ids import new_id
from alertagent.queue.producer import Producer
from alertagent.queue.task import NewTask
from alertagent.storage.database import Database, Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.notify")

QUEUE = "notification"
FLUSH, DELIVER, REGROUP = "flush", "deliver", "regroup"
PRIORITY = 2
MAX_RETRY = 20

# With the policy's longest pause of half an hour these reach a day.
DELIVER_RETRIES = 60

log = structlog.get_logger()


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
            await self._join(transaction, grouped)
            rows = await transaction.fetch(sql.lock_groups, list(grouped))
            now = self._clock.now()
            for row in rows:
                _, members = grouped[row["key"]]
                oldest = min(alert.starts_at for alert in members)
                due = next_flush(self._route, row["ticks_from"], oldest_start=oldest, now=now)
                if row["flush_at"] is None or due < row["flush_at"]:
                    await self._plan_flush(transaction, row["key"], due)
            await self._plan_analyses(transaction, alerts)

    async def flush(self, key: str, generation: int) -> None:
        """Look at a group: plan a delivery for every channel that must hear of it, and the next look."""
        async with self._database.transaction() as transaction:
            row = await transaction.fetchrow(sql.lock_group, key)
            if row is None or row["generation"] != generation:
                return
            group = dict(row)
            now = self._clock.now()
            await transaction.execute(sql.flushed, key, now)
            members = await self._members(transaction, key)
            told = await self._told(transaction, key)
            pending = {open_["channel_id"] for open_ in await transaction.fetch(sql.open_deliveries, key)}
            for channel in await transaction.fetch(sql.default_channels):
                channel_id = channel["id"]
                if channel_id not in pending and must_tell(self._route, members, told.get(channel_id), now):
                    await self._plan_delivery(transaction, group, channel_id, members)
                    pending.add(channel_id)
            await self._look_again(transaction, group, members, told, is_busy=bool(pending))

    async def regroup(self) -> None:
        """The channels changed: look at every group anew."""
        async with self._database.transaction() as transaction:
            now = self._clock.now()
            for row in await transaction.fetch(sql.all_groups):
                if row["flush_at"] is None or row["flush_at"] > now:
                    await self._plan_flush(transaction, row["key"], now)

    def _grouped(self, alerts: Iterable[Alert]) -> dict[str, tuple[GroupId, list[Alert]]]:
        grouped: dict[str, tuple[GroupId, list[Alert]]] = {}
        for alert in alerts:
            group = group_of(self._route, alert.labels)
            grouped.setdefault(group.key, (group, []))[1].append(alert)
        return grouped

    async def _join(self, transaction: Transaction, grouped: Mapping[str, tuple[GroupId, list[Alert]]]) -> None:
        """Only an alert that has to be told opens a group or enters one; any other is known there already."""
        joining = {
            key: (group, members)
            for key, (group, alerts) in sorted(grouped.items())
            if (members := [alert for alert in alerts if alert.is_firing or was_missed(self._route, alert)])
        }
        await transaction.execute(
            sql.add_groups,
            list(joining),
            [self._route.receiver] * len(joining),
            [group.labels for group, _ in joining.values()],
        )
        pairs = [(key, alert.fingerprint) for key, (_, members) in joining.items() for alert in members]
        await transaction.execute(sql.add_members, [key for key, _ in pairs], [fingerprint for _, fingerprint in pairs])

    async def _plan_flush(self, transaction: Transaction, key: str, due: datetime) -> None:
        generation = await transaction.fetchval(sql.plan_flush, key, due)
        payload = {"group": key, "generation": generation}
        task = NewTask(queue=QUEUE, type=FLUSH, payload=payload, priority=PRIORITY, max_retry=MAX_RETRY, due=due)
        await self._producer.enqueue(transaction, task)

    async def _plan_analyses(self, transaction: Transaction, alerts: Sequence[Alert]) -> None:
        for alert in wanted(alerts):
            task = task_for(alert)
            await self._alerts.analysis_planned(transaction, [alert.fingerprint], task.id)
            await self._producer.enqueue(transaction, task)

    async def _plan_delivery(
        self, transaction: Transaction, group: Mapping[str, Any], channel_id: str, members: Sequence[Alert]
    ) -> None:
        id = new_id()
        planned = [_planned(alert) for alert in members if alert.is_firing or self._route.send_resolved]
        await transaction.execute(
            sql.add_delivery, id, channel_id, group["key"], group["receiver"], group["labels"], planned
        )
        task = NewTask(
            queue=QUEUE,
            type=DELIVER,
            payload={"delivery": id},
            priority=PRIORITY,
            max_retry=DELIVER_RETRIES,
        )
        await self._producer.enqueue(transaction, task)

    async def _look_again(
        self,
        transaction: Transaction,
        group: Mapping[str, Any],
        members: Sequence[Alert],
        told: Mapping[str, Told],
        *,
        is_busy: bool,
    ) -> None:
        """Let go of what is settled, and set the timer for the rest: the next tick while something is under way,
        otherwise the time to repeat. A group without alerts ends."""
        key, now = group["key"], self._clock.now()
        settled = [] if is_busy else [alert.fingerprint for alert in members if is_settled(alert, told.values())]
        staying = [alert for alert in members if alert.fingerprint not in settled]
        if not staying:
            await transaction.execute(sql.remove_group, key)
            return
        await transaction.execute(sql.drop_members, key, settled)
        ticks_from = group["ticks_from"] or now
        tick = next_flush(self._route, ticks_from, oldest_start=now, now=now)
        repeats = [known.at + self._route.repeat_interval for known in told.values()]
        if is_busy or any(not alert.is_firing for alert in staying):
            await self._plan_flush(transaction, key, max(tick, now))
        elif repeats:
            await self._plan_flush(transaction, key, max(min(repeats), tick))

    async def _members(self, transaction: Transaction, key: str) -> list[Alert]:
        rows = await transaction.fetch(sql.members, key)
        return await self._alerts.find([row["fingerprint"] for row in rows], transaction)

    async def _told(self, transaction: Transaction, key: str) -> dict[str, Told]:
        return {
            row["channel_id"]: Told(
                firing=frozenset(row["firing"]), resolved=frozenset(row["resolved"]), at=row["told_at"]
            )
            for row in await transaction.fetch(sql.told, key)
        }


def regroup_task() -> NewTask:
    return NewTask(queue=QUEUE, type=REGROUP, payload={}, priority=PRIORITY, max_retry=MAX_RETRY)


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
