"""Trying a delivery again that has failed for good, because somebody says so."""

from collections.abc import Mapping, Sequence

from alertagent.core.alerts.service import Alerts, Notice
from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.core.notify.channels import sql
from alertagent.core.notify.model import Delivery, DeliveryStatus
from alertagent.core.notify.records import delivery_of
from alertagent.kernel.errors import Conflict, NotFound
from alertagent.queue.ledger import Entry
from alertagent.queue.tasks import Tasks
from alertagent.storage.database import Database, Transaction


class Retries:
    """Takes up again what failed: the same delivery, with the id that its receiver may know, and all its attempts."""

    def __init__(self, database: Database, alerts: Alerts, tasks: Tasks, audit: Audit) -> None:
        self._database = database
        self._alerts = alerts
        self._tasks = tasks
        self._audit = audit

    async def retry(self, actor: Actor, id: str) -> Delivery:
        """Raises NotFound, and Conflict where it has not failed or something newer is on its way to the channel."""
        await self._failed(id)

        async def also(transaction: Transaction, _: Entry) -> None:
            for problem in (await self.take_up(transaction, actor, [id])).values():
                raise problem

        try:
            await self._tasks.retry(id, also=also)
        except NotFound as problem:
            raise Conflict(
                f"delivery {id} failed so long ago that its task is forgotten", code="delivery.too_old"
            ) from problem
        return await self._get(id)

    async def take_up(self, transaction: Transaction, actor: Actor, ids: Sequence[str]) -> Mapping[str, Conflict]:
        """Tasks of these are reopened in this transaction: what has failed is to be told after all.

        Those whose channel was told something newer, or is about to be, stay as they are; answers which. Of any other
        delivery nothing changes.
        """
        failed = [delivery_of(row) for row in await transaction.fetch(sql.failed_deliveries, ids)]
        members = await transaction.fetch(sql.failed_members, [delivery.id for delivery in failed])
        groups = {delivery.group_key for delivery in failed} | {row["group_key"] for row in members}
        await transaction.execute(sql.lock_told_groups, list(groups))
        taken: list[Delivery] = []
        for delivery in failed:
            rows = await transaction.fetch(sql.take_up_deliveries, delivery.id)
            if delivery.id in {row["id"] for row in rows}:
                taken.append(delivery)
        await transaction.execute(sql.await_ends, [delivery.id for delivery in taken if delivery.is_on_its_own])
        for delivery in taken:
            await self._audit.record(transaction, actor, "delivery.retried", ("delivery", delivery.id))
        await self._alerts.notified(transaction, [notice for each in taken for notice in _notices(each, actor)])
        return {delivery.id: _overtaken(delivery) for delivery in failed if delivery not in taken}

    async def _failed(self, id: str) -> Delivery:
        delivery = await self._get(id)
        if delivery.status is not DeliveryStatus.FAILED:
            raise Conflict(f"delivery {id} has not failed: it is {delivery.status}", code="delivery.not_failed")
        if delivery.digest_id is not None:
            raise Conflict(
                f"delivery {id} was to be told by the digest {delivery.digest_id}; retry that",
                code="delivery.in_digest",
            )
        return delivery

    async def _get(self, id: str) -> Delivery:
        row = await self._database.fetchrow(sql.delivery, id)
        if row is None:
            raise NotFound(f'there is no delivery "{id}"', code="delivery.not_found")
        return delivery_of(row)


def _overtaken(delivery: Delivery) -> Conflict:
    return Conflict(
        f"a newer message about the same group has been sent to the channel of delivery {delivery.id}, "
        "or is on its way",
        code="delivery.overtaken",
    )


def _notices(delivery: Delivery, actor: Actor) -> list[Notice]:
    detail = {"delivery": delivery.id, "channel_id": delivery.channel_id, "by": actor.name}
    return [
        Notice(
            fingerprint=alert.fingerprint,
            episode=alert.episode,
            kind="notification.retried",
            status=None,
            detail=detail,
        )
        for alert in delivery.alerts
    ]
