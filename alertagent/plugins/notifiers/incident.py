"""What incident managers ask for: one key for a group of alerts, how urgent it is, and where to read more. Pure."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum

from alertagent.kernel.message import Message
from alertagent.plugins.addresses import parse_url
from alertagent.plugins.text import one_line

# The annotations in which people put links, and what to call them.
_LINKS = (
    ("runbook_url", "Runbook"),
    ("runbook", "Runbook"),
    ("dashboard_url", "Dashboard"),
    ("dashboard", "Dashboard"),
)

# The most telling labels first: what an incident is about.
_SOURCES = ("instance", "host", "node", "pod", "service", "cluster", "job")


class Urgency(IntEnum):
    """How soon somebody has to look, least first."""

    INFO = 0
    WARNING = 1
    ERROR = 2
    CRITICAL = 3


_URGENCIES = {
    **dict.fromkeys(("critical", "page", "fatal", "emergency", "disaster", "p0", "p1"), Urgency.CRITICAL),
    **dict.fromkeys(("error", "high", "major", "p2"), Urgency.ERROR),
    **dict.fromkeys(("warning", "warn", "medium", "average", "minor", "p3"), Urgency.WARNING),
    **dict.fromkeys(("info", "information", "notice", "low", "none", "debug", "p4", "p5"), Urgency.INFO),
}


@dataclass(frozen=True, slots=True)
class Link:
    """Somewhere to read more; always http or https."""

    text: str
    url: str


def incident_key(message: Message) -> str:
    """64 hex digits that stay the same for as long as the group lives, as Alertmanager makes them of its group keys."""
    return hashlib.sha256(message.group.key.encode("utf-8", "surrogatepass")).hexdigest()


def urgency(message: Message) -> Urgency:
    """That of the worst alert which still fires. A severity that nobody knows may be anything, so it is an error."""
    alerts = message.group.alerts
    if len(alerts) == 1:
        return _urgency(message.severity)
    concerned = [alert for alert in alerts if alert.status == "firing"] or alerts
    return max((_urgency(alert.labels.get("severity", "")) for alert in concerned), default=Urgency.ERROR)


def _urgency(severity: str) -> Urgency:
    return _URGENCIES.get(severity.strip().lower(), Urgency.ERROR)


def source(message: Message) -> str:
    """What all alerts of the group are about, in one label's words."""
    labels = message.group.common_labels
    return next((one_line(labels[name]) for name in _SOURCES if labels.get(name, "").strip()), "AlertAgent")


def links(message: Message) -> tuple[Link, ...]:
    """AlertAgent, where the first alert comes from, and what its annotations point to, each address once."""
    several = len(message.group.alerts) > 1
    annotations = message.group.common_annotations if several else message.annotations
    generators = [alert.generator_url for alert in message.group.alerts[:1]]
    found = [Link("AlertAgent", message.group.external_url), *(Link("Source", url) for url in generators)]
    found += [Link(text, annotations.get(name, "").strip()) for name, text in _LINKS]
    unique = {link.url: link for link in reversed(found) if _is_callable(link.url)}
    return tuple(reversed(unique.values()))


def _is_callable(url: str) -> bool:
    try:
        parse_url(url)
    except ValueError:
        return False
    return True
