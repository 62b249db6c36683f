"""What differs between two versions of a rule: field by field, and as a text to read. Pure."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import yaml

Document = Mapping[str, Any]

_ABSENT: tuple[object, ...] = (None, "", {}, (), [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field. `path` walks into the rule: `("labels", "team")`; what is absent is None."""

    path: tuple[str, ...]
    before: Any
    after: Any


def differences(before: Document, after: Document, path: tuple[str, ...] = ()) -> Iterator[Difference]:
    """The fields that differ, in the order in which a rule has them. Maps are compared key by key."""
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if isinstance(old or new, Mapping) and isinstance(new or old, Mapping):
            yield from differences(old or {}, new or {}, (*path, name))
        elif old != new:
            yield Difference(path=(*path, name), before=old, after=new)


def unified(before: Document, after: Document, from_name: str, to_name: str) -> str:
    """A unified diff of the two as YAML; empty when they are the same."""
    old, new = (as_yaml(document).splitlines(keepends=True) for document in (before, after))
    return "".join(difflib.unified_diff(old, new, from_name, to_name))


def as_yaml(document: Document) -> str:
    """The document as a person would write it: without what is not set, long texts as blocks."""
    said = {name: value for name, value in document.items() if value not in _ABSENT}
    text: str = yaml.dump(said, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return text if said else ""


class _Dumper(yaml.SafeDumper):
    """Knows texts of several lines, and enumerations."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
_Dumper.add_multi_representer(Enum, lambda dumper, value: _text(dumper, str(value)))
