from collections.abc import AsyncIterator
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.notifiers.email import Email, EmailConfig
from alertagent.plugins.outcome import Ambiguous, Delivered
from alertagent.plugins.transport import Transport
from tests.support.mail_server import PASSWORD, USER, MailServer
from tests.support.messages import NOON, make_alert, make_message
from tests.support.names import Names

SETTINGS = {
    "host": "mail.example",
    "port": 587,
    "from": "AlertAgent <alerts@example.org>",
    "to": ["ops@example.org", "Anna <anna@example.net>"],
}
PLUGIN = Email()


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with MailServer(tls="starttls", needs_user=True) as server:
        yield server


def configured(server: MailServer | None = None, **settings: Any) -> EmailConfig:
    values: dict[str, Any] = {**SETTINGS, **settings}
    if server is not None:
        values |= {"host": "127.0.0.1", "port": server.port, "username": USER, "password": PASSWORD}
    return PLUGIN.validate_config(values)


async def test_a_notification_is_one_mail_to_all(server: MailServer, transport: Transport) -> None:
    outcome = await Email(server.trust).send(configured(server), make_message(), transport, now=NOON)

    [mail] = server.mails
    assert isinstance(outcome, Delivered)
    assert outcome.message_id == mail.message["Message-ID"]
    assert (mail.sender, mail.recipients) == ("alerts@example.org", ["ops@example.org", "anna@example.net"])
    assert mail.message["Subject"] == "[FIRING] HighCPU"
    assert "CPU usage is over 90%" in mail.part("plain")
    assert "CPU usage is over 90%" in mail.part("html")


async def test_the_messages_of_a_group_are_one_thread(server: MailServer, transport: Transport) -> None:
    plugin, config = Email(server.trust), configured(server)

    await plugin.send(config, make_message(id="1"), transport, now=NOON)
    await plugin.send(config, make_message(make_alert(status="resolved"), id="2"), transport, now=NOON)

    first, second = (mail.message for mail in server.mails)
    assert first["References"] == second["References"]
    assert first["Message-ID"] != second["Message-ID"]


async def test_who_did_not_get_it_is_told(server: MailServer, transport: Transport) -> None:
    server.refused = {"anna@example.net": "450 4.2.0 Greylisted"}

    outcome = await Email(server.trust).send(configured(server), make_message(), transport, now=NOON)

    assert isinstance(outcome, Ambiguous)
    assert outcome.text.startswith("not taken for anna@example.net: 450 4.2.0 Greylisted; taken for ops@example.org")


async def test_a_hostile_label_adds_neither_recipient_nor_header(server: MailServer, transport: Transport) -> None:
    hostile = "x\r\nBcc: evil@example.org\r\n\r\n.\r\nMAIL FROM:<evil@example.org>\r\n"
    message = make_message(make_alert(note=hostile), title=hostile, content=hostile)

    await Email(server.trust).send(configured(server), message, transport, now=NOON)

    [mail] = server.mails
    assert mail.recipients == ["ops@example.org", "anna@example.net"]
    assert mail.message["Bcc"] is None


async def test_empty_credentials_are_none(transport: Transport) -> None:
    async with MailServer() as server:
        config = configured(host="127.0.0.1", port=server.port, tls="none", username="", password="")
        outcome = await PLUGIN.send(config, make_message(), transport, now=NOON)

    assert isinstance(outcome, Delivered)


async def test_one_who_is_named_twice_gets_one(server: MailServer, transport: Transport) -> None:
    config = configured(server, to="ops@example.org, Ops <ops@example.org>")

    await Email(server.trust).send(config, make_message(), transport, now=NOON)

    assert server.mails[0].recipients == ["ops@example.org"]


async def test_a_health_check_sends_nothing(server: MailServer, transport: Transport) -> None:
    good = await Email(server.trust).health_check(configured(server), transport)
    bad = await Email().health_check(configured(server), transport)

    assert good.healthy
    assert not bad.healthy
    assert "TLS handshake failed" in bad.text
    assert server.mails == []


async def test_a_server_inside_is_refused_when_it_is_saved() -> None:
    names = Names(mail_example=["10.0.0.1"])

    await PLUGIN.check_config(configured(), AddressGuard(["10.0.0.0/8"], resolver=names))
    with pytest.raises(Invalid, match=r"outgoing\.allow_networks") as caught:
        await PLUGIN.check_config(configured(), AddressGuard(resolver=names))

    assert caught.value.details[0].loc == ("host",)


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"host": ""}, ("host",)),
        ({"host": "mail example"}, ("host",)),
        ({"host": "https://mail.example"}, ("host",)),
        ({"host": "2130706433"}, ("host",)),
        ({"port": 0}, ("port",)),
        ({"port": 65536}, ("port",)),
        ({"port": "587"}, ("port",)),
        ({"tls": "ssl"}, ("tls",)),
        ({"from": "alerts"}, ("from",)),
        ({"from": "a@example.org\r\nBcc: CANARY@example.org"}, ("from",)),
        ({"from": None}, ("from",)),
        ({"to": []}, ("to",)),
        ({"to": ""}, ("to",)),
        ({"to": None}, ("to",)),
        ({"to": ["ops@example.org", "CANARY"]}, ("to", 1)),
        ({"to": ["ops@example.org"] * 51}, ("to",)),
        ({"password": "CANARY"}, ()),
        ({"sender": "CANARY@example.org"}, ("sender",)),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        configured(**settings)

    assert [detail.loc for detail in caught.value.details] == [loc]
    assert "CANARY" not in caught.value.message


def test_the_settings_have_the_names_of_mail() -> None:
    assert set(PLUGIN.config_schema()["properties"]) == {"host", "port", "username", "password", "tls", "from", "to"}
    assert set(PLUGIN.config_schema()["required"]) == {"host", "from", "to"}
    assert PLUGIN.config_schema()["properties"]["to"]["maxItems"] == 50


def test_the_password_is_never_read_back() -> None:
    raw = {**SETTINGS, "username": "u", "password": "CANARY"}

    assert PLUGIN.mask_config(raw) == {**raw, "password": "***"}
    assert "CANARY" not in repr(PLUGIN.validate_config(raw))
