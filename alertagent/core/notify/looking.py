"""Looking at groups: what there is to know about them, and what follows from it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import Alerts
from alertagent.core.notify.holding import hold
from alertagent.core.notify.keeping import keep, was_kept_of
from alertagent.core.notify.kinds import deliver_task
from alertagent.core.notify.look import Group, Listener, Look, Tell, looks_at
from alertagent.core.notify.prompt import Prompt, by_tasks
from alertagent.core.notify.records import Planned
from alertagent.core.notify.timers import set_timers
from alertagent.core.routing.model import RoutingTable, Told
from alertagent.core.routing.stages import drop_of
from alertagent.core.silences.service import Silences
from alertagent.queue.producer import Producer
from alertagent.storage.database import Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.notify")


class Looking:
    """Looks at groups that its caller has locked."""

    def __init__(self, alerts: Alerts, silences: Silences, prompt: Prompt, producer: Producer) -> None:
        self._alerts = alerts
        self._silences = silences
        self._prompt = prompt
        self._producer = producer

    async def at(
        self,
        transaction: Transaction,
        table: RoutingTable,
        groups: Sequence[Group],
        listeners: Sequence[Listener],
        now: datetime,
    ) -> list[Look]:
        """What there is to know about groups."""
        looks = looks_at(table, groups, listeners)
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
                firing=frozenset(row["firing"]),
                resolved=frozenset(row["resolved"]),
                at=row["told_at"],
                has_failed=row["failed"],
            )
        return list(looks.values())

    async def at_new(
        self,
        transaction: Transaction,
        table: RoutingTable,
        groups: Mapping[str, tuple[Group, Sequence[Alert]]],
        listeners: Sequence[Listener],
    ) -> list[Look]:
        """The same for groups that this transaction has made, of these alerts: there is nothing to be read.

        But for one that had the same key and went while its channel was still being told.
        """
        looks = looks_at(table, [group for group, _ in groups.values()], listeners)
        for key, (_, alerts) in groups.items():
            looks[key].alerts.extend(alerts)
        for row in await transaction.fetch(sql.open_deliveries, list(looks)):
            looks[row["group_key"]].open.add(row["channel_id"])
        return list(looks.values())

    async def conclude(
        self,
        transaction: Transaction,
        table: RoutingTable,
        looks: Sequence[Look],
        now: datetime,
        *,
        by: Mapping[str, str],
    ) -> Sequence[Planned]:
        """Plan who is told, let go what concerns nobody, and set the timers of the next looks.

        `by` names for each group the task that looks at it. Returns what these are to tell at once; where there are
        none, all deliveries have tasks of their own.
        """
        silences = await self._silences.active(now, transaction)
        await hold(transaction, table, looks, now, silences=silences, alerts=self._alerts)
        await keep(transaction, looks, now, alerts=self._alerts)
        begun = await self._plan(transaction, [tell for look in looks for tell in look.tells(now)], now, by)
        await self._let_go(transaction, looks)
        dues = {look.key: look.next(now) for look in looks if look.staying}
        await set_timers(transaction, self._producer, dues, ticks_from=now)
        return begun

    async def resume(self, transaction: Transaction, keys: Collection[str], tasks: Collection[str]) -> None:
        """These tasks may have looked at these groups before: see to what they have begun then."""
        if keys and tasks:
            await self._prompt.resume(transaction, keys, tasks)

    async def _let_go(self, transaction: Transaction, looks: Sequence[Look]) -> None:
        """Alerts that concern nobody any more leave their group; a group without alerts ends."""
        leaving = [(look.key, alert.fingerprint) for look in looks for alert in look.leaving]
        if leaving:
            await transaction.execute(sql.drop_members, [key for key, _ in leaving], [alert for _, alert in leaving])
        if ended := [look.key for look in looks if not look.staying]:
            await transaction.execute(sql.remove_groups, ended)

    async def _plan(
        self, transaction: Transaction, tells: Sequence[Tell], now: datetime, by: Mapping[str, str]
    ) -> Sequence[Planned]:
        """Plan deliveries; returns those that the tasks `by` have to begin."""
        if not tells:
            return ()
        plans = await self._prompt.sorted(transaction, tells, now) if by else by_tasks(tells, now)
        rows = [
            *((one.delivery, by[one.delivery.group_key]) for one in plans.begun),
            *((delivery, None) for delivery in plans.by_task),
        ]
        await transaction.execute(
            sql.add_deliveries,
            [delivery.id for delivery, _ in rows],
            [delivery.channel_id for delivery, _ in rows],
            [delivery.group_key for delivery, _ in rows],
            [delivery.receiver for delivery, _ in rows],
            [delivery.group_labels for delivery, _ in rows],
            [{"alerts": [alert.as_json() for alert in delivery.alerts]} for delivery, _ in rows],
            [delivery.due_at for delivery, _ in rows],
            [begun_by for _, begun_by in rows],
            now,
        )
        await self._producer.enqueue(transaction, *(deliver_task(delivery.id) for delivery in plans.by_task))
        return plans.begun
