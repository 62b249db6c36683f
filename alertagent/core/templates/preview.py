"""Messages that try a template out: about alerts of the store, or about one that is made up."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from alertagent.core.alerts.model import Alert, AlertStatus, AnalysisStatus, NotificationStatus
from alertagent.core.alerts.service import Alerts
from alertagent.core.notify.message import messages
from alertagent.core.notify.model import Delivery, PlannedAlert
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Detail, Invalid
from alertagent.kernel.labels import fingerprint
from alertagent.kernel.language import Language
from alertagent.kernel.message import Message

_LABELS = {"alertname": "HighCPU", "severity": "critical", "cluster": "bj", "job": "node"}
_INSTANCES = ("10.0.0.1:9100", "10.0.0.2:9100")
_ANNOTATIONS = {
    "summary": "CPU usage is over 90%",
    "description": "CPU usage of {instance} has been over 90% for 10 minutes.",
    "runbook_url": "https://wiki.example.com/high-cpu",
}
_ANALYSIS = {
    "root_cause": "The nightly backup started while a compaction was running.",
    "confidence": 0.8,
    "actions": ["Look at the backup's schedule", "Limit its priority"],
}


class Samples:
    """Makes them as a delivery would. `page_url` is where people open AlertAgent's page."""

    def __init__(self, alerts: Alerts, clock: Clock, page_url: str) -> None:
        self._alerts = alerts
        self._clock = clock
        self._page_url = page_url

    async def stored(self, ids: Sequence[str], language: Language) -> Message:
        """About these alerts, as they are now. Raises Invalid naming one that is not there."""
        known = {alert.fingerprint: alert for alert in await self._alerts.find(ids)}
        for place, id in enumerate(ids):
            if id not in known:
                message = f'there is no alert "{id}"'
                raise Invalid(message, code="alert.not_found", details=[Detail(("alerts", place), message)])
        return self._message([known[id] for id in dict.fromkeys(ids)], language)

    def given(
        self, labels: Mapping[str, str], annotations: Mapping[str, str], status: AlertStatus, language: Language
    ) -> Message:
        """About one alert with these labels."""
        return self._message([self._alert(labels, annotations, status, None)], language)

    def made_up(self, status: AlertStatus, language: Language) -> Message:
        """About two alerts that were analysed."""
        alerts = [
            self._alert(
                {**_LABELS, "instance": each},
                {name: text.format(instance=each) for name, text in _ANNOTATIONS.items()},
                status,
                _ANALYSIS,
            )
            for each in _INSTANCES
        ]
        return self._message(alerts, language)

    def _message(self, alerts: Sequence[Alert], language: Language) -> Message:
        name = alerts[0].labels.get("alertname", "")
        delivery = _delivery({"alertname": name}, alerts, self._clock.now())
        (message,) = messages(
            delivery, alerts, max_alerts=None, external_url=self._page_url, page_url=self._page_url, language=language
        )
        return message

    def _alert(
        self,
        labels: Mapping[str, str],
        annotations: Mapping[str, str],
        status: AlertStatus,
        analysis: Mapping[str, Any] | None,
    ) -> Alert:
        now = self._clock.now()
        began = now - timedelta(minutes=10)
        return Alert(
            fingerprint=fingerprint(labels),
            status=status,
            labels=labels,
            annotations=annotations,
            generator_url="https://prometheus.example.com/graph",
            source="preview",
            starts_at=began,
            ends_at=now,
            last_seen_at=now,
            updated_at=now,
            fired_at=began,
            episode=1,
            analysis_status=AnalysisStatus.PENDING if analysis is None else AnalysisStatus.ANALYZED,
            analysis_result=analysis,
            task_id=None,
            notification_status=NotificationStatus.PENDING,
            acknowledged_by=None,
        )


def _delivery(group_labels: Mapping[str, str], alerts: Sequence[Alert], now: datetime) -> Delivery:
    planned = tuple(
        PlannedAlert(
            fingerprint=alert.fingerprint,
            episode=alert.episode,
            status=alert.status,
            starts_at=alert.starts_at,
            ends_at=None if alert.is_firing else alert.ends_at,
        )
        for alert in alerts
    )
    return Delivery(
        id="preview",
        channel_id="preview",
        group_key="preview",
        receiver="preview",
        group_labels=group_labels,
        alerts=planned,
        due_at=now,
        created_at=now,
        updated_at=now,
    )
