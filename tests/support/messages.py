"""Messages to notify about, with everything a test does not care for filled in."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from alertagent.kernel.labels import fingerprint
from alertagent.kernel.language import Language
from alertagent.kernel.message import Message, MessageAlert, MessageGroup, PageLinks

NOON = datetime(2026, 11, 22, 14, 40, tzinfo=UTC)


def make_alert(
    name: str = "HighCPU",
    *,
    status: str = "firing",
    annotations: Mapping[str, str] | None = None,
    starts_at: datetime = NOON,
    ends_at: datetime | None = None,
    generator_url: str = "http://prom.example/graph?g0.expr=up",
    **labels: str,
) -> MessageAlert:
    named = {"alertname": name, **labels}
    return MessageAlert(
        fingerprint=fingerprint(named),
        status=status,
        labels=named,
        annotations=annotations or {},
        starts_at=starts_at,
        ends_at=ends_at,
        generator_url=generator_url,
    )


def make_message(*alerts: MessageAlert, **fields: Any) -> Message:
    """A message about these alerts; `fields` replace what is derived from the first of them."""
    alerts = alerts or (make_alert(severity="critical", instance="a:9100"),)
    first = alerts[0]
    defaults: dict[str, Any] = {
        "id": "0192f0c1-aaaa-7000-8000-000000000001",
        "title": first.labels["alertname"],
        "content": "CPU usage is over 90%",
        "severity": first.labels.get("severity", ""),
        "alert_id": first.fingerprint,
        "timestamp": first.starts_at,
        "labels": first.labels,
        "annotations": first.annotations,
        "group": make_group(*alerts),
        "links": PageLinks(alert="https://alertagent.example"),
    }
    return Message(**{**defaults, **fields})


def make_chinese(*alerts: MessageAlert, **fields: Any) -> Message:
    """The same for readers of Chinese."""
    return make_message(*alerts, **{"language": Language.ZH, **fields})


def make_group(*alerts: MessageAlert) -> MessageGroup:
    name = alerts[0].labels["alertname"]
    return MessageGroup(
        key=f'{{}}:{{alertname="{name}"}}',
        receiver="ops",
        status="firing" if any(alert.status == "firing" for alert in alerts) else "resolved",
        labels={"alertname": name},
        common_labels=_common([alert.labels for alert in alerts]),
        common_annotations=_common([alert.annotations for alert in alerts]),
        alerts=alerts,
        external_url="https://alertagent.example",
    )


def _common(sets: list[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for key, value in sets[0].items() if all(other.get(key) == value for other in sets)}


def make_hostile(count: int, filler: str, **fields: Any) -> Message:
    """A message about so many alerts, named Alert000 and so on, that is far too large everywhere."""
    junk = filler * 100_000
    common = {f"label{number}": junk for number in range(20)}
    alerts = [
        replace(
            make_alert(f"Alert{number:03}"),
            labels={**common, "alertname": f"Alert{number:03}", "own": f"{number}{filler * 1_000}"},
            annotations={junk: junk, "summary": junk, "runbook_url": f"https://wiki.example/{junk}"},
        )
        for number in range(count)
    ]
    return make_message(*alerts, **{"title": junk, "content": junk, "severity": junk, **fields})
