"""What a notifier is told: one message about one group of alerts."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import Enum, auto
from typing import Any

from alertagent.kernel.labels import Labels
from alertagent.kernel.language import Language
from alertagent.kernel.record import record


class Kind(Enum):
    """How a line is meant: `name: text`, a heading, one of a list, a line of prose, or a link."""

    FACT = auto()
    HEADING = auto()
    ITEM = auto()
    TEXT = auto()
    LINK = auto()


@record
class Line:
    """Plain text without control characters or line feeds; `name` stands before a fact, `url` behind a link."""

    kind: Kind
    text: str
    name: str = ""
    url: str = ""


@record
class Wording:
    """What a template made of a message. What is empty is left to the layout of the plugin."""

    title: str = ""
    lines: tuple[Line, ...] = ()


@record
class PageLinks:
    """Where AlertAgent's own page shows what a message is about; empty where there is nothing to show."""

    alert: str = ""
    silence: str = ""
    analysis: str = ""


@record
class MessageAlert:
    """One alert inside a message. `status` is `firing` or `resolved`; `ends_at` is None while it fires."""

    fingerprint: str
    status: str
    labels: Labels
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None = None
    generator_url: str = ""


@record
class MessageGroup:
    """The alerts of a message and what they have in common, with the meanings of Alertmanager's webhook.

    `key` is stable for as long as the group lives, so a receiver may thread or deduplicate by it.
    """

    key: str
    receiver: str
    status: str
    labels: Labels
    common_labels: Labels
    common_annotations: Mapping[str, str]
    alerts: tuple[MessageAlert, ...]
    external_url: str = ""


@record
class Thread:
    """What a channel was told of a group before: `root` is the first message, as its plugin named it.

    `is_calm`: since the message before, alerts have only ended. `is_over`: with this message the thread ends.
    """

    root: str
    is_calm: bool = False
    is_over: bool = False


@record
class Message:
    """What is to be told.

    `id` stays the same on every attempt to deliver this message. `severity`, `labels`, `annotations` and
    `timestamp` (the start) are the first alert's where a channel shows only one; `alert_id` is its fingerprint.
    `extra` carries what is not part of the alert, such as an analysis. `thread` is None for the first message of a
    group's life in a channel. `language` is that of the readers.
    """

    id: str
    title: str
    content: str
    severity: str
    alert_id: str
    timestamp: datetime
    labels: Labels
    annotations: Mapping[str, str]
    group: MessageGroup
    extra: Mapping[str, Any] = field(default_factory=dict)
    thread: Thread | None = None
    language: Language = Language.EN
    links: PageLinks = PageLinks()
    wording: Wording = Wording()
