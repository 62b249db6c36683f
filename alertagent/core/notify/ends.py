"""Whoever was told that an alert fires is told that it is over, also who stood in for another or heard by escalation.

Whoever was assigned one is, too, unless a group told the same channel of it.

A group tells the channels behind its receiver of ends. Nobody does that for a delivery that went to another channel or
belongs to no group, so each alert that it tells of as firing waits in `awaited_ends`. When all of them are over, an end
is planned with the key of the delivery, by which its receiver finds the incident or the thread. Two find that out: the
dispatch of an alert that ended, and the end of a delivery whose alerts were faster. Both hold the delivery's row, and
only who takes its alerts out of the table plans the end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

import structlog

from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import Alerts
from alertagent.core.notify.channels import sql
from alertagent.core.notify.kinds import deliver_task
from alertagent.core.notify.look import groups_of, planned_alert
from alertagent.core.notify.model import ASSIGNMENT, Delivery, DeliveryStatus, PlannedAlert, is_outside_groups
from alertagent.core.notify.wishes import Wishes
from alertagent.core.routing.model import Receiver, RoutingTable
from alertagent.core.routing.service import Routing
from alertagent.kernel.clock import Clock
from alertagent.kernel.ids import new_id
from alertagent.plugins.registry import Registry
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database, Transaction

log = structlog.get_logger()


class Ends:
    """Plans the ends that no group tells."""

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        *,
        routing: Routing,
        registry: Registry,
        producer: Producer,
        clock: Clock,
    ) -> None:
        self._database = database
        self._alerts = alerts
        self._routing = routing
        self._registry = registry
        self._producer = producer
        self._clock = clock

    async def dispatch(self, fingerprints: Sequence[str]) -> None:
        """These alerts changed; whoever waits for their ends may be told."""
        rows = await self._database.fetch(sql.awaiting_alerts, fingerprints)
        if rows:
            async with self._database.transaction() as transaction:
                await self._plan(transaction, [row["delivery_id"] for row in rows])

    async def ended(self, transaction: Transaction, deliveries: Mapping[DeliveryStatus, Sequence[Delivery]]) -> None:
        """Deliveries of which no group tells the end have ended so in this transaction."""
        over = [each for each in deliveries.get(DeliveryStatus.SENT, ()) if not _firing(each.alerts)]
        await transaction.execute(sql.forget_awaited, *_places(over))
        everything = [each for some in deliveries.values() for each in some]
        rows = await transaction.fetch(sql.awaiting_places, *_places(everything))
        if rows:
            await self._plan(transaction, [row["delivery_id"] for row in rows])

    async def _plan(self, transaction: Transaction, ids: Sequence[str]) -> None:
        await transaction.execute(sql.lock_channels_told, ids)
        rows = await transaction.fetch(sql.lock_awaited, ids)
        busy = {row["id"] for row in await transaction.fetch(sql.being_told, ids)}
        alerts = {row["id"]: _firing(map(planned_alert, row["alerts"])) for row in rows}
        told = {planned.fingerprint for some in alerts.values() for planned in some}
        known = {alert.fingerprint: alert for alert in await self._alerts.find(told, transaction)}
        table = await self._routing.table(transaction)
        settled, over = list[str](), dict[str, Any]()
        for _, some in groupby(rows, key=lambda row: (row["channel_id"], row["group_key"])):
            waiting = list(some)
            last = next((row for row in reversed(waiting) if _is_told(row) and _is_wanted(row, table, known)), None)
            settled += [row["id"] for row in waiting if row["status"] != DeliveryStatus.PENDING and row is not last]
            if last is not None and last["id"] not in busy and _are_over(alerts[last["id"]], known):
                over[last["id"]] = last
        gone = {row["delivery_id"] for row in await transaction.fetch(sql.settle_awaited, [*settled, *over])}
        heard = await self._heard_by_groups(transaction, table, list(over.values()), known)
        ends = {id: self._ends_of(alerts[id], known) for id in over if id in gone - heard}
        await self._add(transaction, {id: some for id, some in ends.items() if some})

    async def _heard_by_groups(
        self, transaction: Transaction, table: RoutingTable, over: Sequence[Any], known: Mapping[str, Alert]
    ) -> set[str]:
        """The assignments whose channels groups tell of all these ends; an incident only its own message closes."""
        rows = [row for row in over if row["receiver"] == ASSIGNMENT and not self._keeps_incidents(row["plugin_name"])]
        if not rows:
            return set()
        homes = {
            fingerprint: groups_of(table, known[fingerprint].labels)
            for fingerprint in {alert["fingerprint"] for row in rows for alert in row["alerts"]} & known.keys()
        }
        keys = list({key for some in homes.values() for key, _, _ in some})
        told = {
            (row["group_key"], row["channel_id"]): {*row["firing"], *row["resolved"]}
            for row in await transaction.fetch(sql.told, keys)
        }

        def is_heard(row: Any, alert: PlannedAlert) -> bool:
            return any(
                alert.key in told.get((key, row["channel_id"]), ())
                for key, _, route in homes.get(alert.fingerprint, ())
                if _tells_ends(table.receiver(route.receiver), row)
            )

        return {row["id"] for row in rows if all(is_heard(row, alert) for alert in map(planned_alert, row["alerts"]))}

    def _keeps_incidents(self, plugin_name: str) -> bool:
        plugin = self._registry.notifiers.get(plugin_name)
        return plugin is not None and plugin.keeps_incidents

    def _ends_of(self, told: Sequence[PlannedAlert], known: Mapping[str, Alert]) -> list[PlannedAlert]:
        """Of an alert that is forgotten there is nothing to say."""
        found = [(planned, known[planned.fingerprint]) for planned in told if planned.fingerprint in known]
        return [replace(planned, status="resolved", ends_at=self._ended_at(planned, alert)) for planned, alert in found]

    def _ended_at(self, planned: PlannedAlert, alert: Alert) -> datetime:
        return alert.ends_at if alert.episode == planned.episode else self._clock.now()

    async def _add(self, transaction: Transaction, over: Mapping[str, Sequence[PlannedAlert]]) -> None:
        if not over:
            return
        ids = [new_id() for _ in over]
        told = [{"alerts": [planned.as_json() for planned in alerts]} for alerts in over.values()]
        await transaction.execute(sql.add_ends, ids, list(over), told, self._clock.now())
        await self._producer.enqueue(transaction, *(deliver_task(id) for id in ids))
        log.info("ends.planned", deliveries=ids)


def _firing(alerts: Iterable[PlannedAlert]) -> list[PlannedAlert]:
    return [alert for alert in alerts if alert.status == "firing"]


def _are_over(told: Sequence[PlannedAlert], known: Mapping[str, Alert]) -> bool:
    """Another episode is another story, which is told by itself."""
    for planned in told:
        alert = known.get(planned.fingerprint)
        if alert is not None and alert.is_firing and alert.episode == planned.episode:
            return False
    return True


def _is_told(row: Any) -> bool:
    """Whether somebody may have heard it; what digests refreshed may tell of nothing that fires any more."""
    is_sent = row["status"] == DeliveryStatus.SENT or (row["status"] != DeliveryStatus.PENDING and row["is_ambiguous"])
    return is_sent and any(alert["status"] == "firing" for alert in row["alerts"])


def _is_wanted(row: Any, table: RoutingTable, known: Mapping[str, Alert]) -> bool:
    """Whether nobody else tells this channel, and its receiver wants to hear of ends. An escalation's does."""
    if is_outside_groups(row["group_key"]):
        return True
    receiver = table.receiver(row["receiver"])
    wants_ends = receiver is None or receiver.send_resolved
    return wants_ends and not (_is_behind(receiver, row) and _concerns(row, known))


def _tells_ends(receiver: Receiver | None, row: Any) -> bool:
    return _is_behind(receiver, row) and (receiver is None or receiver.send_resolved)


def _is_behind(receiver: Receiver | None, row: Any) -> bool:
    return row["is_default"] if receiver is None else receiver.leads_to(row["channel_name"], row["user_id"])


def _concerns(row: Any, known: Mapping[str, Alert]) -> bool:
    """Whether its group would tell the channel of some of these: what is below its minimum it hears only for others."""
    wishes = Wishes(min_severity=row["min_severity"])
    alerts = [known[alert["fingerprint"]] for alert in row["alerts"] if alert["fingerprint"] in known]
    return any(not wishes.is_below(alert.labels) for alert in alerts)


def _places(deliveries: Sequence[Delivery]) -> tuple[list[str], list[str]]:
    return [each.channel_id for each in deliveries], [each.group_key for each in deliveries]
