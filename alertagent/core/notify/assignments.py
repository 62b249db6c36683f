"""Whoever is assigned an alert that fires is told, on each of their channels; who takes one over knows.

It is told in the transaction that assigns. Like an escalation it heeds neither quiet hours nor a least severity, for
no group would look again and tell it later. The end is told by `ends.py`, unless a group does.
"""

from collections.abc import Sequence

import structlog

from alertagent.core.alerts.service import Alerts
from alertagent.core.audit.model import Actor
from alertagent.core.auth.model import holder
from alertagent.core.notify.channels import sql
from alertagent.core.notify.model import ASSIGNMENT
from alertagent.core.notify.single import plan_delivery
from alertagent.kernel.clock import Clock
from alertagent.queue.producer import Producer
from alertagent.storage.database import Transaction

log = structlog.get_logger()


class Assignments:
    """Plans what assignees are told."""

    def __init__(self, alerts: Alerts, producer: Producer, clock: Clock) -> None:
        self._alerts = alerts
        self._producer = producer
        self._clock = clock

    async def tell(self, transaction: Transaction, actor: Actor, assignee: str, fingerprints: Sequence[str]) -> None:
        """The transaction assigns these firing alerts. A name that is no user's leads to nobody."""
        by = holder(actor.name)
        if assignee in {actor.name, by}:
            return
        channels = await transaction.fetch(sql.hold_channels_of, assignee)
        if not channels:
            return
        alerts = await self._alerts.find(fingerprints, transaction)
        for channel in channels:
            await plan_delivery(
                transaction,
                self._producer,
                channel_id=channel["id"],
                receiver=ASSIGNMENT,
                alerts=alerts,
                now=self._clock.now(),
                assigned_by=by,
            )
        names = [channel["name"] for channel in channels]
        episodes = [(alert.fingerprint, alert.episode) for alert in alerts]
        await self._alerts.note(transaction, episodes, "notification.assigned", {"to": assignee, "channels": names})
        log.info("alerts.assigned", channels=names, count=len(alerts))
