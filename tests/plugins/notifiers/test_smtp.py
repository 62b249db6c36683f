"""What the answers of a real SMTP server mean, and at which moment they stop being harmless."""

import asyncio
import ssl
from datetime import timedelta
from typing import Any

import pytest

from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.notifiers.smtp import Envelope, Server, Tls, greet, hand_in
from alertagent.plugins.outcome import Ambiguous, Delivered, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.mail_server import PASSWORD, USER, MailServer
from tests.support.sink import Answer, Sink

A, B, C = "a@example.org", "b@example.org", "c@example.org"
ENVELOPE = Envelope(sender="alerts@example.org", recipients=[A, B, C], content=b"Subject: x\r\n\r\n.dot\r\n")
QUEUED = "250 2.0.0 Ok: queued as 4CWm"


def at(server: MailServer, tls: Tls = "none", **fields: Any) -> Server:
    values: dict[str, Any] = {"host": "127.0.0.1", "context": server.trust, "patience": timedelta(seconds=5)}
    return Server(port=server.port, tls=tls, **{**values, **fields})


async def test_a_mail_goes_to_everyone_as_it_is(transport: Transport) -> None:
    async with MailServer() as server:
        outcome = await hand_in(at(server), ENVELOPE, transport)

    [mail] = server.mails
    assert outcome == Delivered(code="250", text=QUEUED)
    assert (mail.sender, mail.recipients) == ("alerts@example.org", [A, B, C])
    assert mail.raw == ENVELOPE.content
    assert server.commands[0] == "EHLO [127.0.0.1]"


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_credentials_go_over_tls(tls: Tls, transport: Transport) -> None:
    async with MailServer(tls=tls, needs_user=True) as server:
        outcome = await hand_in(at(server, tls, username=USER, password=PASSWORD), ENVELOPE, transport)

    assert isinstance(outcome, Delivered)
    assert len(server.mails) == 1


async def test_wrong_credentials_are_final(transport: Transport) -> None:
    async with MailServer(tls="starttls", needs_user=True) as server:
        outcome = await hand_in(at(server, "starttls", username=USER, password="CANARY"), ENVELOPE, transport)

    assert isinstance(outcome, Refused)
    assert outcome.code == "535"
    assert "CANARY" not in outcome.text


async def test_a_server_without_starttls_gets_no_mail_in_the_clear(transport: Transport) -> None:
    async with MailServer() as server:
        outcome = await hand_in(at(server, "starttls", username=USER, password=PASSWORD), ENVELOPE, transport)

    assert isinstance(outcome, Refused)
    assert outcome.code == "smtp.unsupported"
    assert "STARTTLS" in outcome.text
    assert server.mails == []


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_certificate_of_nobody_known_is_not_trusted(tls: Tls, transport: Transport) -> None:
    async with MailServer(tls=tls) as server:
        outcome = await hand_in(at(server, tls, context=ssl.create_default_context()), ENVELOPE, transport)

    assert isinstance(outcome, RetryAfter)
    assert "TLS handshake failed" in outcome.text
    assert server.mails == []


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_certificate_for_another_host_is_not_trusted(tls: Tls, transport: Transport) -> None:
    async with MailServer(tls=tls, name="mail.example") as server:
        outcome = await hand_in(at(server, tls), ENVELOPE, transport)

    assert isinstance(outcome, RetryAfter)
    assert server.mails == []


UNKNOWN, GREYLISTED, FULL = "550 5.1.1 User unknown", "451 4.7.1 Greylisted", "452 4.2.2 Mailbox full"


async def test_whom_the_server_refuses_for_good_is_named_and_the_others_got_it(transport: Transport) -> None:
    async with MailServer() as server:
        server.refused = {B: UNKNOWN}
        outcome = await hand_in(at(server), ENVELOPE, transport)

    assert outcome == Refused(code="550", text=f"not taken for {B}: {UNKNOWN}; taken for {A}, {C}: {QUEUED}")
    assert [mail.recipients for mail in server.mails] == [[A, C]]


async def test_whom_the_server_may_take_later_is_worth_one_repetition(transport: Transport) -> None:
    async with MailServer() as server:
        server.refused = {A: UNKNOWN, B: GREYLISTED}
        outcome = await hand_in(at(server), ENVELOPE, transport)

    assert outcome == Ambiguous(
        code="451",
        text=f"not taken for {A}: {UNKNOWN}; not taken for {B}: {GREYLISTED}; taken for {C}: {QUEUED}",
    )


async def test_when_nobody_is_taken_for_good_that_is_final_and_no_content_is_sent(transport: Transport) -> None:
    async with MailServer() as server:
        server.refused = dict.fromkeys((A, B, C), UNKNOWN)
        outcome = await hand_in(at(server), ENVELOPE, transport)

    assert isinstance(outcome, Refused)
    assert outcome.code == "550"
    assert all(who in outcome.text for who in (A, B, C))
    assert "DATA" not in server.commands


async def test_when_nobody_is_taken_yet_it_is_tried_again(transport: Transport) -> None:
    async with MailServer() as server:
        server.refused = {A: UNKNOWN, B: GREYLISTED, C: FULL}
        outcome = await hand_in(at(server), ENVELOPE, transport)

    assert isinstance(outcome, RetryAfter)
    assert outcome.code == "451"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("451 4.3.0 Try later", RetryAfter(code="451", text="451 4.3.0 Try later")),
        ("421 4.3.2 Shutting down", RetryAfter(code="421", text="421 4.3.2 Shutting down")),
        ("552 5.3.4 Too big", Refused(code="552", text="552 5.3.4 Too big")),
        ("554 5.7.1 Spam", Refused(code="554", text="554 5.7.1 Spam")),
    ],
)
async def test_a_mail_that_is_not_taken_says_whether_it_may_be_later(
    answer: str, outcome: RetryAfter | Refused, transport: Transport
) -> None:
    async with MailServer() as server:
        server.answer = answer
        assert await hand_in(at(server), ENVELOPE, transport) == outcome


@pytest.mark.parametrize("fault", ["hang", "hang_up"])
async def test_a_server_that_does_not_confirm_the_content_may_have_it(fault: Any, transport: Transport) -> None:
    async with MailServer() as server:
        server.fault = fault
        outcome = await hand_in(at(server, patience=timedelta(seconds=0.5)), ENVELOPE, transport)

    assert isinstance(outcome, Ambiguous)
    assert outcome.code == "smtp.unconfirmed"


@pytest.mark.parametrize("answer", ["354 Go on", "999 What"])
async def test_an_answer_to_the_content_that_says_nothing_is_no_refusal(answer: str, transport: Transport) -> None:
    async with MailServer() as server:
        server.answer = answer
        outcome = await hand_in(at(server), ENVELOPE, transport)

    assert isinstance(outcome, Ambiguous)
    assert outcome.code == "smtp.unconfirmed"


async def test_a_server_that_is_away_is_tried_again(transport: Transport) -> None:
    async with MailServer() as server:
        gone = at(server)

    outcome = await hand_in(gone, ENVELOPE, transport)

    assert isinstance(outcome, RetryAfter)
    assert outcome.code == "outgoing.unreachable"


async def test_what_is_no_mail_server_gets_nothing(transport: Transport) -> None:
    async with Sink() as sink:
        sink.answer_always(Answer(fault="hang"))
        server = Server(
            host="127.0.0.1",
            port=sink.port,
            tls="none",
            context=ssl.create_default_context(),
            patience=timedelta(seconds=0.5),
        )
        outcome = await hand_in(server, ENVELOPE, transport)

    assert isinstance(outcome, RetryAfter)
    assert outcome.code == "smtp.timeout"


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n", b"\xff\x00\r\n", b"\r\n", b"999 what\r\n"])
async def test_what_answers_as_no_mail_server_does_may_be_one_again(greeting: bytes, transport: Transport) -> None:
    async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(greets, "127.0.0.1", 0) as listener:
        port: int = listener.sockets[0].getsockname()[1]
        server = Server(host="127.0.0.1", port=port, tls="none", context=ssl.create_default_context())
        outcome = await hand_in(server, ENVELOPE, transport)

    assert isinstance(outcome, RetryAfter)
    assert outcome.code == "smtp.garbage"
    assert outcome.text.startswith(f"127.0.0.1:{port} does not answer as a mail server does")


async def test_a_forbidden_address_is_final_and_no_connection_is_made() -> None:
    async with MailServer() as server, Transport(AddressGuard()) as transport:
        outcome = await hand_in(at(server), ENVELOPE, transport)

    assert isinstance(outcome, Refused)
    assert outcome.code == "outgoing.forbidden"
    assert server.commands == []


async def test_a_greeting_begins_no_mail(transport: Transport) -> None:
    async with MailServer(tls="starttls", needs_user=True) as server:
        good = await greet(at(server, "starttls", username=USER, password=PASSWORD), transport)
        bad = await greet(at(server, "starttls", username=USER, password="wrong"), transport)

    assert good is None
    assert isinstance(bad, Refused)
    assert not any(command.startswith("RCPT") for command in server.commands)
