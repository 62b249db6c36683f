"""A generic webhook: Alertmanager's body (version 4) under the headers of Standard Webhooks.

Every receiver that understands Alertmanager understands this one. A receiver that wants to tell repetitions
apart goes by `webhook-id`, which stays the same on every attempt.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import orjson
from pydantic import AfterValidator, Field, SecretStr

from alertagent import __version__
from alertagent.kernel.message import Message
from alertagent.plugins.base import HttpNotifier
from alertagent.plugins.config import PluginConfig, Url, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.alertmanager import payload
from alertagent.plugins.notifiers.headers import settable_header
from alertagent.plugins.outcome import Delivered, Outcome, excerpt, failure
from alertagent.plugins.transport import HttpRequest

_PREFIX = "whsec_"

_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,4096}")


def _usable_key(secret: SecretStr) -> SecretStr:
    if not all(_keys(secret.get_secret_value())):
        raise ValueError("the secret is empty")
    return secret


def _usable_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        settable_header(name)
        if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
            raise ValueError(f"the value of the header {name} is not printable ASCII")
    return headers


class WebhookConfig(PluginConfig):
    url: Annotated[
        Url,
        described(
            Bilingual(zh="地址", en="URL"),
            Bilingual(
                zh="接收 Alertmanager v4 格式 POST 请求的地址", en="Receives POST requests in Alertmanager's format, v4"
            ),
        ),
    ]
    secret: Annotated[
        Annotated[SecretStr, AfterValidator(_usable_key)] | None,
        described(
            Bilingual(zh="签名密钥", en="Signing secret"),
            Bilingual(
                zh="按 Standard Webhooks 签名的密钥：whsec_ 开头的 base64（可用空格分隔多个），或普通文本",
                en="Signs as Standard Webhooks says: base64 after whsec_ (also several), or plain text",
            ),
            secret=True,
        ),
    ] = None
    headers: Annotated[
        Annotated[dict[str, SecretStr], Field(max_length=32), AfterValidator(_usable_headers)],
        described(
            Bilingual(zh="请求头", en="Headers"),
            Bilingual(zh="附加的请求头，例如 Authorization", en="Additional headers, such as Authorization"),
            secret=True,
        ),
    ] = Field(default_factory=dict)


class Webhook(HttpNotifier[WebhookConfig]):
    """POSTs each notification as JSON."""

    name = "webhook"
    version = __version__
    display_name = Bilingual(zh="Webhook", en="Webhook")
    description = Bilingual(
        zh="以 Alertmanager v4 格式发送到任意地址", en="Posts to any address in Alertmanager's format, v4"
    )
    Config = WebhookConfig
    url_field = "url"

    def render(self, config: WebhookConfig, message: Message, now: datetime) -> HttpRequest:
        body = orjson.dumps(payload(message))
        seconds = int(now.timestamp())
        headers = {name: value.get_secret_value() for name, value in config.headers.items()}
        headers |= {
            "Content-Type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(seconds),
        }
        if config.secret is not None:
            headers["webhook-signature"] = sign(config.secret.get_secret_value(), message.id, seconds, body)
        return HttpRequest(url=config.url, headers=headers, body=body)

    def accept(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        return failure(status, headers, body) or Delivered(code=f"http.{status}", text=excerpt(body))


def sign(secret: str, message_id: str, seconds: int, body: bytes) -> str:
    """The signature of Standard Webhooks, scheme v1: one for each key, separated by blanks."""
    signed = f"{message_id}.{seconds}.".encode() + body
    digests = (hmac.digest(key, signed, hashlib.sha256) for key in _keys(secret))
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def _keys(secret: str) -> list[bytes]:
    """What to sign with: one key, or several of `whsec_…` while a receiver changes over from one to the other.

    Raises ValueError, without repeating the secret, for base64 that is none.
    """
    if not secret.startswith(_PREFIX):
        return [secret.encode()]
    try:
        return [base64.b64decode(part.removeprefix(_PREFIX), validate=True) for part in secret.split()]
    except binascii.Error:
        raise ValueError(f"what follows {_PREFIX} is not base64") from None
