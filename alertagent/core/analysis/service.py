"""Asking an analyzer what may have caused an alert, and keeping its answer with the episode it was about."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import structlog

from alertagent.core.alerts.model import Alert, AnalysisStatus
from alertagent.core.alerts.service import Alerts
from alertagent.core.analysis.kinds import ANALYZE, Analyze
from alertagent.core.rules.model import version_name
from alertagent.core.rules.service import Rules
from alertagent.kernel.clock import Clock
from alertagent.kernel.matchers import parse_matcher
from alertagent.kernel.message import MessageAlert
from alertagent.plugins.analysis import Analysis, AnalysisContext, Analyzer, RuleChange
from alertagent.plugins.transport import Transport
from alertagent.queue.task import NewTask

# Which alerts are worth an analysis until somebody says otherwise.
FILTER = parse_matcher('severity=~"critical|warning"')

# The changes of a rule that can have to do with an alert, and the span in which coming back counts as flapping.
CHANGES_BEFORE = timedelta(hours=1)
FLAPPING_WITHIN = timedelta(hours=24)

MAX_ALERTS = 50

log = structlog.get_logger()


class Analyses:
    """Runs the analyzer on alerts."""

    def __init__(
        self, alerts: Alerts, rules: Rules, analyzer: Analyzer[Any], transport: Transport, clock: Clock
    ) -> None:
        self._alerts = alerts
        self._rules = rules
        self._analyzer = analyzer
        self._transport = transport
        self._clock = clock

    async def analyze(self, fingerprint: str, episode: int) -> None:
        """Analyse one episode; nothing to do when it is over or has its result."""
        alert = await self._alerts.get(fingerprint)
        if alert.episode != episode or alert.analysis_status is AnalysisStatus.ANALYZED:
            return
        context = await self._context(alert)
        started = time.perf_counter()
        analysis = await self._analyzer.analyze(self._analyzer.validate_config({}), context, self._transport)
        duration = time.perf_counter() - started
        await self._alerts.analysis_ended(alert, AnalysisStatus.ANALYZED, _result(analysis, duration))
        log.info("alert.analyzed", alert=fingerprint, provider=analysis.provider, seconds=round(duration, 4))

    async def fail(self, fingerprint: str, episode: int, reason: str) -> None:
        """Say that no analysis will come."""
        alert = await self._alerts.get(fingerprint)
        if alert.episode == episode:
            await self._alerts.analysis_ended(alert, AnalysisStatus.FAILED, {"error": reason[:500]})

    async def _context(self, alert: Alert) -> AnalysisContext:
        now = self._clock.now()
        name = alert.labels.get("alertname", "")
        changes = await self._rules.recently_changed(name, alert.starts_at - CHANGES_BEFORE, now)
        return AnalysisContext(
            alert=message_alert(alert),
            now=now,
            related=tuple(message_alert(other) for other in await self._alerts.related(alert)),
            rule_changes=tuple(
                RuleChange(
                    rule=change.name,
                    version=version_name(change.revision),
                    changed_at=change.at,
                    changed_by=change.author,
                    summary=change.comment or change.change,
                )
                for change in changes
            ),
            episodes=max(1, await self._alerts.episodes_since(alert.fingerprint, now - FLAPPING_WITHIN)),
        )


def wanted(alerts: Sequence[Alert]) -> list[Alert]:
    """Those of a group that are analysed: firing, serious enough, not analysed yet, and not too many."""
    fresh = (a for a in alerts if a.is_firing and a.analysis_status is AnalysisStatus.PENDING)
    return [alert for alert in fresh if FILTER.matches(alert.labels)][:MAX_ALERTS]


def task_for(alert: Alert) -> NewTask:
    return ANALYZE.task(Analyze(alert_id=alert.fingerprint, episode=alert.episode))


def message_alert(alert: Alert) -> MessageAlert:
    return MessageAlert(
        fingerprint=alert.fingerprint,
        status=alert.status,
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=None if alert.is_firing else alert.ends_at,
        generator_url=alert.generator_url,
    )


def _result(analysis: Analysis, seconds: float) -> Mapping[str, Any]:
    return {**asdict(analysis), "duration": round(seconds, 6)}
