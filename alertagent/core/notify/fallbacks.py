"""When a channel cannot be told for good, the next one of its fallbacks is.

The delivery that stands in belongs to the same group, so its receiver sees the same key for the beginning and the end
of an alert. A channel that is being told that all of this fires need not stand in for another. `ends.py` sees to it
that who was told of a beginning is told of its end, even if the first channel can be told again by then. Where it
cannot be told of that, the alert counts as told all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from alertagent.core.alerts.model import NotificationStatus
from alertagent.core.alerts.service import Notice
from alertagent.core.notify.channels import sql
from alertagent.core.notify.kinds import deliver_task
from alertagent.core.notify.model import DIGEST, ESCALATION, Channel, Delivery
from alertagent.kernel.ids import new_id
from alertagent.queue.producer import Producer
from alertagent.storage.database import Transaction

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A channel that is to be told in place of another, and those that are left after it."""

    id: str
    failed: Delivery
    channel_id: str
    channel: str
    left: tuple[str, ...]


def left_of(delivery: Delivery, channel: Channel) -> tuple[str, ...]:
    """The names of the channels to try if this delivery fails."""
    return channel.fallback if delivery.stands_in_for is None else delivery.fallback


async def plan_stand_ins(
    transaction: Transaction, producer: Producer, failed: Sequence[tuple[Delivery, Sequence[str]]]
) -> list[Notice]:
    """Plan a delivery for each of these that failed, to the first usable of the channels named; what to say of it."""
    if not any(names for _, names in failed):
        return []
    usable = {row["name"]: row["id"] for row in await transaction.fetch(sql.usable_channels)}
    wanted = [found for delivery, names in failed if (found := _stand_in(delivery, names, usable)) is not None]
    rows = await transaction.fetch(
        sql.knowing_ends, [each.failed.id for each in wanted], [each.channel_id for each in wanted]
    )
    knowing = {row["id"] for row in rows}
    told = [each for each in wanted if each.failed.id in knowing]
    wanted = [each for each in wanted if each.failed.id not in knowing]
    begun: list[StandIn] = []
    while wanted:
        planned = await _added(transaction, wanted)
        begun += [each for each in wanted if each.id in planned]
        busy = [each for each in wanted if each.id not in planned]
        wanted = await _instead_of(transaction, busy, usable)
    ids = sorted(each.id for each in begun)
    await transaction.execute(sql.await_ends, ids)
    await producer.enqueue(transaction, *(deliver_task(id) for id in ids))
    notices = [notice for each in begun for notice in _notices(each)]
    return notices + [notice for each in told for notice in _notices(each, is_told=True)]


async def _added(transaction: Transaction, wanted: Sequence[StandIn]) -> set[str]:
    """The ids of those that are planned: a channel hears of a group one delivery after the other."""
    rows = await transaction.fetch(
        sql.add_stand_ins,
        [each.id for each in wanted],
        [each.channel_id for each in wanted],
        [each.failed.id for each in wanted],
        [_receiver(each.failed) for each in wanted],
        [{"left": list(each.left)} for each in wanted],
    )
    return {row["id"] for row in rows}


async def _instead_of(transaction: Transaction, busy: Sequence[StandIn], usable: Mapping[str, str]) -> list[StandIn]:
    """Who comes next where a channel is being told of the group, but not that all of this fires."""
    rows = await transaction.fetch(
        sql.telling_as_much, [each.failed.id for each in busy], [each.channel_id for each in busy]
    )
    telling = {row["id"] for row in rows}
    others = [_stand_in(each.failed, each.left, usable) for each in busy if each.failed.id not in telling]
    return [each for each in others if each is not None]


def _stand_in(delivery: Delivery, names: Sequence[str], usable: Mapping[str, str]) -> StandIn | None:
    for place, name in enumerate(names):
        if name in usable and usable[name] != delivery.channel_id:
            left = tuple(names[place + 1 :])
            return StandIn(id=new_id(), failed=delivery, channel_id=usable[name], channel=name, left=left)
        log.warning("fallback.unusable", channel=name, delivery=delivery.id)
    return None


def _receiver(delivery: Delivery) -> str:
    """A digest's stand-in is no digest: nothing waits for its end."""
    return ESCALATION if delivery.receiver == ESCALATION else "fallback" if delivery.receiver == DIGEST else ""


def _notices(stand_in: StandIn, *, is_told: bool = False) -> list[Notice]:
    detail: dict[str, Any] = {
        **({} if is_told else {"delivery": stand_in.id}),
        "channel_id": stand_in.channel_id,
        "channel": stand_in.channel,
        "in_place_of": stand_in.failed.channel_id,
    }
    return [
        Notice(
            fingerprint=alert.fingerprint,
            episode=alert.episode,
            kind="notification.fallback",
            status=NotificationStatus.SENT if is_told else None,
            detail=detail,
        )
        for alert in stand_in.failed.alerts
    ]
