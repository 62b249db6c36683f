"""What holds alerts back from being told, written down where it changes: why nobody was told is in the timeline."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import Alerts, Notice
from alertagent.core.notify.inhibiting import inhibitors
from alertagent.core.notify.look import Look
from alertagent.core.routing.model import RoutingTable
from alertagent.core.routing.stages import Drop, Verdict, first_drop, inhibited, off_time, silenced
from alertagent.core.silences.coverage import ActiveSilences
from alertagent.kernel.labels import Labels
from alertagent.storage.database import Executor, Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.notify")


async def hold(
    transaction: Transaction,
    table: RoutingTable,
    looks: Sequence[Look],
    now: datetime,
    *,
    silences: ActiveSilences,
    alerts: Alerts,
) -> None:
    """Find out in each look which of its alerts are held back."""
    members = {alert.fingerprint: alert.labels for look in looks for alert in look.members}
    everywhere = await held_everywhere(transaction, table, silences, members)
    for look in looks:
        if look.route is None:
            continue
        time = off_time(look.route, table, now)
        for key in [alert.fingerprint for alert in look.members]:
            drop = first_drop(*everywhere[key], time)
            if drop is not None:
                look.held[key] = drop
    await _note(transaction, [(look, *change) for look in looks for change in look.newly_held], alerts)


async def held_everywhere(
    executor: Executor, table: RoutingTable, silences: ActiveSilences, alerts: Mapping[str, Labels]
) -> Mapping[str, Sequence[Verdict]]:
    """What the stages say of alerts, by fingerprint, that ask for no route: silences and inhibitions."""
    inhibiting = await inhibitors(executor, table, alerts.items())
    return {
        key: (
            silenced([silence.id for silence in silences.muting(labels)]),
            inhibited(inhibiting.get(key, ())),
        )
        for key, labels in alerts.items()
    }


async def _note(transaction: Transaction, changes: Sequence[tuple[Look, Alert, Drop | None]], alerts: Alerts) -> None:
    if not changes:
        return
    await transaction.execute(
        sql.hold_members,
        [look.key for look, _, _ in changes],
        [alert.fingerprint for _, alert, _ in changes],
        [drop.as_json() if drop is not None else None for _, _, drop in changes],
    )
    await alerts.notified(transaction, [_notice(*change) for change in changes])


def _notice(look: Look, alert: Alert, drop: Drop | None) -> Notice:
    return Notice(
        fingerprint=alert.fingerprint,
        episode=alert.episode,
        kind="notification.held" if drop is not None else "notification.released",
        status=None,
        detail={
            "group": look.key,
            "receiver": look.group.receiver,
            **(drop.as_json() if drop is not None else {}),
        },
    )
