"""The body of Alertmanager's webhook, version 4, which very many receivers understand. Pure.

Source: prometheus/alertmanager, `notify/webhook/webhook.go` and `template/template.go`.
"""

from typing import Any

from alertagent.kernel.clock import rfc3339
from alertagent.kernel.message import Message, MessageAlert

_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, which Alertmanager sends as the end of what still fires


def payload(message: Message) -> dict[str, Any]:
    """The body as it will be on the wire, before it becomes JSON. `analysis` is ours, where there is one."""
    group = message.group
    return {
        "receiver": group.receiver,
        "status": group.status,
        "alerts": [_alert(alert) for alert in group.alerts],
        "groupLabels": dict(group.labels),
        "commonLabels": dict(group.common_labels),
        "commonAnnotations": dict(group.common_annotations),
        "externalURL": group.external_url,
        "version": "4",
        "groupKey": group.key,
        "truncatedAlerts": 0,
        **({"analysis": message.extra["analysis"]} if "analysis" in message.extra else {}),
    }


def _alert(alert: MessageAlert) -> dict[str, Any]:
    return {
        "status": alert.status,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": rfc3339(alert.starts_at),
        "endsAt": rfc3339(alert.ends_at) if alert.ends_at else _NEVER,
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }
