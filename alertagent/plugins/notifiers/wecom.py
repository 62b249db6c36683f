"""WeCom's group robot: a message, as markdown or, where somebody is mentioned by number, as plain text.

What surprises: refusals come inside a 200 as `errcode`; the limits are small and count bytes, of which a Chinese
character takes three; `mentioned_list` and `mentioned_mobile_list` work in text messages only. Markdown mentions by
`<@userid>`, which knows neither mobile numbers nor everybody. So those turn the message into text.

Source: developer.work.weixin.qq.com, path 99110 (the robot) and 90454 (a limit blocks for a minute).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
from pydantic import Field

from alertagent import __version__
from alertagent.kernel.language import Language
from alertagent.kernel.message import Message
from alertagent.plugins.base import HttpNotifier, Limits, Rate, Worded
from alertagent.plugins.config import PluginConfig, SecretUrl, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.markdown import Style, fitted, heading, markdown_link, plain_link
from alertagent.plugins.notifiers.replies import judged
from alertagent.plugins.outcome import Outcome
from alertagent.plugins.text import utf8_size
from alertagent.plugins.transport import HttpRequest

HOST = "qyapi.weixin.qq.com"
MAX_MARKDOWN = 4096
MAX_TEXT = 2048
MAX_ALERTS = 15
MAX_MENTIONS = 20
BLOCKED_FOR = timedelta(minutes=1)

EVERYBODY = "@all"

# An unknown robot, an empty message, a message that is too long. What else there is may pass.
_PERMANENT = frozenset({93000, 44004, 40058})
_TOO_FAST = 45009

_MARKDOWN = Style(size=utf8_size, alerts=MAX_ALERTS, title=240, name=128, content=1_200, value=400, links=markdown_link)
_TEXT = Style(bold="", size=utf8_size, alerts=MAX_ALERTS, title=180, name=80, content=600, value=300, links=plain_link)


class WeComConfig(PluginConfig):
    webhook_url: Annotated[
        SecretUrl,
        described(
            Bilingual(zh="Webhook 地址", en="Webhook URL"),
            Bilingual(zh="群机器人的 Webhook 地址，包含 key", en="The robot's webhook URL, with its key"),
            secret=True,
        ),
    ]
    mentioned_list: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(@all|[A-Za-z0-9][A-Za-z0-9_.@-]{0,63})$")], ...],
        described(
            Bilingual(zh="@ 成员", en="Members to mention"),
            Bilingual(
                zh="需要 @ 的群成员 userid，@all 表示所有人（此时以文本消息发送）",
                en="Members of the group to mention, by userid; @all is everybody and makes the message plain text",
            ),
            max_length=MAX_MENTIONS,
        ),
    ] = ()
    mentioned_mobile_list: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(@all|\+?[0-9-]{5,20})$")], ...],
        described(
            Bilingual(zh="@ 手机号", en="Mobile numbers to mention"),
            Bilingual(
                zh="需要 @ 的群成员手机号，@all 表示所有人（此时以文本消息发送）",
                en="Members of the group to mention, by mobile number; makes the message plain text",
            ),
            max_length=MAX_MENTIONS,
        ),
    ] = ()


class WeCom(HttpNotifier[WeComConfig]):
    """One message in the group for each notification."""

    name = "wecom"
    version = __version__
    display_name = Bilingual(zh="企业微信", en="WeCom")
    description = Bilingual(zh="企业微信群机器人", en="A robot in a WeCom group")
    Config = WeComConfig
    worded = Worded.WHOLE
    limits = Limits(
        rates=(Rate(messages=20, window=timedelta(minutes=1)),), max_bytes=MAX_MARKDOWN, max_alerts=MAX_ALERTS
    )
    vendor_hosts = frozenset({HOST})
    language = Language.ZH

    def render(self, config: WeComConfig, message: Message, now: datetime) -> HttpRequest:
        needs_text = bool(config.mentioned_mobile_list) or EVERYBODY in config.mentioned_list
        return HttpRequest(
            url=config.webhook_url.get_secret_value(),
            headers={"Content-Type": "application/json; charset=utf-8"},
            body=orjson.dumps(_text(config, message) if needs_text else _markdown(config, message)),
        )

    def accept(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        return judged(status, headers, body, "errcode", permanent=_PERMANENT, blocked={_TOO_FAST: BLOCKED_FOR})


def _markdown(config: WeComConfig, message: Message) -> dict[str, Any]:
    """Warning orange while something fires, green when all is over: WeCom knows no other colours."""
    colour = "info" if message.group.status == "resolved" else "warning"
    head = f'## <font color="{colour}">{heading(message, _MARKDOWN)}</font>'
    mentions = "".join(f"<@{member}>" for member in config.mentioned_list)
    tail = f"\n\n{mentions}" if mentions else ""
    text = fitted(message, MAX_MARKDOWN - utf8_size(tail), _MARKDOWN, head=head)
    return {"msgtype": "markdown", "markdown": {"content": f"{text}{tail}"}}


def _text(config: WeComConfig, message: Message) -> dict[str, Any]:
    content = fitted(message, MAX_TEXT, _TEXT, head=heading(message, _TEXT))
    mentioned = {
        "mentioned_list": config.mentioned_list,
        "mentioned_mobile_list": config.mentioned_mobile_list,
    }
    return {"msgtype": "text", "text": {"content": content, **mentioned}}
