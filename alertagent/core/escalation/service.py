"""Keeping the policy, planning its steps, and taking them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import Alerts
from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.core.escalation.kinds import ESCALATE, Escalate
from alertagent.core.escalation.model import (
    EscalationRule,
    Policy,
    due_channels,
    is_open,
    next_due,
    read_rule,
    require_known,
)
from alertagent.core.notify.channels import Channels
from alertagent.core.notify.holding import held_everywhere
from alertagent.core.notify.model import ESCALATION, Channel
from alertagent.core.notify.single import plan_delivery
from alertagent.core.routing.service import Routing
from alertagent.core.routing.stages import first_drop
from alertagent.core.silences.service import Silences
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Stale
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.escalation")

# How long it is known to whom an episode was escalated; an acknowledgement that is taken back later escalates anew.
REMEMBERED = timedelta(days=90)

# How long a step that is due waits while its alert is held back.
ASK_AGAIN = timedelta(minutes=1)

log = structlog.get_logger()


class Escalations:
    """The policy and what follows from it."""

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        channels: Channels,
        *,
        routing: Routing,
        silences: Silences,
        audit: Audit,
        producer: Producer,
        clock: Clock,
    ) -> None:
        self._database = database
        self._alerts = alerts
        self._channels = channels
        self._routing = routing
        self._silences = silences
        self._audit = audit
        self._producer = producer
        self._clock = clock

    async def policy(self, executor: Executor | None = None) -> Policy:
        row = await (executor or self._database).fetchrow(sql.policy)
        return _policy(row) if row is not None else Policy()

    async def replace(self, actor: Actor, rules: Sequence[EscalationRule], expected: frozenset[int] | None) -> Policy:
        """Store a policy. Raises Invalid for unknown channels, Stale."""
        async with self._database.transaction() as transaction:
            await transaction.execute(sql.lock_policy)
            before = await self.policy(transaction)
            if expected is not None and before.revision not in expected:
                raise Stale(f"the escalation was changed in the meantime; it is at revision {before.revision}")
            require_known(rules, await self._channels.hold(transaction, Policy(rules=tuple(rules)).channels))
            if tuple(rules) == before.rules:
                return before
            documents = [rule.as_json() for rule in rules]
            row = await transaction.fetchrow(sql.store_policy, documents, actor.name, self._clock.now())
            await self._audit.record(
                transaction,
                actor,
                "escalation.updated",
                ("escalation", "policy"),
                before={"rules": [rule.as_json() for rule in before.rules]},
                after={"rules": documents},
            )
        return _policy(row)

    async def plan(self, fingerprints: Iterable[str]) -> None:
        """Plan the next step of alerts that changed."""
        policy = await self.policy()
        if policy.rules:
            alerts = [alert for alert in await self._alerts.find(fingerprints) if is_open(alert)]
            async with self._database.transaction() as transaction:
                await self._plan(transaction, policy, alerts, self._clock.now(), at_once=True)

    async def escalate(self, episodes: Sequence[tuple[str, int]]) -> None:
        """Tell of those that still fire and nobody acknowledged, and plan the step after.

        May run twice: whom an episode was escalated to is kept with the delivery that tells it.
        """
        async with self._database.transaction() as transaction:
            policy, now = await self.policy(transaction), self._clock.now()
            found = await self._alerts.find([fingerprint for fingerprint, _ in episodes], transaction)
            wanted = set(episodes)
            alerts = [alert for alert in found if is_open(alert) and (alert.fingerprint, alert.episode) in wanted]
            held = await self._held(transaction, alerts, now)
            if held:
                await self._producer.enqueue(transaction, ESCALATE.task(_escalate(held), due=now + ASK_AGAIN))
            heard = [alert for alert in alerts if alert.fingerprint not in {each.fingerprint for each in held}]
            await self._tell(transaction, policy, heard, now)
            await self._plan(transaction, policy, heard, now, at_once=False)

    async def forget_old(self) -> None:
        await self._database.execute(sql.forget, self._clock.now() - REMEMBERED)

    async def _held(self, transaction: Transaction, alerts: Sequence[Alert], now: datetime) -> list[Alert]:
        """Those that a silence or another alert holds back: whom nobody is to hear of, nobody is to deal with."""
        table = await self._routing.table(transaction)
        silences = await self._silences.active(now, transaction)
        labels = {alert.fingerprint: alert.labels for alert in alerts}
        verdicts = await held_everywhere(transaction, table, silences, labels)
        return [alert for alert in alerts if first_drop(*verdicts[alert.fingerprint]) is not None]

    async def _tell(self, transaction: Transaction, policy: Policy, alerts: Sequence[Alert], now: datetime) -> None:
        reached = [(alert, name) for alert in alerts for name in due_channels(policy.rules, alert, now)]
        behind = await self._channels.behind({name for _, name in reached}, transaction)
        usable = [(alert, each) for alert, name in reached for each in behind.get(name, ()) if each.enabled]
        fresh = await transaction.fetch(
            sql.mark,
            [alert.fingerprint for alert, _ in usable],
            [alert.episode for alert, _ in usable],
            [channel.id for _, channel in usable],
            now,
        )
        told: dict[str, list[Alert]] = {}
        known = {alert.fingerprint: alert for alert in alerts}
        for row in fresh:
            told.setdefault(row["channel_id"], []).append(known[row["fingerprint"]])
        by_id = {channel.id: channel for _, channel in usable}
        for id, members in told.items():
            await self._tell_channel(transaction, by_id[id], members)

    async def _tell_channel(self, transaction: Transaction, channel: Channel, alerts: Sequence[Alert]) -> None:
        await plan_delivery(
            transaction,
            self._producer,
            channel_id=channel.id,
            receiver=ESCALATION,
            alerts=alerts,
            now=self._clock.now(),
        )
        episodes = [(alert.fingerprint, alert.episode) for alert in alerts]
        detail = {"channel_id": channel.id, "channel": channel.name}
        await self._alerts.note(transaction, episodes, "escalated", detail)
        log.info("alerts.escalated", channel=channel.name, count=len(alerts))

    async def _plan(
        self, transaction: Transaction, policy: Policy, alerts: Sequence[Alert], now: datetime, *, at_once: bool
    ) -> None:
        """A task for each moment at which a step is due; `at_once` also for steps whose time is over."""
        dues: dict[datetime, list[Alert]] = {}
        for alert in alerts:
            is_due = at_once and due_channels(policy.rules, alert, now)
            due = now if is_due else next_due(policy.rules, alert, now)
            if due is not None:
                dues.setdefault(due, []).append(alert)
        tasks = [ESCALATE.task(_escalate(members), due=due) for due, members in dues.items()]
        await self._producer.enqueue(transaction, *tasks)


def _escalate(alerts: Iterable[Alert]) -> Escalate:
    return Escalate(episodes=tuple((alert.fingerprint, alert.episode) for alert in alerts))


def _policy(row: Mapping[str, Any] | Any) -> Policy:
    return Policy(
        rules=tuple(read_rule(document) for document in row["rules"]),
        revision=row["revision"],
        updated_by=row["updated_by"],
        updated_at=row["updated_at"],
    )
