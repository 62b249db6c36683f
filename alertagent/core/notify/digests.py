"""A backlog is told as digests, oldest first, and not as a storm.

When a channel has several deliveries that are late, the first of their tasks that runs merges them into digests before
anything is sent. Members stay pending, so that their groups know that the channel is being told, and end with their
digest; their own tasks have nothing left to do.

The digests of a channel form a chain: only the first has a task, and its end makes the next one's. So they keep their
order, what comes later can still join the last one, and a digest under way never changes. Whoever touches the chain
holds the channel's row.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from alertagent.core.alerts.service import Alerts
from alertagent.core.notify.backlog import Late, alerts_of, digests_of, refreshed
from alertagent.core.notify.channels import sql
from alertagent.core.notify.kinds import deliver_task
from alertagent.core.notify.look import planned_alert
from alertagent.core.notify.model import ASSIGNMENT, DIGEST, ESCALATION, Delivery
from alertagent.kernel.clock import Clock
from alertagent.kernel.ids import new_id
from alertagent.kernel.together import Together
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database, Transaction

# One that is younger than this goes out without a look at the others. It is late only much later, so none is merged
# while its first attempt is under way.
LOOK_FROM = timedelta(minutes=1)

# An attempt that has not ended after this died with its worker.
ABANDONED_AFTER = timedelta(minutes=6)

# Fewer deliveries than these wait for room by themselves.
CROWD = 2

# Each of these is told by itself.
_ALONE = frozenset({ASSIGNMENT, DIGEST, ESCALATION})

log = structlog.get_logger()


class Digests:
    """Decides whether a delivery goes out by itself. `late_after` and `at_least` say what a backlog is."""

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        producer: Producer,
        clock: Clock,
        *,
        late_after: timedelta,
        at_least: int,
    ) -> None:
        self._database = database
        self._alerts = alerts
        self._producer = producer
        self._clock = clock
        self._late_after = late_after
        self._at_least = at_least
        self._asked = Together(self._merge)
        self._crowded = Together(self._crowd)

    async def take(self, delivery: Delivery, *, may_crowd: bool = False) -> bool:
        """Whether a digest tells this; otherwise it is to be attempted now.

        `may_crowd`: others of its channel may be merged at any moment, so that an attempt must be known of.
        """
        if delivery.receiver in _ALONE:
            return False
        age = self._clock.now() - delivery.due_at
        if delivery.digest_id is None and age < min(LOOK_FROM, self._late_after) and not may_crowd:
            return False
        return await self._asked.ask(delivery)

    async def crowd(self, delivery: Delivery) -> bool:
        """Merge all that waits for its channel, which bears no more messages; whether a digest tells this now.

        It was to be attempted and was not: otherwise it waits by itself.
        """
        if delivery.receiver in _ALONE:
            return False
        return await self._crowded.ask(delivery)

    async def _merge(self, deliveries: Sequence[Delivery]) -> list[bool]:
        alone = set[str]()
        for channel, ids in _by_channel(deliveries):
            now = self._clock.now()
            async with self._database.transaction() as transaction:
                await self._merge_since(transaction, channel, now - self._late_after, now, at_least=self._at_least)
                alone |= {row["id"] for row in await transaction.fetch(sql.go_alone, ids, now)}
        return [delivery.id not in alone for delivery in deliveries]

    async def _crowd(self, deliveries: Sequence[Delivery]) -> list[bool]:
        alone = set[str]()
        for channel, ids in _by_channel(deliveries):
            now = self._clock.now()
            async with self._database.transaction() as transaction:
                await transaction.execute(sql.wait_again, ids)
                await self._merge_since(transaction, channel, now, now, at_least=CROWD)
                alone |= {row["id"] for row in await transaction.fetch(sql.untold, ids)}
        return [delivery.id not in alone for delivery in deliveries]

    async def _merge_since(
        self, transaction: Transaction, channel: str, planned_by: datetime, now: datetime, *, at_least: int
    ) -> None:
        """Merge what waits for a channel and was planned by then, if that is enough or digests are under way."""
        await transaction.execute(sql.lock_chains, [channel])
        chain = await transaction.fetch(sql.chain, channel)
        if chain and not any(digest["has_task"] for digest in chain):
            await transaction.execute(sql.break_chain, channel, now)
            chain = []
        waiting = await transaction.fetch(sql.late_deliveries, channel, planned_by, now - ABANDONED_AFTER)
        if waiting and (chain or len(waiting) >= at_least):
            await self._plan(transaction, channel, chain, waiting, now)

    async def _plan(
        self, transaction: Transaction, channel: str, chain: Sequence[Any], late: Sequence[Any], now: datetime
    ) -> None:
        """Put these into new digests, and into the last one of the chain if that is not under way."""
        last = None if not chain or chain[-1]["has_task"] else chain[-1]["id"]
        rows = [*(await transaction.fetch(sql.members_of_digests, [last] if last else [])), *late]
        digests = digests_of(await self._as_they_are(transaction, rows))
        ids = [last or new_id(), *(new_id() for _ in digests[1:])]
        await transaction.execute(
            sql.add_digests,
            ids,
            channel,
            [{"alerts": [planned.as_json() for planned in alerts_of(members)]} for members in digests],
            [now + timedelta(microseconds=place) for place in range(len(ids))],
        )
        joined = [(member, id) for id, members in zip(ids, digests, strict=True) for member in members]
        await transaction.execute(
            sql.join_digests,
            [member.id for member, _ in joined],
            [id for _, id in joined],
            [{"alerts": [planned.as_json() for planned in member.alerts]} for member, _ in joined],
        )
        if not chain:
            await self._producer.enqueue(transaction, deliver_task(ids[0]))
        log.info("digest.planned", channel=channel, digests=len(ids), deliveries=len(joined))

    async def _as_they_are(self, transaction: Transaction, rows: Sequence[Any]) -> list[Late]:
        members = [Late(id=row["id"], alerts=tuple(map(planned_alert, row["alerts"]))) for row in rows]
        told = {planned.fingerprint for member in members for planned in member.alerts}
        known = {alert.fingerprint: alert for alert in await self._alerts.find(told, transaction)}
        return [refreshed(member, known) for member in members]


def _by_channel(deliveries: Sequence[Delivery]) -> list[tuple[str, list[str]]]:
    """The channels in order, with the ids of their deliveries."""
    channels = sorted({delivery.channel_id for delivery in deliveries})
    return [(channel, [each.id for each in deliveries if each.channel_id == channel]) for channel in channels]
