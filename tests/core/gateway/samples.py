"""Alerts and routes to test with."""

from datetime import UTC, datetime, timedelta
from typing import Any

from alertagent.core.alerts.model import Alert, AlertStatus, AnalysisStatus, NotificationStatus
from alertagent.core.routing.document import read_yaml
from alertagent.core.routing.model import RoutingTable
from alertagent.core.routing.table import table_of
from alertagent.kernel.labels import fingerprint

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)

ROUTES = """\
route:
  receiver: everyone
  group_by: [alertname]
  routes:
  - receiver: on-call
    matchers: [severity="critical"]
    group_by: ['...']
    continue: true
  - receiver: web
    matchers: [team="web"]
    mute_time_intervals: [lunch, nights]
  - receiver: shop
    matchers: [team="shop"]
    active_time_intervals: [nights]
time_intervals:
- name: lunch
  time_intervals: [{times: [{start_time: '11:30', end_time: '13:00'}]}]
- name: nights
  time_intervals: [{times: [{start_time: '20:00', end_time: '24:00'}]}]
"""


def table(document: str = ROUTES) -> RoutingTable:
    return table_of(read_yaml(document.encode()).document, 1)


def alert(name: str = "DiskFull", /, **labels: str) -> Alert:
    named = {"alertname": name, **labels}
    return make(labels=named, fingerprint=fingerprint(named))


def make(**values: Any) -> Alert:
    defaults: dict[str, Any] = {
        "fingerprint": "f",
        "status": AlertStatus.FIRING,
        "labels": {"alertname": "DiskFull"},
        "annotations": {},
        "generator_url": "",
        "source": "api",
        "starts_at": NOON,
        "ends_at": NOON + timedelta(minutes=5),
        "last_seen_at": NOON,
        "updated_at": NOON,
        "fired_at": NOON,
        "episode": 1,
        "analysis_status": AnalysisStatus.PENDING,
        "analysis_result": None,
        "task_id": None,
        "notification_status": NotificationStatus.PENDING,
        "acknowledged_by": None,
    }
    return Alert(**{**defaults, **values})
