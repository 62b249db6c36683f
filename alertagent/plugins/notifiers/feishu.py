"""Feishu's custom bot, and Lark's, which is the same on another host: an interactive card.

What surprises: a refusal comes inside a 200 as `code`, which old bots call `StatusCode`; the signature goes into the
body, with seconds, and its *key* is what other robots sign: the message is empty.

Source: open.feishu.cn, "Use bots in groups" (custom bots): 100 messages a minute, 5 a second, 20 KB.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
from pydantic import SecretStr

from alertagent import __version__
from alertagent.kernel.language import Language
from alertagent.kernel.message import Message
from alertagent.kernel.urgency import Urgency
from alertagent.plugins.base import HttpNotifier, Limits, Rate, Worded
from alertagent.plugins.config import PluginConfig, SecretUrl, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.incident import links, urgency
from alertagent.plugins.notifiers.markdown import MAX_ALERTS, Style, fitted, heading
from alertagent.plugins.notifiers.outline import title
from alertagent.plugins.notifiers.replies import judged
from alertagent.plugins.outcome import Outcome
from alertagent.plugins.text import cut, json_size
from alertagent.plugins.transport import HttpRequest

HOSTS = frozenset({"open.feishu.cn", "open.larksuite.com"})
MAX_BYTES = 20_000
MAX_BUTTONS = 6

# A wrong signature or clock, an address outside the bot's whitelist, a missing keyword, an unknown bot, a malformed
# body. What else there is, such as 11232 for too many messages, passes.
_PERMANENT = frozenset({19021, 19022, 19024, 19001, 9499})

_COLOURS = {
    Urgency.CRITICAL: "red",
    Urgency.ERROR: "red",
    Urgency.WARNING: "orange",
    Urgency.INFO: "blue",
}
_OVER = "green"

_STYLE = Style()  # the buttons are its links


class FeishuConfig(PluginConfig):
    webhook_url: Annotated[
        SecretUrl,
        described(
            Bilingual(zh="Webhook 地址", en="Webhook URL"),
            Bilingual(
                zh="飞书或 Lark 自定义机器人的 Webhook 地址", en="The webhook URL of a custom bot in Feishu or Lark"
            ),
            secret=True,
        ),
    ]
    secret: Annotated[
        SecretStr | None,
        described(
            Bilingual(zh="签名密钥", en="Signing secret"),
            Bilingual(
                zh="安全设置中启用“签名校验”时的密钥",
                en="The secret of the bot's signature verification, where that is switched on",
            ),
            secret=True,
        ),
    ] = None


class Feishu(HttpNotifier[FeishuConfig]):
    """One card in the group for each notification, coloured by the worst alert that fires."""

    name = "feishu"
    version = __version__
    display_name = Bilingual(zh="飞书", en="Feishu / Lark")
    description = Bilingual(zh="飞书或 Lark 群自定义机器人", en="A custom bot in a Feishu or Lark group")
    Config = FeishuConfig
    worded = Worded.WHOLE
    limits = Limits(
        rates=(Rate(messages=5, window=timedelta(seconds=1)), Rate(messages=100, window=timedelta(minutes=1))),
        max_bytes=MAX_BYTES,
        max_alerts=MAX_ALERTS,
    )
    vendor_hosts = HOSTS
    language = Language.ZH

    def render(self, config: FeishuConfig, message: Message, now: datetime) -> HttpRequest:
        return HttpRequest(
            url=config.webhook_url.get_secret_value(),
            headers={"Content-Type": "application/json; charset=utf-8"},
            body=orjson.dumps(_payload(config, message, now)),
        )

    def accept(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        return judged(status, headers, body, "code", "StatusCode", permanent=_PERMANENT)


def sign(secret: str, seconds: int) -> str:
    """The base64 signature: of nothing, by a key made of the time and the secret."""
    return base64.b64encode(hmac.digest(f"{seconds}\n{secret}".encode(), b"", hashlib.sha256)).decode()


def _payload(config: FeishuConfig, message: Message, now: datetime) -> dict[str, Any]:
    """The request's body, at most MAX_BYTES long as JSON."""
    text = {"tag": "markdown", "content": ""}
    payload = {**_signature(config, now), "msg_type": "interactive", "card": _card(message, text)}
    room = MAX_BYTES - len(orjson.dumps(payload))
    text["content"] = fitted(message, room, _STYLE) or heading(message, _STYLE)  # of a template that has only links
    return payload


def _signature(config: FeishuConfig, now: datetime) -> dict[str, str]:
    if not config.secret:
        return {}
    seconds = int(now.timestamp())
    return {"timestamp": str(seconds), "sign": sign(config.secret.get_secret_value(), seconds)}


def _card(message: Message, text: dict[str, str]) -> dict[str, Any]:
    colour = _OVER if message.group.status == "resolved" else _COLOURS[urgency(message)]
    header = {"tag": "plain_text", "content": cut(title(message), 400, size=json_size)}
    buttons = _buttons(message)
    return {
        "config": {"wide_screen_mode": True},
        "header": {"template": colour, "title": header},
        "elements": [text, {"tag": "hr"}, {"tag": "action", "actions": buttons}] if buttons else [text],
    }


def _buttons(message: Message) -> list[dict[str, Any]]:
    """Links as buttons, the first one prominent. Long ones are left out: they would take the room of the text."""
    shown = [link for link in links(message) if json_size(link.url) <= 500]
    return [
        {
            "tag": "button",
            "text": {"tag": "plain_text", "content": cut(link.text, 100, size=json_size)},
            "url": link.url,
            "type": "default" if place else "primary",
        }
        for place, link in enumerate(shown[:MAX_BUTTONS])
    ]
