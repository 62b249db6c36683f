"""Gathering what AlertAgent knows around an alert, before anybody is asked about it.

The alert itself is enough to ask: a Prometheus that does not answer leaves its values out and costs a few seconds.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import Alerts
from alertagent.core.analysis.analyzers import sql
from alertagent.core.analysis.model import message_alert
from alertagent.core.analysis.values import measured, read_series, span
from alertagent.core.clusters.proxy import QueryProxy
from alertagent.core.rules.model import Rule, version_name
from alertagent.core.rules.service import Rules
from alertagent.core.silences.service import Silences
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Problem
from alertagent.plugins.analysis import AlertingRule, AnalysisContext, Earlier, RuleChange, Series
from alertagent.storage.database import Database

# The changes of a rule that can have to do with an alert, and the span in which coming back counts as flapping.
CHANGES_BEFORE = timedelta(hours=1)
FLAPPING_WITHIN = timedelta(hours=24)
EARLIER_WITHIN = timedelta(days=30)

VALUES_PATIENCE = timedelta(seconds=5)

log = structlog.get_logger()


class Surroundings:
    """Looks around."""

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        *,
        rules: Rules,
        silences: Silences,
        proxy: QueryProxy,
        clock: Clock,
    ) -> None:
        self._database = database
        self._alerts = alerts
        self._rules = rules
        self._silences = silences
        self._proxy = proxy
        self._clock = clock

    async def of(self, run_id: str, alerts: Sequence[Alert], *, with_values: bool) -> AnalysisContext:
        """The first of the alerts is the one that is asked about, the others are those of its group."""
        alert, now = alerts[0], self._clock.now()
        name = alert.labels.get("alertname", "")
        rule = next(iter(await self._rules.named(name)), None)
        silences = await self._silences.active(now)
        return AnalysisContext(
            alert=message_alert(alert),
            now=now,
            group=tuple(map(message_alert, alerts[1:])),
            related=tuple(message_alert(other) for other in await self._alerts.related(alert)),
            rule=_rule(rule) if rule is not None else None,
            rule_changes=await self._changes(name, alert, now),
            values=await self._values(alert, rule, now) if with_values and rule is not None else (),
            silences=tuple(
                f"{', '.join(map(str, silence.matchers))}: {silence.comment}"
                for silence in silences.muting(alert.labels)
            ),
            earlier=await self._earlier(name, run_id, now),
            episodes=max(1, await self._alerts.episodes_since(alert.fingerprint, now - FLAPPING_WITHIN)),
        )

    async def _changes(self, name: str, alert: Alert, now: datetime) -> tuple[RuleChange, ...]:
        changes = await self._rules.recently_changed(name, alert.starts_at - CHANGES_BEFORE, now)
        return tuple(
            RuleChange(
                rule=change.name,
                version=version_name(change.revision),
                changed_at=change.at,
                changed_by=change.author,
                summary=change.comment or change.change,
            )
            for change in changes
        )

    async def _values(self, alert: Alert, rule: Rule, now: datetime) -> tuple[Series, ...]:
        """What the rule's expression gave in the alert's cluster, where that has an address to ask."""
        cluster = alert.labels.get("cluster", "")
        if not cluster:
            return ()
        parameters = {"query": measured(rule.content.expression), **span(alert.starts_at, now)}
        try:
            body = await self._proxy.ask(cluster, "query_range", parameters, VALUES_PATIENCE)
        except Problem as problem:
            log.debug("analysis.values_missing", cluster=cluster, code=problem.code)
            return ()
        return read_series(body, alert.labels)

    async def _earlier(self, name: str, run_id: str, now: datetime) -> tuple[Earlier, ...]:
        rows = await self._database.fetch(sql.earlier, name, run_id, now - EARLIER_WITHIN)
        return tuple(
            Earlier(
                at=row["ended_at"],
                provider=str(row["result"].get("provider", "")),
                root_cause=str(row["result"].get("root_cause", "")),
                confidence=float(row["result"].get("confidence") or 0),
                feedback=tuple(row["feedback"]),
            )
            for row in rows
        )


def _rule(rule: Rule) -> AlertingRule:
    content = rule.content
    return AlertingRule(
        name=content.name,
        expression=content.expression,
        duration=content.duration or timedelta(),
        labels=content.labels,
        annotations=content.annotations,
    )
