"""Deliveries as rows: found and ended together.

Deliveries whose tasks run at the same moment share the statements that find them and the transaction that ends them,
so that a storm costs a commit for many messages instead of one for each. With a digest all its members end, as if each
had been told by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from alertagent.core.alerts.model import Alert, NotificationStatus
from alertagent.core.alerts.service import Alerts, Notice
from alertagent.core.notify.channels import channel_of, sql
from alertagent.core.notify.ends import Ends
from alertagent.core.notify.fallbacks import plan_stand_ins
from alertagent.core.notify.kinds import deliver_task
from alertagent.core.notify.look import Tell, planned, planned_alert
from alertagent.core.notify.model import Channel, Delivery, DeliveryStatus
from alertagent.kernel.clock import Clock
from alertagent.kernel.ids import new_id
from alertagent.kernel.message import Thread
from alertagent.kernel.record import record
from alertagent.kernel.together import Together
from alertagent.plugins.outcome import Delivered, Outcome
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database, Transaction
from alertagent.storage.seals import Seals

_FIELDS = tuple(field.name for field in fields(Delivery))

# Nobody was told, and nobody failed, where a delivery was cancelled.
_NOTIFIED = {DeliveryStatus.SENT: NotificationStatus.SENT, DeliveryStatus.FAILED: NotificationStatus.FAILED}


@record
class Planned:
    """A delivery that is to be made. `is_on` tells whether its channel may be called; `alerts` are as they are now."""

    delivery: Delivery
    channel: Channel
    is_on: bool
    alerts: Sequence[Alert]
    thread: Thread | None = None


@record
class Ending:
    """How a delivery ends. `fallback` names the channels that may be told instead, `sent_by` who spoke for its own."""

    delivery: Delivery
    status: DeliveryStatus
    outcome: Outcome
    latency: timedelta
    fallback: tuple[str, ...] = ()
    sent_by: str | None = None

    @property
    def thread(self) -> str | None:
        """A digest begins no thread of a group, and what another channel sent begins none in this one."""
        is_elsewhere = self.delivery.digest_id is not None or self.sent_by is not None
        if is_elsewhere or not isinstance(self.outcome, Delivered):
            return None
        return self.outcome.thread


class Records:
    """Finds what is to be delivered, and writes down what became of it."""

    def __init__(
        self, database: Database, alerts: Alerts, producer: Producer, clock: Clock, seals: Seals, *, ends: Ends
    ) -> None:
        self._database = database
        self._seals = seals
        self._alerts = alerts
        self._ends = ends
        self._producer = producer
        self._clock = clock
        self._found = Together(self._find)
        self._ended = Together(self._end)

    async def find(self, id: str) -> Planned | None:
        """None when there is nothing to do any more."""
        return await self._found.ask(id)

    async def find_in(self, transaction: Transaction, id: str) -> tuple[Delivery, str] | None:
        """One that has not ended, and the name of its channel's plugin."""
        row = await transaction.fetchrow(sql.find_deliveries, [id])
        channel = await transaction.fetchrow(sql.channels_to_tell, [row["channel_id"]]) if row is not None else None
        return (delivery_of(row), channel["plugin_name"]) if channel is not None else None

    async def end(self, ending: Ending) -> bool:
        """Store how it ended, what the channel knows now, and the line in each alert's timeline.

        False when it had ended already.
        """
        return await self._ended.ask(ending)

    async def _find(self, ids: Sequence[str]) -> list[Planned | None]:
        rows = await self._database.fetch(sql.find_deliveries, ids)
        if not rows:
            return [None] * len(ids)
        deliveries = [delivery_of(row) for row in rows]
        threads = {row["id"]: _thread(row, each) for row, each in zip(rows, deliveries, strict=True)}
        called = await self._database.fetch(sql.channels_to_tell, list({each.channel_id for each in deliveries}))
        channels = {row["id"]: (channel_of(row, self._seals), row["is_on"]) for row in called}
        told = {planned.fingerprint for delivery in deliveries for planned in delivery.alerts}
        alerts = {alert.fingerprint: alert for alert in await self._alerts.find(told)}
        found = {}
        for delivery in deliveries:
            if delivery.channel_id in channels:
                channel, is_on = channels[delivery.channel_id]
                own = [alerts[each.fingerprint] for each in delivery.alerts if each.fingerprint in alerts]
                found[delivery.id] = Planned(
                    delivery=delivery, channel=channel, is_on=is_on, alerts=own, thread=threads[delivery.id]
                )
        return [found.get(id) for id in ids]

    async def _end(self, endings: Sequence[Ending]) -> list[bool]:
        async with self._database.transaction() as transaction:
            return await self.end_in(transaction, endings)

    async def end_in(self, transaction: Transaction, endings: Sequence[Ending]) -> list[bool]:
        """As `end`, in a transaction that has locked no group or channel yet."""
        digests = {one.delivery.id: one for one in endings if one.delivery.is_digest}
        rows = await transaction.fetch(sql.members_of_digests, list(digests)) if digests else []
        members = [replace(digests[row["digest_id"]], delivery=delivery_of(row)) for row in rows]
        ones = {one.delivery.id: one for one in (*endings, *members)}
        await self._lock(transaction, list(ones.values()), list(digests.values()))
        ended = await self._written(transaction, list(ones.values()))
        if ended:
            notices = [notice for id in ended if id not in digests for notice in _notices(ones[id])]
            stand_ins = await self._stand_in(transaction, [ones[id] for id in ended])
            await self._alerts.notified(transaction, notices + stand_ins)
            await self._tell_ends(transaction, [ones[id] for id in ended if ones[id].delivery.is_on_its_own])
            await self._go_on(transaction, [one for id, one in digests.items() if id in ended])
        return [one.delivery.id in ended for one in endings]

    async def _lock(self, transaction: Transaction, ones: Sequence[Ending], digests: Sequence[Ending]) -> None:
        await transaction.execute(sql.lock_told_groups, list({one.delivery.group_key for one in ones}))
        await transaction.execute(sql.lock_told_channels, list({one.delivery.channel_id for one in ones}))
        if digests:
            await transaction.execute(sql.lock_chains, list({one.delivery.channel_id for one in digests}))

    async def _written(self, transaction: Transaction, ones: Sequence[Ending]) -> list[str]:
        """The ids of those that had not ended before."""
        rows = await transaction.fetch(
            sql.end_deliveries,
            [one.delivery.id for one in ones],
            [one.status for one in ones],
            [one.outcome.code for one in ones],
            [one.outcome.text for one in ones],
            [one.outcome.message_id if isinstance(one.outcome, Delivered) else None for one in ones],
            [one.latency // timedelta(milliseconds=1) for one in ones],
            self._clock.now(),
            [one.sent_by for one in ones],
            [one.thread for one in ones],
        )
        return [row["id"] for row in rows]

    async def _stand_in(self, transaction: Transaction, ended: Sequence[Ending]) -> list[Notice]:
        """What failed for good is told by others; a digest as a whole, not each of its members."""
        failed = [one for one in ended if one.status is DeliveryStatus.FAILED and one.delivery.digest_id is None]
        return await plan_stand_ins(transaction, self._producer, [(one.delivery, one.fallback) for one in failed])

    async def _tell_ends(self, transaction: Transaction, ended: Sequence[Ending]) -> None:
        if ended:
            by_status = {one.status: [each.delivery for each in ended if each.status is one.status] for one in ended}
            await self._ends.ended(transaction, by_status)

    async def _go_on(self, transaction: Transaction, digests: Sequence[Ending]) -> None:
        """Behind a digest that has ended comes the next one of its channel."""
        if digests:
            channels = list({one.delivery.channel_id for one in digests})
            following = [row["id"] for row in await transaction.fetch(sql.next_digests, channels)]
            await self._producer.enqueue(transaction, *(deliver_task(id) for id in following))


def delivery_to_make(tell: Tell, now: datetime) -> Delivery:
    """A new one, as its row will be."""
    return Delivery(
        id=new_id(),
        channel_id=tell.channel_id,
        group_key=tell.group.key,
        receiver=tell.group.receiver,
        group_labels=tell.group.labels,
        alerts=tuple(planned(alert, is_news=alert.fingerprint not in tell.known) for alert in tell.alerts),
        due_at=tell.due(now),
        created_at=now,
        updated_at=now,
    )


def delivery_of(row: Any) -> Delivery:
    values = {name: row[name] for name in _FIELDS}
    alerts = tuple(planned_alert(document) for document in row["alerts"])
    status, fallback = DeliveryStatus(row["status"]), tuple(row["fallback"])
    return Delivery(**{**values, "alerts": alerts, "status": status, "fallback": fallback})


def _thread(row: Any, delivery: Delivery) -> Thread | None:
    root = row["thread"] or row["group_thread"]
    if root is None:
        return None
    firing = {alert.key for alert in delivery.alerts if alert.status == "firing"}
    return Thread(root=root, is_calm=not firing or firing < set(row["known_firing"]), is_over=not firing)


def _notices(ending: Ending) -> list[Notice]:
    """A group that grows is told again and again as a whole; what was sent of an alert before is no line once more."""
    status, detail = _NOTIFIED.get(ending.status), _detail(ending)
    kind, is_sent = f"notification.{ending.status}", ending.status is DeliveryStatus.SENT
    return [
        Notice(fingerprint=alert.fingerprint, episode=alert.episode, kind=kind, status=status, detail=detail)
        for alert in ending.delivery.alerts
        if alert.is_news or not is_sent
    ]


def _detail(ending: Ending) -> Mapping[str, Any]:
    digest = {} if ending.delivery.digest_id is None else {"digest": ending.delivery.digest_id}
    return {
        "delivery": ending.delivery.id,
        "channel_id": ending.delivery.channel_id,
        "group": ending.delivery.group_key,
        "receiver": ending.delivery.receiver,
        "code": ending.outcome.code,
        "text": ending.outcome.text,
        **digest,
        **({} if ending.sent_by is None else {"sent_by": ending.sent_by}),
    }
