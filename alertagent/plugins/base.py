"""What a notification plugin is, and the shape that nearly all of them share: one HTTP request, one answer.

A plugin's `render` and `accept` are pure, so that a table of inputs and outputs proves it wire-exact; only the
transport sends.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from pydantic import SecretStr

from alertagent.kernel.errors import Permanent
from alertagent.kernel.ids import digest
from alertagent.kernel.language import Language
from alertagent.kernel.message import Message
from alertagent.plugins.addresses import AddressGuard, origin, parse_url
from alertagent.plugins.config import ConfigT
from alertagent.plugins.outcome import Ambiguous, Outcome, Refused, RetryAfter, failure
from alertagent.plugins.plugin import Plugin
from alertagent.plugins.transport import HttpRequest, Transport, Unanswered, Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most so many messages in any window of this length."""

    messages: int
    window: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a provider bears from one channel.

    `max_bytes` bounds a message; the plugin itself cuts to it. A message about more than `max_alerts` alerts may
    not name them all: whoever makes messages splits there.
    """

    rates: tuple[Rate, ...] = ()
    max_bytes: int | None = None
    max_alerts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether a channel could deliver, as far as can be told without posting; `text` says why not."""

    healthy: bool
    text: str = ""


class Worded(StrEnum):
    """How much of a message a template may word: what is no text for people has no use for one."""

    NOTHING = "nothing"
    TITLE = "title"
    WHOLE = "whole"


class NotificationPlugin(Plugin[ConfigT]):
    """Tells people about alerts."""

    limits: ClassVar[Limits] = Limits()

    # Whether each message opens or closes the incident of its group. A digest of several groups could do neither, so
    # such a channel is told every message by itself, however late.
    keeps_incidents: ClassVar[bool] = False

    # Whether later messages of a group go into the thread that its first one began.
    threads: ClassVar[bool] = False

    # As long as one message may take, where that is more than two requests of the transport may.
    takes_up_to: timedelta = timedelta()

    # What its readers speak where their channel does not say.
    language: ClassVar[Language] = Language.EN

    # A plugin that says more than NOTHING takes what is in a message's `wording` instead of its own layout.
    worded: ClassVar[Worded] = Worded.NOTHING

    def account(self, config: ConfigT) -> str | None:
        """To whom `limits` apply, as far as the settings tell: channels of one account share them. May hold secrets."""
        return None

    def place(self, config: ConfigT) -> str:
        """The host that will be called, as far as it may be shown."""
        return ""

    def circuit(self, config: ConfigT) -> str | None:
        """Who fails together: this plugin with one host and one credential. None where nobody can fail."""
        account = self.account(config)
        return f"{self.name} {self.place(config)} {digest(account)[:12]}" if account is not None else None

    def changes_another(self, config: ConfigT, message: Message) -> bool:
        """Whether an earlier message is changed along with this one, which counts as a message, too."""
        return False

    @abstractmethod
    async def send(self, config: ConfigT, message: Message, transport: Transport, *, now: datetime) -> Outcome:
        """Make one attempt to deliver. Whatever goes wrong outside AlertAgent is an Outcome, not an exception."""

    @abstractmethod
    async def health_check(self, config: ConfigT, transport: Transport) -> Health:
        """Check without posting anything: a test message is an explicit act of its own."""


class HttpNotifier(NotificationPlugin[ConfigT]):
    """Delivers by one HTTP request.

    `url_field` names the setting with the address. A provider whose robots live on `vendor_hosts` takes any other
    host only inside the allowed networks, as a stand-in or a relay.
    """

    url_field: ClassVar[str] = "webhook_url"
    vendor_hosts: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def render(self, config: ConfigT, message: Message, now: datetime) -> HttpRequest:
        """The request that delivers the message. Pure."""

    @abstractmethod
    def accept(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        """What the provider's answer means. Pure; the names in `headers` match in any case."""

    def endpoint(self, config: ConfigT) -> str:
        """The address that will be called."""
        value: str | SecretStr = getattr(config, self.url_field)
        return value.get_secret_value() if isinstance(value, SecretStr) else value

    def account(self, config: ConfigT) -> str | None:
        return self.endpoint(config)

    def place(self, config: ConfigT) -> str:
        return origin(self.endpoint(config))

    async def check_config(self, config: ConfigT, guard: AddressGuard) -> None:
        url = self.endpoint(config)
        public = not self.vendor_hosts or parse_url(url).host in self.vendor_hosts
        await guard.check_url(url, loc=(self.url_field,), public=public)

    async def send(self, config: ConfigT, message: Message, transport: Transport, *, now: datetime) -> Outcome:
        return await self.ask(self.render(config, message, now), transport)

    async def ask(self, request: HttpRequest, transport: Transport) -> Outcome:
        """What came of one request."""
        try:
            answer = await transport.send(request)
        except Unreachable as error:
            return RetryAfter(code=error.code, text=error.message)
        except Unanswered as error:
            return Ambiguous(code=error.code, text=error.message)
        except Permanent as error:
            return Refused(code=error.code, text=error.message)
        return self.accept(answer.status, answer.headers, answer.body)

    def probe(self, config: ConfigT) -> HttpRequest | None:
        """A question that posts nothing and that only good credentials answer; None where the provider knows none."""
        return None

    async def health_check(self, config: ConfigT, transport: Transport) -> Health:
        """Ask the probe, or the host for its front page: name, address, connection and TLS are tried at least."""
        probe = self.probe(config)
        try:
            answer = await transport.send(probe or HttpRequest(method="HEAD", url=origin(self.endpoint(config))))
        except (Unreachable, Unanswered, Permanent) as error:
            return Health(healthy=False, text=error.message)
        failed = failure(answer.status, answer.headers, answer.body) if probe else None
        return Health(healthy=failed is None, text=failed.text if failed else "")
