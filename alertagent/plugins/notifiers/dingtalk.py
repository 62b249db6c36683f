"""DingTalk's custom robot: a markdown message, signed where the robot has a secret.

What surprises: the robot answers HTTP 200 whatever happens, only `errcode` tells; the signature belongs into the
query *escaped* (a bare `+` arrives as a blank, which breaks every other signature); more than 20 messages within
a minute silence the robot for ten; and in keyword mode each message, "resolved" ones too, must hold the keyword.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson
from pydantic import Field, SecretStr, StrictBool

from alertagent import __version__
from alertagent.kernel.language import Language
from alertagent.kernel.message import Message
from alertagent.plugins.base import HttpNotifier, Limits, Rate, Worded
from alertagent.plugins.config import PluginConfig, SecretUrl, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.markdown import MAX_ALERTS, fitted, heading
from alertagent.plugins.notifiers.outline import title
from alertagent.plugins.notifiers.replies import judged
from alertagent.plugins.outcome import Outcome
from alertagent.plugins.text import cut, json_size
from alertagent.plugins.transport import HttpRequest

HOST = "oapi.dingtalk.com"
MAX_BYTES = 20_000
BLOCKED_FOR = timedelta(minutes=10)

# 310000 covers a wrong signature, a missing keyword and an address outside the robot's whitelist; 300001 and
# 300005 an unknown token; 40035 a missing parameter.
_PERMANENT = frozenset({310000, 300001, 300005, 40035})
_TOO_FAST = 130101

_ESCAPES = str.maketrans({"+": "%2B", "/": "%2F", "=": "%3D"})  # all that base64 has to escape


class DingTalkConfig(PluginConfig):
    webhook_url: Annotated[
        SecretUrl,
        described(
            Bilingual(zh="Webhook 地址", en="Webhook URL"),
            Bilingual(
                zh="机器人的 Webhook 地址，包含 access_token", en="The robot's webhook URL, with its access_token"
            ),
            secret=True,
        ),
    ]
    secret: Annotated[
        SecretStr | None,
        described(
            Bilingual(zh="加签密钥", en="Signing secret"),
            Bilingual(
                zh="安全设置为“加签”时的密钥，以 SEC 开头",
                en="The secret of the robot's signature mode; begins with SEC",
            ),
            secret=True,
        ),
    ] = None
    at_mobiles: Annotated[
        tuple[Annotated[str, Field(pattern=r"^\+?[0-9-]{5,20}$")], ...],
        described(
            Bilingual(zh="@ 手机号", en="Mobile numbers to mention"),
            Bilingual(zh="需要 @ 的群成员手机号", en="Group members to mention, by mobile number"),
            max_length=50,
        ),
    ] = ()
    at_all: Annotated[
        StrictBool,
        described(
            Bilingual(zh="@ 所有人", en="Mention everyone"),
            Bilingual(zh="每条消息都 @ 所有人", en="Mention the whole group in every message"),
        ),
    ] = False
    keyword: Annotated[
        str | None,
        described(
            Bilingual(zh="关键词", en="Keyword"),
            Bilingual(
                zh="安全设置为“自定义关键词”时的关键词，消息中没有时自动加上",
                en="The keyword of the robot's keyword mode; added to messages that lack it",
            ),
            min_length=1,
            max_length=100,
        ),
    ] = None


class DingTalk(HttpNotifier[DingTalkConfig]):
    """One message in the group for each notification."""

    name = "dingtalk"
    version = __version__
    display_name = Bilingual(zh="钉钉", en="DingTalk")
    description = Bilingual(zh="钉钉群自定义机器人", en="A custom robot in a DingTalk group")
    Config = DingTalkConfig
    worded = Worded.WHOLE
    limits = Limits(rates=(Rate(messages=20, window=timedelta(minutes=1)),), max_bytes=MAX_BYTES, max_alerts=MAX_ALERTS)
    vendor_hosts = frozenset({HOST})
    language = Language.ZH

    def render(self, config: DingTalkConfig, message: Message, now: datetime) -> HttpRequest:
        return HttpRequest(
            url=_signed(config, now),
            headers={"Content-Type": "application/json; charset=utf-8"},
            body=_body(config, message),
        )

    def accept(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        return judged(status, headers, body, "errcode", permanent=_PERMANENT, blocked={_TOO_FAST: BLOCKED_FOR})


def sign(secret: str, milliseconds: int) -> str:
    """The base64 signature, not yet escaped. The secret is the key and also part of what is signed."""
    digest = hmac.digest(secret.encode(), f"{milliseconds}\n{secret}".encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


def _signed(config: DingTalkConfig, now: datetime) -> str:
    url = config.webhook_url.get_secret_value()
    if not config.secret:
        return url
    milliseconds = int(now.timestamp() * 1000)
    signature = sign(config.secret.get_secret_value(), milliseconds).translate(_ESCAPES)
    return f"{_unsigned(url)}timestamp={milliseconds}&sign={signature}"


@lru_cache(maxsize=256)
def _unsigned(url: str) -> str:
    """The URL up to where the signature goes. One copied from a script may still carry the signature of that day."""
    parts = urlsplit(url)
    query = [(key, value) for key, value in parse_qsl(parts.query) if key not in {"timestamp", "sign"}]
    unsigned = urlunsplit(parts._replace(query=urlencode(query), fragment=""))
    return f"{unsigned}{'&' if query else '?'}"


def _body(config: DingTalkConfig, message: Message) -> bytes:
    """The request body, at most MAX_BYTES long: the limit holds for the request, escapes of JSON included."""
    payload: dict[str, Any] = {
        "msgtype": "markdown",
        "markdown": {"title": cut(title(message), 200, size=json_size), "text": ""},
        "at": {"atMobiles": config.at_mobiles, "isAtAll": config.at_all},
    }
    room = MAX_BYTES - len(orjson.dumps(payload))
    payload["markdown"]["text"] = _text(config, message, room)
    return orjson.dumps(payload)


def _text(config: DingTalkConfig, message: Message, room: int) -> str:
    """The markdown. A mention works only if `@mobile` stands in the text as well, so it survives any cut."""
    mentions = " ".join(f"@{mobile}" for mobile in config.at_mobiles)
    keyword = config.keyword or ""
    room -= json_size(f"{keyword}\n\n\n\n{mentions}")
    text = fitted(message, room, head=f"## {heading(message)}")
    if keyword not in text:
        text = f"{keyword}\n\n{text}"
    return f"{text}\n\n{mentions}" if mentions else text
