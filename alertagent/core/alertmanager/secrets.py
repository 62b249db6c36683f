"""Secrets in a configuration: shown as masks, and masks turned back into the secrets that they stand for. Pure.

A mask is `***` and a few digits that only this cluster's key can make of the secret. So a text that was read can be
changed, reordered and sent back, and every mask still finds its own secret, wherever it stands now; a mask that
finds none is refused and never becomes the secret itself.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import new as hmac

from alertagent.core.alertmanager.fields import PLACEHOLDER
from alertagent.core.alertmanager.walk import Loc, secrets
from alertagent.kernel import yaml_guard
from alertagent.kernel.yaml_guard import BadYaml, Scalar

_UNKNOWN = "this mask stands for no secret that is stored here; write the secret itself"
_MASK = re.compile(r"\*{3}(?:[0-9a-f]{8})?")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")


@dataclass(frozen=True, slots=True)
class _Secret:
    """A secret, and how it is written in the text that holds it."""

    value: str
    written: str

    @property
    def quoted(self) -> str:
        return json.dumps(self.value, ensure_ascii=False)


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
    known = _secrets_of(stored, key) if stored is not None else {}
    masks = [(loc, node) for loc, node in secrets(root) if _MASK.fullmatch(node.value)]
    found = [(loc, node, known[node.value]) for loc, node in masks if node.value in known]
    unknown = [(loc, _UNKNOWN) for loc, node in masks if node.value not in known]
    wanted = {loc: secret.value for loc, _, secret in found}
    restored = _replaced(text, [(node, secret.written) for _, node, secret in found])
    if not _holds(restored, wanted):
        restored = _replaced(text, [(node, secret.quoted) for _, node, secret in found])
    return restored, unknown


def _secrets_of(text: str, key: bytes) -> dict[str, _Secret]:
    """The secrets of a text by their masks."""
    return {
        mask_of(node.value, key): _Secret(node.value, _PROPERTIES.sub("", _slice(text, node), count=1).rstrip("\n"))
        for _, node in secrets(yaml_guard.load(text))
    }


def _holds(text: str, wanted: Mapping[Loc, str]) -> bool:
    """Whether what was written elsewhere, perhaps in another style, still means the same here."""
    try:
        root = yaml_guard.load(text)
    except BadYaml:
        return False
    nodes = ((yaml_guard.find(root, loc), value) for loc, value in wanted.items())
    return all(isinstance(node, Scalar) and node.value == value for node, value in nodes)


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
