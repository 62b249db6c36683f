"""What the settings of single channels hold back from them, written down where it changes."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import Alerts, Notice
from alertagent.core.notify.look import Look
from alertagent.core.routing.stages import Drop, Stage
from alertagent.storage.database import Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.notify")


async def keep(transaction: Transaction, looks: Sequence[Look], now: datetime, *, alerts: Alerts) -> None:
    """Find out in each look which of its alerts which channels are not told of."""
    for look in looks:
        for channel, wishes in look.audience.wishes.items() if look.route is not None else ():
            for alert in look.members:
                drop = wishes.drop(alert.labels, now)
                if drop is not None:
                    look.kept.setdefault(alert.fingerprint, {})[channel] = drop
    changes = [(look, *change) for look in looks for change in look.newly_kept]
    if not changes:
        return
    await transaction.execute(
        sql.hold_members_for,
        [look.key for look, _, _ in changes],
        [alert.fingerprint for _, alert, _ in changes],
        [{channel: drop.stage for channel, drop in kept.items()} or None for _, _, kept in changes],
    )
    await alerts.notified(transaction, [notice for change in changes for notice in _notices(*change)])


def was_kept_of(document: Mapping[str, Any]) -> dict[str, Stage]:
    """By the ids of channels, as it is kept."""
    return {channel: Stage(stage) for channel, stage in document.items()}


def _notices(look: Look, alert: Alert, kept: Mapping[str, Drop]) -> Iterator[Notice]:
    """One for each reason, which names all channels that it concerns anew, and one for those that hear of it again."""
    before = look.was_kept.get(alert.fingerprint, {})
    for stage in (Stage.BELOW_MINIMUM, Stage.QUIET_HOURS):
        held = [id for id, drop in kept.items() if drop.stage is stage and before.get(id) is not stage]
        if held:
            yield _notice(look, alert, "notification.held", {"stage": stage, "by": _names(look, held)})
    released = [id for id in before if id not in kept and id in look.audience.channels]
    if released:
        yield _notice(look, alert, "notification.released", {"by": _names(look, released)})


def _notice(look: Look, alert: Alert, kind: str, detail: Mapping[str, Any]) -> Notice:
    about = {"group": look.key, "receiver": look.group.receiver}
    return Notice(
        fingerprint=alert.fingerprint, episode=alert.episode, kind=kind, status=None, detail={**about, **detail}
    )


def _names(look: Look, channels: Sequence[str]) -> list[str]:
    return sorted(look.audience.names[id] for id in channels)
