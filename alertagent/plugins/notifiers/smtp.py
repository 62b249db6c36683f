"""How a mail is handed to a server, and what its answers mean.

Before the content goes out nothing can have arrived, so every fault up to then may be repeated. From then on a lost
connection is ambiguous. What surprises: a server refuses each recipient by itself, and takes the mail for the others.

Source: RFC 5321, sections 4.2.1 (4xx may pass, 5xx is final) and 4.1.1.4 (who answers 250 is responsible).
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPRecipientRefused, SMTPResponseException

from alertagent.kernel.errors import Permanent
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.text import cut, one_line
from alertagent.plugins.transport import Transport, Unreachable

Tls = Literal["starttls", "tls", "none"]

FAREWELL = timedelta(seconds=2)  # all is said by then


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where to hand mails in. `patience` bounds what comes before the content, and once more the content."""

    host: str
    port: int
    tls: Tls
    context: ssl.SSLContext
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    patience: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Plain addresses, which need not be those of the headers, and the mail as it goes over the wire."""

    sender: str
    recipients: Sequence[str]
    content: bytes = field(repr=False)


class _Failed(Exception):
    """Carries an outcome out of a session that did not get as far as the content."""

    def __init__(self, outcome: RetryAfter | Refused) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


async def hand_in(server: Server, envelope: Envelope, transport: Transport) -> Outcome:
    """Make one attempt. `message_id` of the outcome is left to the caller."""
    try:
        async with _session(server, transport) as client:
            refused = await _announce(server, client, envelope)
            if len(refused) == len(envelope.recipients):
                return _nobody(refused)
            return await _content(server, client, envelope, refused)
    except _Failed as failed:
        return failed.outcome


async def greet(server: Server, transport: Transport) -> RetryAfter | Refused | None:
    """Connect, encrypt and sign in, and no more. None when all of that works."""
    try:
        async with _session(server, transport):
            return None
    except _Failed as failed:
        return failed.outcome


@asynccontextmanager
async def _session(server: Server, transport: Transport) -> AsyncIterator[SMTP]:
    client: SMTP | None = None
    try:
        async with _before_content(server):
            connection = await transport.connect(server.host, server.port)
            client = SMTP(
                hostname=server.host,  # whose certificate it must be
                sock=connection,
                local_hostname=_own_name(connection),
                use_tls=server.tls == "tls",
                start_tls=server.tls == "starttls",
                tls_context=server.context,
                username=server.username,
                password=server.password,
                timeout=server.patience.total_seconds(),
            )
            await client.connect()
        yield client
        with suppress(SMTPException, OSError):
            await client.quit(timeout=FAREWELL.total_seconds())
    finally:
        if client is not None:
            client.close()


def _own_name(connection: socket.socket) -> str:
    """The address as EHLO wants it: a host's own idea of its name is worth less, and may take seconds to find."""
    address = str(connection.getsockname()[0])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


@asynccontextmanager
async def _before_content(server: Server) -> AsyncIterator[None]:
    """Whatever goes wrong in here leaves nothing behind: raises _Failed."""
    where = f"{server.host}:{server.port}"
    try:
        async with asyncio.timeout(server.patience.total_seconds()):
            yield
    except Unreachable as error:
        raise _Failed(RetryAfter(code=error.code, text=error.message)) from error
    except Permanent as error:
        raise _Failed(Refused(code=error.code, text=error.message)) from error
    except SMTPResponseException as error:
        raise _Failed(_answered(where, error)) from error
    except TimeoutError as error:
        raise _Failed(RetryAfter(code="smtp.timeout", text=f"{where} did not answer in time")) from error
    except OSError as error:
        raise _Failed(RetryAfter(code="smtp.disconnected", text=_broken(where, error))) from error
    except SMTPException as error:
        # What aiosmtplib finds out by itself: the server offers no STARTTLS or no AUTH.
        raise _Failed(Refused(code="smtp.unsupported", text=f"{where}: {_short(error.message)}")) from error


async def _announce(server: Server, client: SMTP, envelope: Envelope) -> dict[str, SMTPRecipientRefused]:
    """Name the sender and the recipients; those that the server refuses."""
    refused: dict[str, SMTPRecipientRefused] = {}
    async with _before_content(server):
        await client.mail(envelope.sender)
        for recipient in envelope.recipients:
            try:
                await client.rcpt(recipient)
            except SMTPRecipientRefused as error:
                refused[recipient] = error
    return refused


async def _content(
    server: Server, client: SMTP, envelope: Envelope, refused: dict[str, SMTPRecipientRefused]
) -> Outcome:
    where = f"{server.host}:{server.port}"
    try:
        answer = await client.data(envelope.content)
    except (SMTPException, OSError) as error:
        if isinstance(error, SMTPDataError) and 400 <= error.code < 600:
            return _answered(where, error)
        text = f"{where} had the mail and did not confirm it: {type(error).__name__}"
        return Ambiguous(code="smtp.unconfirmed", text=text)
    text = _short(f"{answer.code} {answer.message}")
    if refused:
        return _some(refused, [address for address in envelope.recipients if address not in refused], text)
    return Delivered(code=str(answer.code), text=text)


def _answered(where: str, error: SMTPResponseException) -> RetryAfter | Refused:
    """Only 5xx is final. What is no answer of SMTP at all comes from whoever stands before the server just now."""
    if not 200 <= error.code < 600:
        text = f"{where} does not answer as a mail server does: {error.message}"
        return RetryAfter(code="smtp.garbage", text=_short(text))
    text = _short(f"{error.code} {error.message}")
    kind = Refused if _is_final(error.code) else RetryAfter
    return kind(code=str(error.code), text=text)


def _is_final(code: int) -> bool:
    return 500 <= code < 600


def _nobody(refused: dict[str, SMTPRecipientRefused]) -> Outcome:
    """Not delivered to anyone; as long as one may be let in later it is worth another attempt."""
    errors = sorted(refused.values(), key=lambda error: _is_final(error.code))
    kind = Refused if _is_final(errors[0].code) else RetryAfter
    return kind(code=str(errors[0].code), text=_refusals(refused))


def _some(refused: dict[str, SMTPRecipientRefused], taken: Sequence[str], answer: str) -> Outcome:
    """Not delivered to all. A repetition tells the others again: it is worth one, and only where it may help."""
    text = _short(f"{_refusals(refused)}; taken for {', '.join(taken)}: {answer}")
    errors = list(refused.values())
    passing = [error for error in errors if not _is_final(error.code)]
    if passing:
        return Ambiguous(code=str(passing[0].code), text=text)
    return Refused(code=str(errors[0].code), text=text)


def _refusals(refused: dict[str, SMTPRecipientRefused]) -> str:
    return _short("; ".join(f"not taken for {who}: {error.code} {error.message}" for who, error in refused.items()))


def _broken(where: str, error: OSError) -> str:
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return f"{where} could not be reached: the TLS handshake failed"
    return f"{where} broke off the connection: {type(error).__name__}"


def _short(text: str) -> str:
    return cut(one_line(text), 500)
