"""Label text is whatever somebody put there: what makes it fit to be shown and short enough to be sent. Pure."""

import re
from collections.abc import Callable
from itertools import accumulate

import orjson

# Controls (a terminal obeys them), bidirectional overrides (they reorder what a reader sees) and lone
# surrogates (they cannot be encoded).
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_MOST = 6


def printable(text: str) -> str:
    """The text without anything that a terminal or a chat window would obey; tabs and line feeds stay."""
    return _UNPRINTABLE.sub("", text)


def one_line(text: str) -> str:
    """The same, with every run of white space made one blank."""
    if text.isprintable() and "  " not in text and text.strip() == text:  # as nearly all of them are
        return text
    return " ".join(printable(text).split())


def utf8_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def utf16_size(text: str) -> int:
    """As providers count that are written in JavaScript or Java: an emoji is two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def json_size(text: str) -> int:
    """The bytes that the text takes inside a JSON string, where a line feed or a backslash takes two."""
    return len(orjson.dumps(text)) - 2


def fits(text: str, limit: int, size: Callable[[str], int]) -> bool:
    """Whether the size is within the limit; what is surely short enough is not measured.

    No `size` may count more than six for a character, which is what JSON makes of a control character.
    """
    return len(text) * _MOST <= limit or size(text) <= limit


def cut(text: str, limit: int, *, size: Callable[[str], int] = utf8_size, mark: str = "…") -> str:
    """The text if it fits into `limit` bytes, else as many whole characters of it as fit, followed by `mark`."""
    if fits(text, limit, size):
        return text
    room = limit - size(mark)
    head = text[: max(room, 0)]  # a character has at least one byte
    return head[: sum(total <= room for total in accumulate(map(size, head)))] + mark
