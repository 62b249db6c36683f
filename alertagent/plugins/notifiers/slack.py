"""Slack, by an incoming webhook or as a bot: blocks, beside a bar in the colour of the worst alert that fires.

What surprises: a webhook answers the bare word `ok`, or a bare word that says what is wrong; a bot always gets 200, and
`ok` inside tells; Slack's markup has entities for `<`, `>` and `&` only, so other marks are shown full-width.

A bot's messages about one group make a thread. A reply is seen only by those who follow the thread, so it is shown in
the channel as well, unless it tells of nothing but ends. When all is over, the first message is changed to say so. A
webhook learns no message's name, so each of its messages stands for itself.

Source: api.slack.com, "Sending messages using incoming webhooks", "chat.postMessage", "chat.update", "Rate limits",
"Reference: Layout blocks"; prometheus/alertmanager, `notify/slack/slack.go`; slackapi/bolt-js#2509 for the size of all
blocks together.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from html import escape
from typing import Annotated, Any, Self

import orjson
from pydantic import Field, model_validator

from alertagent import __version__
from alertagent.kernel.errors import Permanent
from alertagent.kernel.message import Kind, Line, Message, Thread
from alertagent.kernel.urgency import Urgency
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.base import Health, Limits, Rate, Worded
from alertagent.plugins.config import BaseUrl, PluginConfig, SecretHeader, SecretUrl, described
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
)
from alertagent.plugins.text import cut, fits, one_line, utf16_size
from alertagent.plugins.threaded import ThreadingNotifier
from alertagent.plugins.transport import HttpRequest, Transport, Unanswered, Unreachable

MAX_ALERTS = 50

# Nobody says how Slack counts characters, and no way of counting finds more than UTF-16's.
MAX_HEADER = 150
MAX_SECTION = 3000

_NAMES = 5_000
_ALL = 10_000
_URL = 1_000

_COLOURS = {
    Urgency.CRITICAL: "#a30200",
    Urgency.ERROR: "#a30200",
    Urgency.WARNING: "#daa038",
    Urgency.INFO: "#439fe0",
}
_OVER = "#2eb886"

# What must be an entity, and marks that stand for emphasis, code or struck text; an underscore only at a word's edge.
_MARKS = re.compile(r"[&<>*`~_](?:(?<!_)|(?<![^\W_]_)|(?![^\W_]))")
_SHOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", **{mark: chr(ord(mark) + 0xFEE0) for mark in "*`~_"}}
_ROOT = re.compile(r"([^/]+)/([0-9.]+)")
_WORD = re.compile(r"[a-z][a-z0-9_]{1,60}")

# What is wrong with the token, the channel or the message stays wrong. What else there is may pass.
_PERMANENT = re.compile(
    r"(invalid|missing|no|not|restricted_action|token)_.*|.*_(denied|deprecated|disabled|required|too_long)"
    r"|account_inactive|channel_not_found|channel_type_not_supported|deprecated_endpoint|is_archived"
    r"|restricted_action|team_access_not_granted|too_many_attachments|(message|thread)_not_found"
    r"|cant_update_message|cannot_reply_to_message"
)

# Slack: "It's possible some aspect of the operation succeeded before the error was raised."
_AMBIGUOUS = frozenset({"fatal_error", "internal_error"})


class SlackConfig(PluginConfig):
    """Either a webhook, or a bot and where it posts."""

    webhook_url: Annotated[
        SecretUrl | None,
        described(
            Bilingual(zh="Webhook 地址", en="Webhook URL"),
            Bilingual(
                zh="Incoming Webhook 地址；与 Bot 令牌二选一", en="An incoming webhook's URL; or else set a bot token"
            ),
            secret=True,
        ),
    ] = None
    bot_token: Annotated[
        SecretHeader | None,
        described(
            Bilingual(zh="Bot 令牌", en="Bot token"),
            Bilingual(zh="以 xoxb- 开头，需要 chat:write 权限", en="Begins with xoxb- and needs the scope chat:write"),
            secret=True,
        ),
    ] = None
    channel: Annotated[
        Annotated[str, Field(pattern=r"^[#@]?[^\s#@]{1,80}$")] | None,
        described(
            Bilingual(zh="频道", en="Channel"),
            Bilingual(zh="Bot 发送到的频道 ID 或名称", en="The ID or the name of the channel that the bot posts to"),
        ),
    ] = None
    base_url: BaseUrl = "https://slack.com"

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.webhook_url is None) == (self.bot_token is None):
            raise ValueError("set either webhook_url, or bot_token and channel")
        if (self.channel is None) != (self.bot_token is None):
            raise ValueError("channel and bot_token belong together; a webhook has its channel already")
        return self


class Slack(ThreadingNotifier[SlackConfig]):
    """One message in the channel for each notification."""

    name = "slack"
    version = __version__
    display_name = Bilingual(zh="Slack", en="Slack")
    description = Bilingual(
        zh="Slack 频道（Incoming Webhook 或 Bot）", en="A channel in Slack, by incoming webhook or bot"
    )
    Config = SlackConfig
    worded = Worded.WHOLE
    limits = Limits(rates=(Rate(messages=1, window=timedelta(seconds=1)),), max_alerts=MAX_ALERTS)

    lost = frozenset({"message_not_found", "thread_not_found", "invalid_thread_ts", "cannot_reply_to_message"})

    def endpoint(self, config: SlackConfig) -> str:
        if config.webhook_url is not None:
            return config.webhook_url.get_secret_value()
        return f"{config.base_url}/api/chat.postMessage"

    def account(self, config: SlackConfig) -> str | None:
        """A bot may post once a second into each of its channels."""
        return self.endpoint(config) if config.bot_token is None else f"{_token(config)} {config.channel}"

    async def check_config(self, config: SlackConfig, guard: AddressGuard) -> None:
        field = "webhook_url" if config.bot_token is None else "base_url"
        await guard.check_url(self.endpoint(config), loc=(field,))

    def render(self, config: SlackConfig, message: Message, now: datetime) -> HttpRequest:
        payload = _payload(message)
        if config.bot_token is not None:
            payload |= {"channel": config.channel, "unfurl_links": False, "unfurl_media": False, **_reply(message)}
        return HttpRequest(url=self.endpoint(config), headers=_headers(config), body=orjson.dumps(payload))

    def closing(self, config: SlackConfig, message: Message) -> HttpRequest | None:
        root = _root(message.thread)
        if config.bot_token is None or root is None or message.thread is None or not message.thread.is_over:
            return None
        url, payload = f"{config.base_url}/api/chat.update", {**_payload(message), **root}
        return HttpRequest(url=url, headers=_headers(config), body=orjson.dumps(payload))

    def accept(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        failed = failure(status, headers, body)
        if failed:
            return _named(failed, body)
        answer = object_of(body)
        if type(answer.get("ok")) is bool:
            return _judged(answer, excerpt(body))
        if body.strip() == b"ok":
            return Delivered(code="ok", text="ok")
        return Ambiguous(code=f"http.{status}", text=f"the answer is not ok: {excerpt(body)}")

    async def health_check(self, config: SlackConfig, transport: Transport) -> Health:
        """A bot can ask whether its token is good; a webhook can only be reached."""
        if config.bot_token is None:
            return await super().health_check(config, transport)
        request = HttpRequest(url=f"{config.base_url}/api/auth.test", headers=_headers(config))
        try:
            answer = await transport.send(request)
        except (Unreachable, Unanswered, Permanent) as error:
            return Health(healthy=False, text=error.message)
        outcome = self.accept(answer.status, answer.headers, answer.body)
        return Health(
            healthy=isinstance(outcome, Delivered), text="" if isinstance(outcome, Delivered) else outcome.text
        )


def escaped(text: str) -> str:
    """Text that mrkdwn shows as it stands: nobody mentioned, nothing linked or emphasized."""
    return _MARKS.sub(lambda found: _SHOWN[found[0]], text)


def _token(config: SlackConfig) -> str:
    return "" if config.bot_token is None else config.bot_token.get_secret_value()


def _headers(config: SlackConfig) -> dict[str, str]:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return headers if config.bot_token is None else {**headers, "Authorization": f"Bearer {_token(config)}"}


def _named(failed: RetryAfter | Refused, body: bytes) -> RetryAfter | Refused:
    """The failure under Slack's own word for it. None is for ever: an archived channel (410) may come back."""
    word = str(object_of(body).get("error", body.decode("utf-8", "replace").strip()))
    code = word if _WORD.fullmatch(word) else failed.code
    if isinstance(failed, Refused):
        return replace(failed, code=code, gone=False)
    return replace(failed, code=code, pause_channel=failed.after is not None)


def _judged(answer: Mapping[str, Any], text: str) -> Outcome:
    if answer["ok"]:
        return Delivered(code="ok", text=text, message_id=_message_id(answer))
    error = cut(one_line(str(answer.get("error") or "unknown")), 100)
    if _PERMANENT.fullmatch(error):
        return Refused(code=error, text=text)
    if error in _AMBIGUOUS:
        return Ambiguous(code=error, text=text)
    return RetryAfter(code=error, text=text)


def _message_id(answer: Mapping[str, Any]) -> str | None:
    """Where a message is and when it was sent, which together name it: a channel goes by its ID there."""
    channel, sent = answer.get("channel"), answer.get("ts")
    return f"{channel}/{sent}" if isinstance(channel, str) and isinstance(sent, str) else None


def _root(thread: Thread | None) -> dict[str, str] | None:
    found = _ROOT.fullmatch(thread.root) if thread is not None else None
    return {"channel": found[1], "ts": found[2]} if found is not None else None


def _reply(message: Message) -> dict[str, Any]:
    root = _root(message.thread)
    if root is None or message.thread is None:
        return {}
    return {"channel": root["channel"], "thread_ts": root["ts"], "reply_broadcast": not message.thread.is_calm}


def _payload(message: Message) -> dict[str, Any]:
    colour = _OVER if message.group.status == "resolved" else _COLOURS[urgency(message)]
    head = cut(title(message), MAX_HEADER, size=utf16_size)
    lines = [line for line in outline(message, names=_NAMES, size=_size) if fits(line.url, _URL, _size)]
    text = fit(message, lines, _ALL, draw=_drawn, size=utf16_size)
    return {
        "text": escaped(head),
        "blocks": [{"type": "header", "text": {"type": "plain_text", "text": head, "emoji": False}}],
        "attachments": [{"color": colour, "blocks": [_section(part) for part in _parts(text.split("\n"))]}],
    }


def _section(text: str) -> dict[str, Any]:
    """`verbatim` keeps Slack from finding names and addresses in the text by itself."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _parts(lines: Iterable[str]) -> Iterator[str]:
    """The lines, as few texts of no more than MAX_SECTION characters."""
    part, taken = "", 0
    for line in lines:
        size = utf16_size(line)
        if part and taken + 1 + size > MAX_SECTION:
            yield part
            part = ""
        part, taken = (f"{part}\n{line}", taken + 1 + size) if part else (line, size)
    yield part


def _size(text: str) -> int:
    return utf16_size(escaped(text))


def _drawn(line: Line) -> str:
    text = escaped(line.text)
    match line.kind:
        case Kind.FACT:
            return f"*{escaped(line.name)}:* {text}"
        case Kind.HEADING:
            return f"*{text}*"
        case Kind.ITEM:
            return f"• {text}"
        case Kind.LINK:
            return f"<{escape(line.url, quote=False).replace('|', '%7C')}|{text}>"
        case Kind.TEXT:
            return text
