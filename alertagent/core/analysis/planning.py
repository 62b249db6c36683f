"""Which alerts are analysed, and how long their notifications wait for it.

There is one run for a group and the episodes in it that nobody analysed yet; whatever joins the group while that run
goes on gets its result, too. Everything here happens in the transaction of a dispatch or a flush, whose caller holds
the locks of the groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from alertagent.core.alerts.model import Alert, AnalysisStatus
from alertagent.core.alerts.service import Alerts
from alertagent.core.analysis.analyzers import Analyzers, Chosen, sql
from alertagent.core.analysis.kinds import ANALYZE, Analyze
from alertagent.core.analysis.model import Policy
from alertagent.core.analysis.policies import Policies
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import NotFound
from alertagent.kernel.ids import new_id
from alertagent.kernel.urgency import Urgency, urgency_of
from alertagent.queue.producer import Producer
from alertagent.storage.database import Transaction
from alertagent.storage.sealing import Unreadable

# After this nobody waits for an answer any more; a callback has a deadline of its own.
RUN_WITHIN = timedelta(minutes=15)
BUDGET_SPAN = timedelta(hours=1)

# A storm of groups is not answered with a storm of questions, even where they are free: so many runs begin together,
# and where so many are open or began lately none does. What would be answered much later helps nobody, and a group that
# grows with each post has been analysed already.
RUNS_AT_ONCE = 50
RECENT_RUNS = 200
LATELY = timedelta(seconds=10)

OVER_BUDGET = "the budget of analyses for this hour is used up"
TOO_MANY = "too many groups began at the same moment, and the analyses under way come first"


@dataclass(slots=True, kw_only=True)
class _Planned:
    """A run to be, and the alerts that it is about."""

    group: str
    alerts: list[Alert]
    id: str = field(default_factory=new_id)


class Planning:
    """Plans runs."""

    def __init__(
        self, alerts: Alerts, analyzers: Analyzers, policies: Policies, producer: Producer, clock: Clock
    ) -> None:
        self._alerts = alerts
        self._analyzers = analyzers
        self._policies = policies
        self._producer = producer
        self._clock = clock

    async def plan(self, transaction: Transaction, groups: Mapping[str, Sequence[Alert]]) -> None:
        """Have those alerts of locked groups analysed that the policy wants to be, and that nobody analysed yet."""
        fresh = _fresh(groups)
        policy = await self._policies.get(transaction) if fresh else Policy()
        wanted = [_Planned(group=key, alerts=some) for key, alerts in fresh if (some := _wanted(policy, alerts))]
        if not wanted:
            return
        now = self._clock.now()
        rows = await transaction.fetch(sql.open_runs, [one.group for one in wanted], now)
        open = {row["group_key"]: row["id"] for row in rows}
        joining = [
            _Planned(group=one.group, alerts=one.alerts, id=open[one.group]) for one in wanted if one.group in open
        ]
        await self._enter(transaction, joining)
        beginning = [one for one in wanted if one.group not in open]
        await self._begin(transaction, beginning, policy, now)

    async def request(self, transaction: Transaction, alert: Alert) -> None:
        """A person wants this alert analysed, whatever the policy says; it counts, but no budget refuses it."""
        chosen = await self._analyzers.default(transaction)
        await self._write(transaction, [_Planned(group="", alerts=[alert])], chosen, self._clock.now())

    async def waits(self, transaction: Transaction, dues: Mapping[str, datetime]) -> Mapping[str, datetime]:
        """Those of the locked groups, due at these moments, whose notifications wait; until when at most.

        What a group waits is counted from the first moment at which it was due, and never longer than the policy's
        hold, however many runs follow one another.
        """
        now = self._clock.now()
        rows = await transaction.fetch(sql.waiting_groups, list(dues), now)
        if not rows:
            return {}
        until = {row["key"]: row["until"] or dues[row["key"]] + row["hold"] for row in rows}
        waiting = {row["key"]: until[row["key"]] for row in rows if row["is_asked"] and now < until[row["key"]]}
        await transaction.execute(sql.hold_groups, list(waiting), list(waiting.values()))
        await transaction.execute(sql.release_groups, [key for key in until if key not in waiting])
        return waiting

    async def waiting(self, transaction: Transaction, keys: Sequence[str]) -> list[str]:
        """Those of the locked groups whose notifications wait for an analysis."""
        rows = await transaction.fetch(sql.held_groups, list(keys), self._clock.now())
        return [row["group_key"] for row in rows]

    async def _begin(self, transaction: Transaction, wanted: Sequence[_Planned], policy: Policy, now: datetime) -> None:
        if not wanted:
            return
        try:
            chosen = await self._analyzers.default(transaction)
        except (NotFound, Unreadable) as problem:
            await self._skip(transaction, wanted, problem.message)
            return
        recent: int = await transaction.fetchval(sql.count_recent_runs, RECENT_RUNS, now - LATELY)
        most = max(0, min(RUNS_AT_ONCE, RECENT_RUNS - recent))
        room = await self._room(transaction, chosen, policy, now) if most else 0
        await self._skip(transaction, wanted[room:most], OVER_BUDGET)
        await self._skip(transaction, wanted[most:], TOO_MANY)
        await self._write(transaction, wanted[: min(room, most)], chosen, now)

    async def _room(self, transaction: Transaction, chosen: Chosen, policy: Policy, now: datetime) -> int:
        """How many more runs this hour allows; nobody else spends them before the transaction ends."""
        if chosen.plugin.is_free:
            return RUNS_AT_ONCE
        since = now - BUDGET_SPAN
        if await transaction.fetchval(sql.spent, since) >= policy.max_per_hour:
            return 0
        await transaction.execute(sql.lock_budget)
        spent: int = await transaction.fetchval(sql.spent, since)
        return max(0, policy.max_per_hour - spent)

    async def _write(self, transaction: Transaction, runs: Sequence[_Planned], chosen: Chosen, now: datetime) -> None:
        if not runs:
            return
        await transaction.execute(
            sql.add_runs,
            [run.id for run in runs],
            [run.group for run in runs],
            [run.alerts[0].labels.get("alertname", "") for run in runs],
            chosen.id,
            chosen.plugin.is_free,
            now + RUN_WITHIN,
            now,
        )
        await self._enter(transaction, runs)
        leads = [(run.id, run.alerts[0]) for run in runs]
        tasks = [ANALYZE.task(Analyze(alert_id=lead.fingerprint, episode=lead.episode), id=id) for id, lead in leads]
        await self._producer.enqueue(transaction, *tasks)

    async def _enter(self, transaction: Transaction, runs: Sequence[_Planned]) -> None:
        """Put the alerts into their runs."""
        pairs = [(run.id, alert) for run in runs for alert in run.alerts]
        if pairs:
            await transaction.execute(
                sql.add_run_alerts,
                [id for id, _ in pairs],
                [alert.fingerprint for _, alert in pairs],
                [alert.episode for _, alert in pairs],
            )
            tasks = {(alert.fingerprint, alert.episode): id for id, alert in pairs}
            await self._alerts.analyses_planned(transaction, tasks)

    async def _skip(self, transaction: Transaction, runs: Sequence[_Planned], reason: str) -> None:
        episodes = [(alert.fingerprint, alert.episode) for run in runs for alert in run.alerts]
        if episodes:
            detail: dict[str, Any] = {"reason": reason}
            await self._alerts.note(transaction, episodes, "analysis.skipped", detail)


def _fresh(groups: Mapping[str, Sequence[Alert]]) -> list[tuple[str, list[Alert]]]:
    """The alerts of each group that fire and were not analysed. One that is in several counts in the first."""
    seen = set[str]()
    fresh: list[tuple[str, list[Alert]]] = []
    for key, alerts in sorted(groups.items()):
        own = [
            alert
            for alert in alerts
            if alert.is_firing and alert.analysis_status is AnalysisStatus.PENDING and alert.fingerprint not in seen
        ]
        seen.update(alert.fingerprint for alert in own)
        if own:
            fresh.append((key, own))
    return fresh


def _wanted(policy: Policy, alerts: Sequence[Alert]) -> list[Alert]:
    """What began first leads, and of what began together the most urgent."""
    wanted = [alert for alert in alerts if policy.wants(alert.labels)]
    return sorted(wanted, key=lambda alert: (alert.starts_at, -_urgency(alert), alert.fingerprint))


def _urgency(alert: Alert) -> Urgency:
    return urgency_of(alert.labels.get("severity", ""))
