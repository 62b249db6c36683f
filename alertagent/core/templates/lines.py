"""From the text that a template made to the lines of a message. Pure.

The text may have a light structure, one mark to a line:

    # heading                 a heading
    - item                    one of a list
    **name:** text            a fact
    [text](address)           a link; several may stand on one line

Only what the template's author wrote makes a mark: what comes out of a value is text, whatever it looks like. Each
plugin then draws and escapes the lines as it does its own.
"""

import re
from collections.abc import Iterator

from alertagent.core.templates.protocol import CLOSE, OPEN
from alertagent.kernel.message import Kind, Line
from alertagent.plugins.addresses import parse_url
from alertagent.plugins.text import cut, one_line

MAX_LINES = 500
MAX_LINE = 1_500
MAX_TITLE = 1_000
MAX_URL = 500  # a longer one is refused by some providers

_MARKED = re.compile(f"{OPEN}([^{CLOSE}]*){CLOSE}")
_VALUE = f"{OPEN}[^{CLOSE}]*{CLOSE}"
_HEADING = re.compile(r"#{1,6}[ \t]+(.+)")
_ITEM = re.compile(r"[-*+][ \t]+(.+)")
_FACT = re.compile(rf"\*\*((?:{_VALUE}|[^{OPEN}*])+)\*\*(.*)")
_LINK = re.compile(rf"\[((?:{_VALUE}|[^{OPEN}\[\]])*)\]\(((?:{_VALUE}|[^{OPEN}()])*)\)")
_LINKS = re.compile(rf"(?:{_LINK.pattern}[\s|·,，、/]*)+")
_STRONG = re.compile(rf"({_VALUE})|\*\*")
_COLON = re.compile(r"\s*[:：]\s*")


def lines_of(text: str) -> tuple[Line, ...]:
    """At most MAX_LINES, each at most MAX_LINE bytes; empty ones are left out."""
    found = (line for written in _unbroken(text).split("\n") for line in _read(written.strip()))
    shown = (line for line in found if line.text or line.name)
    return tuple(line for line, _ in zip(shown, range(MAX_LINES), strict=False))


def title_of(text: str) -> str:
    """One plain line."""
    return cut(one_line(text), MAX_TITLE)


def _unbroken(text: str) -> str:
    """The same with no value on more than one line."""
    return _MARKED.sub(lambda value: value[0].replace("\n", f"{CLOSE}\n{OPEN}"), text.replace("\r\n", "\n"))


def _read(written: str) -> Iterator[Line]:
    item = _ITEM.fullmatch(written)
    inner = item[1] if item else written
    if heading := _HEADING.fullmatch(written):
        yield _line(Kind.HEADING, heading[1])
    elif _LINKS.fullmatch(inner):
        yield from (_link(text, address) for text, url in _LINK.findall(inner) if (address := one_line(url)))
    elif fact := _fact(inner):
        yield fact
    else:
        yield _line(Kind.ITEM if item else Kind.TEXT, inner)


def _fact(written: str) -> Line | None:
    """`**name:** text` or `**name**: text`; without a colon it is emphasis, which nobody draws."""
    found = _FACT.fullmatch(written)
    if found is None:
        return None
    name, rest = found[1], found[2]
    inside, behind = re.search(r"[:：]\s*$", name), _COLON.match(rest)
    if inside is None and behind is None:
        return None
    name = name[: inside.start()] if inside else name
    rest = rest if inside or behind is None else rest[behind.end() :]
    return _line(Kind.FACT, rest, name=cut(one_line(name), 200))


def _link(text: str, address: str) -> Line:
    try:
        parse_url(address)
    except ValueError:
        return _line(Kind.TEXT, text)
    if len(address) > MAX_URL:
        return _line(Kind.TEXT, text)
    return _line(Kind.LINK, text or address, url=address)


def _line(kind: Kind, written: str, *, name: str = "", url: str = "") -> Line:
    plain = _STRONG.sub(lambda found: found[1] or "", written)
    return Line(kind=kind, text=cut(one_line(plain), MAX_LINE), name=name, url=url)
