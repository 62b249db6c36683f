"""Scalars as a person would write them in YAML, and as every YAML reader reads them back. Pure.

Prometheus reads YAML 1.1 words and numbers of its own; so anything that could be taken for something else than
a text is quoted.
"""

import json
import re
from functools import lru_cache

_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def scalar(text: str, indent: int) -> str:
    """One text as a value.

    `indent` is the column, in spaces, at which a block's lines go: two more than that of the mapping around it.
    """
    has_lines = "\n" in text
    seen = text.replace("\n", "") if has_lines else text
    if not seen.isprintable() and (_UNPRINTABLE.search(seen) or "\t" in seen):
        return _quoted(text)
    if has_lines:
        return _block(text, indent)
    return text if _is_plain(text) else "'" + text.replace("'", "''") + "'"


@lru_cache(maxsize=4096)
def key(text: str) -> str:
    """One text as a key, which stands on one line; a reader takes none over 1024 characters.

    Names are few and come again and again.
    """
    return _quoted(text) if "\n" in text else scalar(text, 0)


def comment(text: str, indent: int) -> str:
    """A text as lines of comment; only what YAML forbids even there is left out."""
    lines = [_UNPRINTABLE.sub("", line) for line in _LINE_BREAK.split(text)]
    return "".join(" " * indent + f"# {line}".rstrip() + "\n" for line in lines)


def _is_plain(text: str) -> bool:
    return (
        text[:1] in _FIRST
        and text.isascii()
        and text[-1] not in " :"
        and ": " not in text
        and " #" not in text
        and text.lower() not in _WORDS
    )


def _block(text: str, indent: int) -> str:
    """A literal block keeps line breaks as they are; only where it can hold the text without loss."""
    if text[0] == "\n" or " \n" in text or text.endswith((" ", "\n\n")):
        return _quoted(text)
    margin = "\n" + " " * indent
    width = "2" if text[0] == " " else ""
    chomping = "" if text.endswith("\n") else "-"
    lines = text.removesuffix("\n").split("\n")
    return f"|{width}{chomping}" + "".join([margin + line if line else "\n" for line in lines])


def _quoted(text: str) -> str:
    """JSON's string is YAML's too, but for the characters that JSON may show and YAML may not."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
