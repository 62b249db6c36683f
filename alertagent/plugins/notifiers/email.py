"""Mail by SMTP: one mail to all recipients for each notification.

What surprises: some recipients may be refused while the others are not, which is no delivery: the outcome says who did
not get it. See `smtp.py` for that and `mail.py` for what is sent.
"""

import ssl
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StrictInt, model_validator

from alertagent import __version__
from alertagent.kernel.message import Message
from alertagent.plugins.addresses import AddressGuard, parse_host
from alertagent.plugins.base import Health, Limits, NotificationPlugin, Worded
from alertagent.plugins.config import PluginConfig, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.mail import MAX_ALERTS, address, compose, message_id
from alertagent.plugins.notifiers.smtp import FAREWELL, Envelope, Server, Tls, greet, hand_in
from alertagent.plugins.outcome import Delivered, Outcome
from alertagent.plugins.transport import Transport


def _checked(text: str) -> str:
    address(text)
    return text.strip()


def _several(value: object) -> object:
    """A list, or addresses between commas as Alertmanager writes them."""
    return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_Address = Annotated[str, AfterValidator(_checked)]


class EmailConfig(PluginConfig):
    host: Annotated[
        Annotated[str, AfterValidator(parse_host)],
        described(
            Bilingual(zh="SMTP 服务器", en="SMTP server"),
            Bilingual(zh="服务器域名或地址", en="Its name or its address"),
        ),
    ]
    port: Annotated[
        StrictInt,
        described(
            Bilingual(zh="端口", en="Port"),
            Bilingual(zh="STARTTLS 通常为 587，TLS 为 465", en="587 for STARTTLS as a rule, 465 for TLS"),
            ge=1,
            le=65535,
        ),
    ] = 587
    username: Annotated[
        str | None,
        described(Bilingual(zh="用户名", en="User name"), Bilingual(zh="登录名", en="To sign in with"), max_length=255),
    ] = None
    password: Annotated[
        SecretStr | None,
        described(
            Bilingual(zh="密码", en="Password"),
            Bilingual(zh="密码或授权码", en="Password or app password"),
            secret=True,
        ),
    ] = None
    tls: Annotated[
        Tls,
        described(
            Bilingual(zh="加密", en="Encryption"),
            Bilingual(
                zh="starttls 要求升级加密，tls 直接加密，none 不加密",
                en="starttls insists on changing over to TLS, tls begins with it, none goes without",
            ),
        ),
    ] = "starttls"
    sender: Annotated[
        _Address,
        described(
            Bilingual(zh="发件人", en="From"),
            Bilingual(zh="例如 AlertAgent <alerts@example.org>", en="Such as AlertAgent <alerts@example.org>"),
            alias="from",
        ),
    ]
    to: Annotated[
        Annotated[tuple[_Address, ...], Field(min_length=1, max_length=50), BeforeValidator(_several)],
        described(
            Bilingual(zh="收件人", en="To"), Bilingual(zh="收件人地址列表", en="The addresses of the recipients")
        ),
    ]

    @model_validator(mode="after")
    def _has_a_user(self) -> Self:
        if self.password and not self.username:
            raise ValueError("a password needs a username")
        return self


class Email(NotificationPlugin[EmailConfig]):
    """`context` says whom to trust, the system's authorities by default; `patience` how long a server may take."""

    name = "email"
    version = __version__
    display_name = Bilingual(zh="邮件", en="Email")
    description = Bilingual(zh="通过 SMTP 发送邮件", en="Mail by SMTP")
    Config = EmailConfig
    worded = Worded.WHOLE
    limits = Limits(max_alerts=MAX_ALERTS)

    def __init__(self, context: ssl.SSLContext | None = None, *, patience: timedelta = timedelta(minutes=1)) -> None:
        self._trusted = context
        self._patience = patience
        self.takes_up_to = 2 * patience + FAREWELL

    def account(self, config: EmailConfig) -> str | None:
        return f"{config.username or ''}@{self.place(config)}"

    def place(self, config: EmailConfig) -> str:
        return f"{config.host}:{config.port}"

    async def check_config(self, config: EmailConfig, guard: AddressGuard) -> None:
        await guard.check_host(config.host, config.port, loc=("host",))

    async def send(self, config: EmailConfig, message: Message, transport: Transport, *, now: datetime) -> Outcome:
        sender, recipients = address(config.sender), [address(recipient) for recipient in config.to]
        envelope = Envelope(
            sender=sender.addr_spec,
            recipients=list(dict.fromkeys(recipient.addr_spec for recipient in recipients)),
            content=compose(message, sender=sender, recipients=recipients, now=now),
        )
        outcome = await hand_in(self._server(config), envelope, transport)
        if isinstance(outcome, Delivered):
            return replace(outcome, message_id=message_id(message, sender))
        return outcome

    async def health_check(self, config: EmailConfig, transport: Transport) -> Health:
        """Connect, encrypt and sign in; no mail is begun."""
        failed = await greet(self._server(config), transport)
        return Health(healthy=failed is None, text=failed.text if failed else "")

    def _server(self, config: EmailConfig) -> Server:
        return Server(
            host=config.host,
            port=config.port,
            tls=config.tls,
            context=self._context(),
            username=config.username or None,
            password=config.password.get_secret_value() if config.password else None,
            patience=self._patience,
        )

    def _context(self) -> ssl.SSLContext:
        """Made for the first mail: the system's authorities take a megabyte."""
        if self._trusted is None:
            self._trusted = ssl.create_default_context()
        return self._trusted
