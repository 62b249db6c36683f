"""What incident managers ask for: one key for a group of alerts, how urgent it is, and where to read more. Pure."""

import hashlib
from dataclasses import dataclass

from alertagent.kernel.message import Kind, Message
from alertagent.kernel.urgency import Urgency, urgency_of
from alertagent.plugins.addresses import parse_url
from alertagent.plugins.text import one_line
from alertagent.plugins.vocabulary import words

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


def own_links(message: Message) -> tuple[Link, ...]:
    """Where AlertAgent's page shows the alert, silences it, and explains it."""
    page = message.links
    found = (("Alert", page.alert), ("Silence", page.silence), ("Analysis", page.analysis))
    return tuple(_link(message, text, url) for text, url in found if _is_callable(url))


def links(message: Message) -> tuple[Link, ...]:
    """AlertAgent's page, then what a template links to; without one, where the first alert comes from and what its
    annotations point to. Each address once.
    """
    worded = tuple(Link(line.text, line.url) for line in message.wording.lines if line.kind is Kind.LINK)
    own = own_links(message)
    called = {link.url: link for link in (*own, *worded)}  # what a template calls a link goes before our own words
    others = () if message.wording.lines else _pointed_to(message)
    unique = {link.url: link for link in reversed((*called.values(), *others)) if _is_callable(link.url)}
    return tuple(reversed(unique.values()))


def _pointed_to(message: Message) -> list[Link]:
    several = len(message.group.alerts) > 1
    annotations = message.group.common_annotations if several else message.annotations
    generators = [alert.generator_url for alert in message.group.alerts[:1]]
    found = [_link(message, "Source", url) for url in generators]
    return found + [_link(message, text, annotations.get(name, "").strip()) for name, text in _LINKS]


def _link(message: Message, text: str, url: str) -> Link:
    return Link(words(message.language).links.get(text, text), url)


def _is_callable(url: str) -> bool:
    if not url:  # as most of them are
        return False
    try:
        parse_url(url)
    except ValueError:
        return False
    return True
