"""Secrets in a configuration: shown as masks, and masks turned back into the secrets that they stand for. Pure.

A mask is `***` and a few digits that only this cluster's key can make of the secret. So a text that was read can be
changed, reordered and sent back, and every mask still finds its own secret, wherever it stands now; a mask that
finds none is refused and never becomes the secret itself.
"""

import json
import re
from collections.abc import Iterable
from hashlib import sha256
from hmac import new as hmac

from alertagent.core.alertmanager.fields import PLACEHOLDER
from alertagent.core.alertmanager.walk import Loc, secrets
from alertagent.kernel import yaml_guard
from alertagent.kernel.yaml_guard import BadYaml, Scalar

_MASK = re.compile(r"\*{3}(?:[0-9a-f]{8})?")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
# What can stand anywhere as it is: in quotes, or without anything that could mean something.
_PORTABLE = re.compile(r"'[^\n]*'|\"[^\n]*\"|[A-Za-z0-9_/](?:[\w./@%+=&?~-]|:(?=\S))*")


def mask_of(value: str, key: bytes) -> str:
    return f"***{hmac(key, value.encode(), sha256).hexdigest()[:8]}"


def masked(text: str, key: bytes) -> str:
    """The text for people: every secret masked, every other character as it is. The text must be a valid one."""
    root = yaml_guard.load(text)
    return _replaced(
        text, [(node, f"'{mask_of(node.value, key)}'") for _, node in secrets(root) if node.value != PLACEHOLDER]
    )


def unmasked(text: str, stored: str | None, key: bytes) -> tuple[str, list[tuple[Loc, str]]]:
    """The text with the secrets of the stored one in place of their masks, and the masks that stand for none.

    A text that is not YAML comes back as it is: whoever judges it says so.
    """
    try:
        root = yaml_guard.load(text)
    except BadYaml:
        return text, []
    known = _written(stored, key) if stored is not None else {}
    replacements, unknown = [], []
    for loc, node in secrets(root):
        if not _MASK.fullmatch(node.value):
            continue
        if (written := known.get(node.value)) is not None:
            replacements.append((node, written))
        else:
            unknown.append((loc, "this mask stands for no secret that is stored here; write the secret itself"))
    return _replaced(text, replacements), unknown


def _written(text: str, key: bytes) -> dict[str, str]:
    """How the secret behind each mask is written in a text."""
    found: dict[str, str] = {}
    for _, node in secrets(yaml_guard.load(text)):
        raw = _without_properties(_slice(text, node))
        portable = raw if _PORTABLE.fullmatch(raw) else json.dumps(node.value, ensure_ascii=False)
        found.setdefault(mask_of(node.value, key), portable)
    return found


def _replaced(text: str, replacements: Iterable[tuple[Scalar, str]]) -> str:
    pieces, end = [], 0
    for node, new in replacements:
        raw = _slice(text, node)
        properties = _PROPERTIES.match(raw)
        kept = properties[0] if properties else ""
        pieces += [text[end : node.start.offset], kept, new, "\n" if raw.endswith("\n") else ""]
        end = node.end.offset
    return "".join(pieces) + text[end:]


def _slice(text: str, node: Scalar) -> str:
    return text[node.start.offset : node.end.offset]


def _without_properties(raw: str) -> str:
    """Without the anchor and the tag, which belong to the place and not to the value."""
    return _PROPERTIES.sub("", raw, count=1)
