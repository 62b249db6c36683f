"""What a template is told of a message, as docs/howto/templates.md describes it. Pure.

Plain texts, lists and objects only. What is added may be used at once; what stands here may be used in somebody's
template, so nothing is taken away and nothing changes its meaning.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alertagent.kernel.message import Message, MessageAlert
from alertagent.plugins.notifiers.outline import title
from alertagent.plugins.text import printable
from alertagent.plugins.vocabulary import shown_time

# So many are listed; `count` tells how many there are.
MAX_ALERTS = 500

NAMES = (
    "alerts",
    "analysis",
    "annotations",
    "common_annotations",
    "common_labels",
    "content",
    "count",
    "ends_at",
    "firing",
    "group_labels",
    "kind",
    "labels",
    "language",
    "links",
    "receiver",
    "resolved",
    "severity",
    "starts_at",
    "status",
    "title",
)


def data_of(message: Message) -> dict[str, Any]:
    """All of NAMES. Moments are texts as the message's language shows them; what there is not is empty."""
    group = message.group
    alerts = [_alert(alert, message) for alert in group.alerts[:MAX_ALERTS]]
    ended = [alert.ends_at for alert in group.alerts if alert.ends_at]
    return {
        "alerts": alerts,
        "analysis": _analysis(message.extra.get("analysis")),
        "annotations": _texts(message.annotations),
        "common_annotations": _texts(group.common_annotations),
        "common_labels": _texts(group.common_labels),
        "content": printable(message.content),
        "count": len(group.alerts),
        "ends_at": _moment(max(ended), message) if ended and group.status == "resolved" else "",
        "firing": [alert for alert in alerts if alert["status"] == "firing"],
        "group_labels": _texts(group.labels),
        "kind": _kind(message.extra),
        "labels": _texts(message.labels),
        "language": str(message.language),
        "links": {
            "alert": message.links.alert,
            "silence": message.links.silence,
            "analysis": message.links.analysis,
            "source": next((alert.generator_url for alert in group.alerts), ""),
        },
        "receiver": printable(group.receiver),
        "resolved": [alert for alert in alerts if alert["status"] != "firing"],
        "severity": printable(message.severity),
        "starts_at": _moment(message.timestamp, message),
        "status": printable(group.status),
        "title": title(message),
    }


def _kind(extra: Mapping[str, Any]) -> str:
    kinds = {"digest": "digest", "escalated": "escalation", "assigned_by": "assignment", "test": "test"}
    return next((kind for name, kind in kinds.items() if extra.get(name)), "alerts")


def _alert(alert: MessageAlert, message: Message) -> dict[str, Any]:
    return {
        "fingerprint": alert.fingerprint,
        "status": printable(alert.status),
        "labels": _texts(alert.labels),
        "annotations": _texts(alert.annotations),
        "starts_at": _moment(alert.starts_at, message),
        "ends_at": _moment(alert.ends_at, message) if alert.ends_at else "",
        "source": alert.generator_url,
    }


def _analysis(found: object) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        return {"root_cause": "", "confidence": None, "actions": []}
    actions, confidence = found.get("actions"), found.get("confidence")
    return {
        "root_cause": printable(str(found.get("root_cause") or "")),
        "confidence": confidence if isinstance(confidence, int | float) else None,
        "actions": [printable(str(action)) for action in actions] if isinstance(actions, list | tuple) else [],
    }


def _texts(pairs: Mapping[str, str]) -> dict[str, str]:
    return {printable(name): printable(value) for name, value in pairs.items()}


def _moment(moment: datetime, message: Message) -> str:
    return shown_time(message.language, moment)
