"""When the routing document changes, alerts move to other groups, and what their channels know of them goes along.

A group notices at its next look that it was made by another revision. Its alerts are put into their groups anew by a
`dispatch` task of the same transaction. A channel that was told of an alert in the old group and hears of the new one
counts as told there: a change of the document is no reason to tell everything again, and the end is told where the
alert is then.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import dispatch_tasks
from alertagent.core.notify.look import Listener, Look, audience_of, groups_of
from alertagent.core.routing.model import RoutingTable
from alertagent.queue.producer import Producer
from alertagent.storage.database import Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.notify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heir:
    """A group into which an alert moves, and what one of its channels knows of the alert."""

    key: str
    receiver: str
    labels: Mapping[str, Any]
    route: str
    fingerprint: str
    channel_id: str
    alert: str
    told_at: datetime


async def move(
    transaction: Transaction,
    producer: Producer,
    table: RoutingTable,
    looks: Sequence[Look],
    listeners: Collection[Listener],
) -> None:
    """Bring groups that another revision made up to date; who left them is noted in their looks."""
    stale = [look for look in looks if look.group.revision != table.revision]
    if not stale:
        return
    heirs = [heir for look in stale for alert in look.alerts for heir in _moved(table, look, alert, listeners)]
    await _inherit(transaction, table, heirs)
    kept = [(look.key, look.route.receiver) for look in stale if look.route is not None]
    await transaction.execute(
        sql.adopt_groups, [key for key, _ in kept], [receiver for _, receiver in kept], table.revision
    )
    fingerprints = sorted({alert.fingerprint for look in stale for alert in look.alerts})
    await producer.enqueue(transaction, *dispatch_tasks(fingerprints))


def _moved(table: RoutingTable, look: Look, alert: Alert, listeners: Collection[Listener]) -> list[Heir]:
    """Note whether an alert leaves this group; if so, what the channels of its new groups know of it."""
    homes = {key: (labels, route) for key, labels, route in groups_of(table, alert.labels)}
    if look.key in homes:
        return []
    look.gone.add(alert.fingerprint)
    return [
        Heir(
            key=key,
            receiver=route.receiver,
            labels=labels,
            route=route.key,
            fingerprint=alert.fingerprint,
            channel_id=channel,
            alert=alert.key,
            told_at=look.told[channel].at,
        )
        for key, (labels, route) in homes.items()
        for channel in audience_of(table.receiver(route.receiver), listeners).channels
        if channel in look.told and alert.key in look.told[channel].firing
    ]


async def _inherit(transaction: Transaction, table: RoutingTable, heirs: Sequence[Heir]) -> None:
    if not heirs:
        return
    groups = {heir.key: heir for heir in sorted(heirs, key=lambda heir: heir.key)}
    missing = list(groups)
    while missing:
        # A flush may end a group between these two.
        await transaction.execute(
            sql.add_groups,
            missing,
            [groups[key].receiver for key in missing],
            [groups[key].labels for key in missing],
            [groups[key].route for key in missing],
            table.revision,
        )
        held = {row["key"] for row in await transaction.fetch(sql.hold_groups, list(groups))}
        missing = [key for key in groups if key not in held]
    await transaction.execute(sql.add_members, [heir.key for heir in heirs], [heir.fingerprint for heir in heirs])
    await transaction.execute(
        sql.inherit_told,
        [heir.key for heir in heirs],
        [heir.channel_id for heir in heirs],
        [heir.alert for heir in heirs],
        [heir.told_at for heir in heirs],
    )
