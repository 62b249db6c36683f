"""Telegram by its Bot API: one HTML message in a chat, a group or a topic of it.

What surprises: the pause after too many messages stands in the body and not in a header; a group that becomes a
supergroup has another id from then on; `@name` in plain text mentions people, whoever wrote it; and the length counts
what is shown, so that markup is free. Later messages of a group reply to its first one, or stand alone if that is gone.

Source: core.telegram.org/bots/api, "sendMessage" and "ResponseParameters"; core.telegram.org/bots/faq for the rates.
"""

import html
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field, SecretStr, StrictInt

from alertagent import __version__
from alertagent.kernel.message import Kind, Line, Message
from alertagent.plugins.base import Limits, Rate, Worded
from alertagent.plugins.config import BaseUrl, PluginConfig, described
from alertagent.plugins.languages import Bilingual
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
from alertagent.plugins.threaded import ThreadingNotifier
from alertagent.plugins.transport import HttpRequest

MAX_TEXT = 4096  # as shown
MAX_ALERTS = 40

_TITLE = 256
_NAMES = 2_200

_TOKEN = re.compile(r"[0-9]{1,20}:[0-9A-Za-z_-]{1,100}")
_ID = re.compile(r"[0-9]{1,16}")
_TAG = re.compile(r"<[^>]*>")
# What must be an entity, and an @ that begins a mention: in an address of mail it follows a word.
_SPECIAL = re.compile(r"[&<>@](?<![0-9A-Za-z_]@)")
_SHOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "\uff20"}


def _usable_token(token: SecretStr) -> SecretStr:
    if not _TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("this is not the token of a bot; it looks like 123456:ABC-DEF")
    return token


class TelegramConfig(PluginConfig):
    bot_token: Annotated[
        Annotated[SecretStr, AfterValidator(_usable_token)],
        described(
            Bilingual(zh="机器人 Token", en="Bot token"),
            Bilingual(zh="@BotFather 给出的 Token", en="The token that @BotFather gave"),
            secret=True,
        ),
    ]
    chat_id: Annotated[
        Annotated[StrictInt, Field(ge=-(2**52), le=2**52)]
        | Annotated[str, Field(pattern=r"^(-?[0-9]{1,16}|@[A-Za-z][A-Za-z0-9_]{3,63})$")],
        described(
            Bilingual(zh="会话 ID", en="Chat ID"),
            Bilingual(
                zh="用户、群组或频道的 ID，或公开频道的 @名称",
                en="The id of a chat, group or channel, or a public @name",
            ),
        ),
    ]
    thread_id: Annotated[
        Annotated[StrictInt, Field(ge=1, le=2**52)] | None,
        described(
            Bilingual(zh="话题 ID", en="Topic ID"),
            Bilingual(zh="群组话题的 message_thread_id", en="The message_thread_id of a topic in the group"),
        ),
    ] = None
    base_url: BaseUrl = "https://api.telegram.org"


class Telegram(ThreadingNotifier[TelegramConfig]):
    """One message in the chat for each notification."""

    name = "telegram"
    version = __version__
    display_name = Bilingual(zh="Telegram", en="Telegram")
    description = Bilingual(zh="Telegram 机器人消息", en="Messages from a bot in Telegram")
    Config = TelegramConfig
    worded = Worded.WHOLE
    limits = Limits(
        rates=(Rate(messages=1, window=timedelta(seconds=1)), Rate(messages=20, window=timedelta(minutes=1))),
        max_alerts=MAX_ALERTS,
    )
    url_field = "base_url"

    def account(self, config: TelegramConfig) -> str | None:
        return f"{config.bot_token.get_secret_value()} {config.chat_id}"

    def render(self, config: TelegramConfig, message: Message, now: datetime) -> HttpRequest:
        body: dict[str, Any] = {
            "chat_id": config.chat_id,
            "text": _text(message),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
        if config.thread_id is not None:
            body["message_thread_id"] = config.thread_id
        if message.thread is not None and _ID.fullmatch(message.thread.root):
            root = int(message.thread.root)
            body["reply_parameters"] = {"message_id": root, "allow_sending_without_reply": True}
        return HttpRequest(
            url=_method(config, "sendMessage"),
            headers={"Content-Type": "application/json"},
            body=orjson.dumps(body),
        )

    def probe(self, config: TelegramConfig) -> HttpRequest:
        return HttpRequest(method="GET", url=_method(config, "getMe"))

    def accept(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        answer = object_of(body)
        if status == 200 and answer.get("ok") is True:
            return Delivered(code="http.200", text=excerpt(body), message_id=_message_id(answer))
        said = answer.get("error_code")
        code = said if type(said) is int else status
        parameters = answer.get("parameters")
        parameters = parameters if isinstance(parameters, dict) else {}
        if code == 429:
            after = seconds(parameters.get("retry_after")) or retry_after(headers)
            return RetryAfter(after=after, code="http.429", text=excerpt(body), pause_channel=after is not None)
        if type(parameters.get("migrate_to_chat_id")) is int:
            moved = f"the group has become a supergroup: set chat_id to {parameters['migrate_to_chat_id']}"
            return Refused(code=f"http.{code}", text=moved)
        unclear = Ambiguous(code=f"http.{status}", text=f"the answer does not say ok: {excerpt(body)}")
        return failure(code, headers, body) or unclear


def _method(config: TelegramConfig, name: str) -> str:
    return f"{config.base_url}/bot{config.bot_token.get_secret_value()}/{name}"


def _message_id(answer: Mapping[str, Any]) -> str | None:
    result = answer.get("result")
    found = result.get("message_id") if isinstance(result, dict) else None
    return str(found) if type(found) is int else None


def _text(message: Message) -> str:
    heading = cut(title(message), _TITLE, size=utf16_size)
    lines = outline(message, names=_NAMES, size=utf16_size)
    room = MAX_TEXT - utf16_size(heading) - 2
    return f"<b>{_escaped(heading)}</b>\n\n{fit(message, lines, room, draw=_drawn, size=_shown)}"


def _drawn(line: Line) -> str:
    text = _escaped(line.text)
    match line.kind:
        case Kind.FACT:
            return f"<b>{_escaped(line.name)}:</b> {text}"
        case Kind.HEADING:
            return f"\n<b>{text}</b>"
        case Kind.ITEM:
            return f"• {text}"
        case Kind.LINK:
            return f'<a href="{html.escape(line.url)}">{text}</a>'
        case Kind.TEXT:
            return text


def _escaped(text: str) -> str:
    """The text as it stands, and nobody mentioned: such an @ becomes its full-width form."""
    return _SPECIAL.sub(lambda found: _SHOWN[found[0]], one_line(text))


def _shown(drawn: str) -> int:
    return utf16_size(html.unescape(_TAG.sub("", drawn)))
