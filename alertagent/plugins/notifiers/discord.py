"""Discord by a channel's webhook: an embed with the colour of what happens.

What surprises: without `wait=true` Discord answers 204 even for a message that it did not keep; the pause after too
many messages stands in the body, in fractions of a second; and the lengths count the text with its markup.

Source: discord.com/developers/docs, "Execute Webhook", "Embed Limits" and "Rate Limits".
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import orjson

from alertagent import __version__
from alertagent.kernel.clock import rfc3339
from alertagent.kernel.message import Kind, Line, Message
from alertagent.kernel.urgency import Urgency
from alertagent.plugins.base import HttpNotifier, Limits, Rate, Worded
from alertagent.plugins.config import PluginConfig, SecretUrl, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.incident import urgency
from alertagent.plugins.notifiers.outline import fit, outline, title
from alertagent.plugins.outcome import (
    Ambiguous,
    Delivered,
    Outcome,
    Refused,
    RetryAfter,
    excerpt,
    failure,
    object_of,
    retry_after,
    seconds,
)
from alertagent.plugins.text import cut, one_line, utf16_size
from alertagent.plugins.transport import HttpRequest

MAX_TITLE = 256
MAX_DESCRIPTION = 4096
MAX_ALERTS = 40

_NAMES = 2_200
_URL = 512

_COLOURS = {Urgency.CRITICAL: 0xD32F2F, Urgency.ERROR: 0xF57C00, Urgency.WARNING: 0xFBC02D, Urgency.INFO: 0x1976D2}
_OVER = 0x388E3C

# What starts emphasis, code, a spoiler, a link, a mention or a time anywhere.
_INLINE = re.compile(r"[\\*_~`|<>\[\]()@]")
_ESCAPES = str.maketrans({character: f"\\{character}" for character in "\\*_~`|<>[]()@"})
# What starts a heading, a list or a small line at the beginning of a line.
_BLOCK = re.compile(r"(\d*)([#.+-])(?=[\s#]|$)")


class DiscordConfig(PluginConfig):
    webhook_url: Annotated[
        SecretUrl,
        described(
            Bilingual(zh="Webhook 地址", en="Webhook URL"),
            Bilingual(
                zh="频道的 Webhook 地址，可带 thread_id 参数", en="The channel's webhook URL, also with a thread_id"
            ),
            secret=True,
        ),
    ]


class Discord(HttpNotifier[DiscordConfig]):
    """One embed in the channel for each notification."""

    name = "discord"
    version = __version__
    display_name = Bilingual(zh="Discord", en="Discord")
    description = Bilingual(zh="Discord 频道的 Webhook", en="The webhook of a channel in Discord")
    Config = DiscordConfig
    worded = Worded.WHOLE
    limits = Limits(
        rates=(Rate(messages=5, window=timedelta(seconds=2)), Rate(messages=30, window=timedelta(minutes=1))),
        max_alerts=MAX_ALERTS,
    )

    def render(self, config: DiscordConfig, message: Message, now: datetime) -> HttpRequest:
        body = {"embeds": [_embed(message)], "allowed_mentions": {"parse": []}}
        return HttpRequest(
            url=_waiting(config.webhook_url.get_secret_value()),
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(body),
        )

    def probe(self, config: DiscordConfig) -> HttpRequest:
        return HttpRequest(method="GET", url=config.webhook_url.get_secret_value())

    def accept(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        answer, text = object_of(body), excerpt(body)
        if status == 429:
            after = seconds(answer.get("retry_after")) or retry_after(headers)
            return RetryAfter(after=after, code="http.429", text=text, pause_channel=after is not None)
        failed = failure(status, headers, body)
        if isinstance(failed, Refused) and type(answer.get("code")) is int and answer["code"]:
            return Refused(code=str(answer["code"]), text=text)
        if failed:
            return failed
        message_id = answer.get("id")
        if isinstance(message_id, str):
            return Delivered(code=f"http.{status}", text="", message_id=message_id)
        if status == 204:
            return Delivered(code="http.204")
        return Ambiguous(code=f"http.{status}", text=f"the answer names no message: {text}")


@lru_cache(maxsize=256)
def _waiting(url: str) -> str:
    parts = urlsplit(url)
    query = [(key, value) for key, value in parse_qsl(parts.query) if key != "wait"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("wait", "true")]), fragment=""))


def _embed(message: Message) -> dict[str, Any]:
    lines = outline(message, names=_NAMES, size=_escaped_size)
    shown = [line for line in lines if len(line.url) <= _URL]
    return {
        "title": escaped(cut(title(message), MAX_TITLE - 1, size=_escaped_size)),
        "description": fit(message, shown, MAX_DESCRIPTION, draw=_drawn, size=utf16_size),
        "color": _OVER if message.group.status == "resolved" else _COLOURS[urgency(message)],
        "timestamp": rfc3339(message.timestamp),
    }


def _drawn(line: Line) -> str:
    text = escaped(line.text)
    match line.kind:
        case Kind.FACT:
            return f"**{escaped(line.name)}:** {text}"
        case Kind.HEADING:
            return f"\n**{text}**"
        case Kind.ITEM:
            return f"- {text}"
        case Kind.LINK:
            return f"[{text}]({quote(line.url, safe=':/?#@!$&+,;=%~')})"
        case Kind.TEXT:
            return text


def escaped(text: str) -> str:
    """One line that Discord's markdown shows as it stands; a backslash goes before whatever could mean something."""
    shown = one_line(text).translate(_ESCAPES)
    found = _BLOCK.match(shown)
    return f"{found[1]}\\{shown[found.end(1) :]}" if found else shown


def _escaped_size(text: str) -> int:
    return utf16_size(text) + len(_INLINE.findall(text))
