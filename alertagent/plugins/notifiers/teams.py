"""Microsoft Teams by a workflow ("Post to a channel when a webhook request is received"): an adaptive card.

What surprises: a workflow answers 202 before anything is posted, so it cannot tell of a failure; the connectors of old
answer 200 and say in words which status Teams gave them; and cards larger than 21 KB are refused by some, though the
limit is said to be 28 KB.

Source: learn.microsoft.com, "Create Incoming Webhooks" (28 KB, 4 requests a second); prometheus/alertmanager,
`notify/msteamsv2`; MicrosoftDocs/msteams-docs#1810 and #7425 (errors inside a 200); rubydoc.info, `msteams_hermes`
(21 KB).
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import accumulate, groupby
from typing import Annotated, Any

import orjson

from alertagent import __version__
from alertagent.kernel.message import Kind, Line, Message
from alertagent.kernel.urgency import Urgency
from alertagent.plugins.base import HttpNotifier, Limits, Rate, Worded
from alertagent.plugins.config import PluginConfig, SecretUrl, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.incident import Link, links, urgency
from alertagent.plugins.notifiers.markdown import escaped_line, heading
from alertagent.plugins.notifiers.outline import outline
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, excerpt, failure
from alertagent.plugins.text import cut, json_size
from alertagent.plugins.transport import HttpRequest
from alertagent.plugins.vocabulary import words

MAX_BYTES = 21_000
MAX_ALERTS = 50
MAX_BUTTONS = 6  # Teams draws no more of a card's actions

_NAMES = 8_000

# Of a line as an element by itself: surely more than what stands around its texts, and the bytes of a character.
_AROUND = 100
_MOST = 6

_COLOURS = {
    Urgency.CRITICAL: "Attention",
    Urgency.ERROR: "Attention",
    Urgency.WARNING: "Warning",
    Urgency.INFO: "Accent",
}
_OVER = "Good"

# "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413 with ContextId …"
_INNER = re.compile(rb"returned HTTP error (\d{3})\b")
_TAKEN = frozenset({b"", b"1"})


class TeamsConfig(PluginConfig):
    webhook_url: Annotated[
        SecretUrl,
        described(
            Bilingual(zh="Webhook 地址", en="Webhook URL"),
            Bilingual(zh="Teams 工作流（Workflows）的 HTTP 地址", en="The HTTP URL of a workflow in Teams"),
            secret=True,
        ),
    ]


class Teams(HttpNotifier[TeamsConfig]):
    """One card in the channel for each notification, its title in the colour of the worst alert that fires."""

    name = "teams"
    version = __version__
    display_name = Bilingual(zh="Microsoft Teams", en="Microsoft Teams")
    description = Bilingual(zh="Teams 频道（Workflows Webhook）", en="A channel in Teams, by a Workflows webhook")
    Config = TeamsConfig
    worded = Worded.WHOLE
    limits = Limits(rates=(Rate(messages=4, window=timedelta(seconds=1)),), max_bytes=MAX_BYTES, max_alerts=MAX_ALERTS)

    def render(self, config: TeamsConfig, message: Message, now: datetime) -> HttpRequest:
        return HttpRequest(
            url=config.webhook_url.get_secret_value(),
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(_payload(message)),
        )

    def accept(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        failed = failure(_inner(status, body), headers, body)
        if failed:
            return failed
        code, text = f"http.{status}", excerpt(body)
        if status == 202 or body.strip() in _TAKEN:
            return Delivered(code=code, text=text)
        return Ambiguous(code=code, text=f"the answer is neither empty nor 1: {text}")


def _inner(status: int, body: bytes) -> int:
    """The status that Teams gave to a connector, where that is what the answer tells."""
    found = _INNER.search(body) if status < 300 else None
    return int(found[1]) if found else status


def _payload(message: Message) -> dict[str, Any]:
    """The request's body, at most MAX_BYTES long as JSON."""
    card = _card(message)
    payload = {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        ],
    }
    lines = [line for line in outline(message, names=_NAMES, size=_size) if line.kind is not Kind.LINK]
    mark = Line(kind=Kind.TEXT, text=words(message.language).shortened)
    card["body"] += _elements(_fitting(lines, MAX_BYTES - len(orjson.dumps(payload)), mark))
    return payload


def _card(message: Message) -> dict[str, Any]:
    """The card with nothing in it but its title and its links."""
    colour = _OVER if message.group.status == "resolved" else _COLOURS[urgency(message)]
    head = _text_block(heading(message), weight="Bolder", size="Medium")
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [{**head, "style": "heading", "color": colour}],
        "msteams": {"width": "full"},
    }
    shown = [link for link in links(message) if json_size(link.url) <= 500][:MAX_BUTTONS]
    if shown:
        card["actions"] = [_button(link) for link in shown]
    return card


def _button(link: Link) -> dict[str, str]:
    return {"type": "Action.OpenUrl", "title": cut(link.text, 100, size=json_size), "url": link.url}


def _fitting(lines: list[Line], room: int, mark: Line) -> list[Line]:
    """As many of the lines as there is room for, and a mark where some had to go; the links are buttons."""
    room -= len(orjson.dumps(_elements([mark])))
    if sum(_AROUND + _MOST * (len(line.name) + len(line.text)) for line in lines) <= room:
        return lines
    count = sum(total <= room for total in accumulate(len(orjson.dumps(_elements([line]))) for line in lines))
    return lines if count == len(lines) else [*lines[:count], mark]


def _elements(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """The lines as parts of the card; facts that follow one another are one table."""
    elements: list[dict[str, Any]] = []
    for kind, group in groupby(lines, key=lambda line: line.kind):
        if kind is Kind.FACT:
            facts = [{"title": escaped_line(line.name), "value": escaped_line(line.text)} for line in group]
            elements.append({"type": "FactSet", "facts": facts})
        elif kind is Kind.HEADING:
            elements += [_text_block(escaped_line(line.text), weight="Bolder") for line in group]
        else:
            elements += [_text_block(escaped_line(line.text), spacing="Small") for line in group]
    return elements


def _text_block(text: str, **look: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **look}


def _size(text: str) -> int:
    return json_size(escaped_line(text))
