"""A notification as a mail: headers that thread it, a text and the same in HTML. Pure.

What surprises: a repetition of a message has the same Message-ID, so that mail servers can drop it; all messages of a
group refer to one message that was never sent, by which readers show them together; and Python's `email` decodes an
encoded word (`=?utf-8?q?=0d=0aBcc:_…?=`) in a header's text, line feeds included, so none may stand there.

Source: RFC 5322, section 3.6.4, for the identifications; RFC 3834, section 5, for Auto-Submitted.
"""

import hashlib
import html
import re
from collections.abc import Sequence
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from alertagent.kernel.message import Kind, Line, Message
from alertagent.plugins.notifiers.incident import incident_key
from alertagent.plugins.notifiers.outline import fit, outline, plain, title
from alertagent.plugins.text import cut, utf8_size

MAX_ALERTS = 200

_HEADING = 1_000
_SUBJECT = 200
_NAMES = 60_000
_TEXT = 200_000

_NAMED = re.compile(r'(?:"?([^"<>]{0,100}?)"?\s*<([^<>]+)>|([^<>\s]+))')
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
_SPEC = re.compile(rf"(?=.{{3,254}}$)(?=[^@]{{1,64}}@){_LOCAL}@{_DOMAIN}")


def address(text: str) -> Address:
    """Read `ops@example.org` or `Ops <ops@example.org>`. Raises ValueError; no header can be smuggled in."""
    found = _NAMED.fullmatch(text.strip())
    if found is None or not text.isprintable() or "=?" in text:
        raise ValueError("this is not an address like ops@example.org or Ops <ops@example.org>")
    name, spec = found[1] or "", found[2] or found[3]
    if not _SPEC.fullmatch(spec):
        raise ValueError("this is not an address like ops@example.org")
    try:
        return Address(display_name=name.strip(), addr_spec=spec)
    except (MessageError, ValueError):
        raise ValueError("this is not an address like ops@example.org") from None


def message_id(message: Message, sender: Address) -> str:
    """The same on every attempt at one message."""
    return f"<{hashlib.sha256(message.id.encode()).hexdigest()[:32]}@{sender.domain}>"


def compose(message: Message, *, sender: Address, recipients: Sequence[Address], now: datetime) -> bytes:
    """The mail as it goes over the wire, lines ended by CR LF and ASCII throughout."""
    thread = f"<group.{incident_key(message)[:32]}@{sender.domain}>"
    heading = cut(title(message), _HEADING)
    mail = EmailMessage(policy=SMTP)
    mail["Date"] = format_datetime(now)
    mail["From"] = sender
    mail["To"] = recipients
    mail["Subject"] = cut(heading.replace("=?", "= ?"), _SUBJECT)
    mail["Message-ID"] = message_id(message, sender)
    mail["In-Reply-To"] = thread
    mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    lines = outline(message, names=_NAMES)
    text = fit(message, lines, _TEXT, draw=plain, size=utf8_size)
    mail.set_content(f"{heading}\n\n{text}\n", cte="quoted-printable")
    mail.add_alternative(_html(message, heading, lines), subtype="html", cte="quoted-printable")
    return mail.as_bytes()


def _html(message: Message, heading: str, lines: Sequence[Line]) -> str:
    body = fit(message, lines, _TEXT, draw=_drawn, size=utf8_size)
    return (
        f'<!DOCTYPE html>\n<html lang="{message.language}"><body style="font-family: sans-serif; font-size: 14px">\n'
        f"<h2>{html.escape(heading)}</h2>\n{body}\n</body></html>\n"
    )


def _drawn(line: Line) -> str:
    text = html.escape(line.text)
    match line.kind:
        case Kind.FACT:
            return f"<div><b>{html.escape(line.name)}:</b> {text}</div>"
        case Kind.HEADING:
            return f"<h3>{text}</h3>"
        case Kind.ITEM:
            return f"<div>&bull; {text}</div>"
        case Kind.LINK:
            return f'<div><a href="{html.escape(line.url)}">{text}</a></div>'
        case Kind.TEXT:
            return f"<div>{text}</div>"
