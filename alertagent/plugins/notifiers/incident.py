"""What incident managers ask for: one key for a group of alerts, how urgent it is, and where to read more. Pure."""

import hashlib
from dataclasses import dataclass

from alertagent.kernel.message import Message
from alertagent.kernel.urgency import Urgency, urgency_of
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


@dataclass(frozen=True, slots=True)
class Link:
    """Somewhere to read more; always http or https."""

    text: str
    url: str


def incident_key(message: Message) -> str:
    """64 hex digits that stay the same for as long as the group lives, as Alertmanager makes them of its group keys."""
    return hashlib.sha256(message.group.key.encode("utf-8", "surrogatepass")).hexdigest()


def urgency(message: Message) -> Urgency:
    """That of the worst alert which still fires."""
    alerts = message.group.alerts
    if len(alerts) == 1:
        return urgency_of(message.severity)
    concerned = [alert for alert in alerts if alert.status == "firing"] or alerts
    return max((urgency_of(alert.labels.get("severity", "")) for alert in concerned), default=Urgency.ERROR)


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
