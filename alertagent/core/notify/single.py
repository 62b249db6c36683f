"""A delivery that belongs to no group: it is told once, and then its end."""

from collections.abc import Sequence
from datetime import datetime

from alertagent.core.alerts.model import Alert
from alertagent.core.notify.channels import sql
from alertagent.core.notify.kinds import deliver_task
from alertagent.core.notify.look import planned
from alertagent.kernel.ids import new_id
from alertagent.queue.producer import Producer
from alertagent.storage.database import Transaction


async def plan_delivery(
    transaction: Transaction,
    producer: Producer,
    *,
    channel_id: str,
    receiver: str,
    alerts: Sequence[Alert],
    now: datetime,
    assigned_by: str | None = None,
) -> None:
    """Plan that a channel is told of these firing alerts. `receiver` says why, in place of a route's."""
    id = new_id()
    told = [planned(alert).as_json() for alert in alerts]
    await transaction.execute(
        sql.add_deliveries,
        [id],
        [channel_id],
        [f"{receiver}:{id}"],
        [receiver],
        [{}],
        [{"alerts": told}],
        [now],
        [None],
        now,
    )
    if assigned_by is not None:
        await transaction.execute(sql.note_assigner, id, assigned_by)
    await transaction.execute(sql.await_ends, [id])
    await producer.enqueue(transaction, deliver_task(id))
