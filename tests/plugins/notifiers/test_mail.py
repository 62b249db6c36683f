from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from alertagent.plugins.notifiers.mail import MAX_ALERTS, address, compose
from tests.support.messages import NOON, make_alert, make_hostile, make_message

SENDER = address("AlertAgent <alerts@example.org>")
TO = [address("ops@example.org"), address("Anna <anna@example.net>")]

TEXT = """\
[FIRING] HighCPU

Severity: critical
Started: 2026-11-22T14:40:00Z
Alert: https://alertagent.example
Source: http://prom.example/graph?g0.expr=up

Description
CPU usage is over 90%

Labels
alertname: HighCPU
instance: a:9100
severity: critical
"""


def raw_of(*alerts: Any, **fields: Any) -> bytes:
    return compose(make_message(*alerts, **fields), sender=SENDER, recipients=TO, now=NOON)


def parsed(raw: bytes) -> EmailMessage:
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_a_mail_says_whose_it_is_and_that_a_program_wrote_it() -> None:
    mail = parsed(raw_of())

    assert mail["From"] == "AlertAgent <alerts@example.org>"
    assert mail["To"] == "ops@example.org, Anna <anna@example.net>"
    assert mail["Subject"] == "[FIRING] HighCPU"
    assert mail["Date"] == "Sun, 22 Nov 2026 14:40:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "multipart/alternative"


def test_the_text_and_the_html_say_the_same() -> None:
    mail = parsed(raw_of())

    assert part(mail, "plain") == TEXT
    assert "<div><b>instance:</b> a:9100</div>" in part(mail, "html")


def test_a_repetition_has_the_same_id_and_a_group_one_thread() -> None:
    first, again = parsed(raw_of(id="1")), parsed(raw_of(id="1"))
    later = parsed(raw_of(make_alert(status="resolved"), id="2"))
    other = parsed(raw_of(make_alert("DiskFull"), id="3"))

    assert first["Message-ID"] == again["Message-ID"] != later["Message-ID"]
    assert first["References"] == first["In-Reply-To"] == later["References"] != other["References"]
    assert first["Message-ID"].endswith("@example.org>")


@pytest.mark.parametrize(
    "value",
    [
        "x\r\nBcc: evil@example.org",
        "x\nBcc: evil@example.org",
        "x\rBcc: evil@example.org",
        "x\u2028Bcc: evil@example.org",
        "x\x85Bcc: evil@example.org",
        "x\x0bBcc: evil\x00",
        "=?utf-8?q?x=0d=0aBcc:_evil?=",
        "\ud800",
        "\u202e",
        "长" * 500,
        "x" * 5_000,
        "a b " * 500,
        ("长" * 10 + "x" * 10) * 20,
    ],
)
def test_no_text_becomes_a_header(value: str) -> None:
    raw = raw_of(make_alert(note="n"), title=value, content=value, severity=value)

    mail = parsed(raw)
    head = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    names = {line.partition(b":")[0].decode() for line in head if not line.startswith((b" ", b"\t"))}
    assert names == {
        *("Date", "From", "To", "Subject", "Message-ID", "In-Reply-To", "References", "Auto-Submitted"),
        *("MIME-Version", "Content-Type"),
    }
    assert mail["Subject"].startswith("[FIRING]")
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_html_shows_text_as_it_stands() -> None:
    alert = make_alert(note="<img src=x onerror=alert(1)>&", generator_url='http://prom.example/?"><script>')

    shown = part(parsed(raw_of(alert, title="<b>", content="</body>")), "html")

    assert "&lt;img src=x onerror=alert(1)&gt;&amp;" in shown
    assert '<a href="http://prom.example/?&quot;&gt;&lt;script&gt;">' in shown
    assert "<h2>[FIRING] &lt;b&gt;</h2>" in shown
    assert shown.count("</body>") == 1


@pytest.mark.parametrize("filler", ["x", "告", "\n", ".", "\r\n.\r\n", "=", "<", "😀"])
def test_however_much_there_is_every_alert_is_named(filler: str) -> None:
    message = make_hostile(MAX_ALERTS, filler)

    raw = compose(message, sender=SENDER, recipients=TO, now=NOON)

    mail = parsed(raw)
    assert len(raw) < 2_000_000
    for kind in ("plain", "html"):
        assert all(f"Alert{number:03}" in part(mail, kind) for number in range(MAX_ALERTS))


@pytest.mark.parametrize(
    ("text", "name", "spec"),
    [
        ("ops@example.org", "", "ops@example.org"),
        (" ops+a_b@localhost ", "", "ops+a_b@localhost"),
        ("Ops Team <ops@example.org>", "Ops Team", "ops@example.org"),
        ('"Ops, Team" <ops@example.org>', "Ops, Team", "ops@example.org"),
        ("运维 <ops@example.org>", "运维", "ops@example.org"),
    ],
)
def test_an_address_has_an_optional_name(text: str, name: str, spec: str) -> None:
    found = address(text)

    assert (found.display_name, found.addr_spec) == (name, spec)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ops",
        "@example.org",
        "ops@",
        "a b@example.org",
        "a@b@example.org",
        "a..b@example.org",
        ".a@example.org",
        "ops@example..org",
        "ops@-example.org",
        "ops@example.org\r\nBcc: evil@example.org",
        "Ops\r\nBcc: evil <ops@example.org>",
        "ops@example.org> SIZE=1",
        "<ops@example.org",
        "=?utf-8?q?x=0d=0aBcc:_evil?= <ops@example.org>",
        "运维@example.org",
        f"{'a' * 65}@example.org",
        f"ops@{'a' * 255}",
    ],
)
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        address(text)
