"""What may be shown of a task's content. Pure.

Tasks carry ids and no secrets; but anybody's bytes may lie among the dead letters, and errors repeat what others said.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

MASK = "***"
MAX_SHOWN = 64 * 1024
MAX_DEPTH = 40

_SECRET_NAME = re.compile(
    r"(?i)secret|token|passw|pwd|api_?-?key|private_?-?key|authorization|cookie|credential|webhook_url"
)
# In a text: what follows a telling name, an URL's login, one of our own tokens.
_SECRET_TEXTS = (
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[\w.~+/=-]{16,}"), rf"\1\2{MASK}"),
    (
        re.compile(
            r"(?i)(?<![a-z])((?:secret|token|passwd|password|pwd|api_?-?key|sign)[\"']?\s*[=:]\s*[\"']?)[^\s&\"',;]+"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"(://)[^\s/@]+@"), rf"\1{MASK}@"),
    (re.compile(r"\baa_[a-z]+_[a-z2-7]{8}_\w+"), MASK),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Bytes fit for reading. `text` is None where they are no UTF-8; `size` is how many there are.

    `redacted`: secrets were masked; `cut`: there is more than is shown.
    """

    base64: str
    text: str | None
    size: int
    redacted: bool
    cut: bool


def redacted(value: Any, depth: int = 0) -> Any:
    """A JSON value with a mask in place of whatever has a secret's name or looks like one."""
    if depth > MAX_DEPTH:
        return MASK
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, Mapping):
        return {
            name: MASK if _SECRET_NAME.search(name) and each else redacted(each, depth + 1)
            for name, each in value.items()
        }
    return [redacted(each, depth + 1) for each in value] if isinstance(value, list | tuple) else value


def redacted_text(text: str) -> str:
    for pattern, mask in _SECRET_TEXTS:
        text = pattern.sub(mask, text)
    return text


def shown(raw: bytes) -> Shown:
    """What may be shown of bytes that should be a task's envelope and may be anything."""
    readable = _readable(raw)
    kept = raw if readable is None else readable
    cut = kept[:MAX_SHOWN]
    return Shown(
        base64=base64.b64encode(cut).decode(),
        text=None if readable is None else cut.decode("utf-8", "ignore"),
        size=len(raw),
        redacted=kept != raw,
        cut=len(kept) > MAX_SHOWN,
    )


def _readable(raw: bytes) -> bytes | None:
    """The text in these bytes without secrets, None where there is none; unchanged where it holds none."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    try:
        document = orjson.loads(raw)
    except ValueError:
        return redacted_text(text).encode()
    clean = redacted(document)
    return raw if clean == document else orjson.dumps(clean)
