"""A real SMTP server on loopback that keeps mails, refuses whom it is told to refuse, and fails as servers do."""

import asyncio
import ssl
import warnings
from contextlib import AsyncExitStack
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Literal, Self

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

USER, PASSWORD = "alerts", "s3cr3t"

Fault = Literal["hang", "hang_up"]


class Mail:
    """One mail as the server took it."""

    def __init__(self, envelope: Envelope) -> None:
        self.sender = envelope.mail_from
        self.recipients = list(envelope.rcpt_tos)
        self.raw = bytes(envelope.original_content or b"")
        parsed = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.message = parsed

    def part(self, kind: Literal["plain", "html"]) -> str:
        body = self.message.get_body((kind,))
        assert body is not None
        return str(body.get_content())


class MailServer:
    """An async context manager. `refused` maps recipients to answers; `answer` and `fault` are for the content.

    `trust` is a context that knows the server's own authority; `name` is whom its certificate is for.
    """

    def __init__(
        self, *, tls: Literal["starttls", "tls", "none"] = "none", needs_user: bool = False, name: str = "127.0.0.1"
    ) -> None:
        self.mails: list[Mail] = []
        self.commands: list[str] = []
        self.refused: dict[str, str] = {}
        self.answer = "250 2.0.0 Ok: queued as 4CWm"
        self.fault: Fault | None = None
        self.port = 0
        authority = trustme.CA()
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)
        self._certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self._certificate)
        self._tls, self._needs_user = tls, needs_user
        self._stack = AsyncExitStack()
        self._sessions: set[SMTP] = set()

    async def __aenter__(self) -> Self:
        server = await asyncio.get_running_loop().create_server(
            self._session, "127.0.0.1", 0, ssl=self._certificate if self._tls == "tls" else None
        )
        self._stack.push_async_callback(server.wait_closed)
        self._stack.callback(self._close)
        self._stack.callback(server.close)
        self.port = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _session(self) -> SMTP:
        with warnings.catch_warnings():
            # aiosmtpd does not see that a connection began with TLS.
            warnings.simplefilter("ignore", UserWarning)
            session = SMTP(
                self,
                hostname="mail.example",
                ident="test",
                tls_context=self._certificate if self._tls == "starttls" else None,
                require_starttls=self._tls == "starttls",
                authenticator=self._authenticate if self._needs_user else None,
                auth_required=self._needs_user,
                auth_require_tls=self._tls == "starttls",
                loop=asyncio.get_running_loop(),
            )
        self._sessions.add(session)
        return session

    def _close(self) -> None:
        for session in self._sessions:
            if session.transport is not None:
                session.transport.close()

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd looks for these names
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.commands.append(f"EHLO {hostname}")
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.commands.append(f"RCPT {address}")
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.commands.append("DATA")
        if self.fault == "hang":
            await asyncio.Event().wait()
        if self.fault == "hang_up" and server.transport is not None:
            server.transport.close()
        if self.answer.startswith("250"):
            self.mails.append(Mail(envelope))
        return self.answer
