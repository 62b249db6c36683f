"""The routing document as values and as text: what is stored, shown and compared. Pure."""

import re
from collections.abc import Mapping
from datetime import timedelta
from difflib import unified_diff
from typing import Any

import orjson
import yaml

from alertagent.core.alertmanager.document import Tree
from alertagent.core.alertmanager.fields import Section
from alertagent.kernel.durations import format_duration

_NOT_ASCII = re.compile("[\x7f-\U0010ffff]")

# The one in C is ten times faster.
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def escaped(value: Any) -> str:
    """JSON that YAML reads alike: beyond ASCII, YAML has line breaks and forbidden characters of its own."""
    return _NOT_ASCII.sub(lambda found: f"\\U{ord(found[0]):08x}", orjson.dumps(value).decode())


def values_of(tree: Tree) -> dict[str, Any]:
    """What is given, under Alertmanager's names. Intervals under their older name join those under the newer."""
    values = _values(tree)
    if intervals := [*(values.pop("mute_time_intervals", ())), *(values.get("time_intervals", ()))]:
        values["time_intervals"] = intervals
    return values


def _values(section: Section) -> dict[str, Any]:
    given = ((key, getattr(section, name)) for key, name in section.keys().items())
    return {key: _plain(value) for key, value in given if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return _values(value)
    if isinstance(value, Mapping):
        # A label that must equal nothing at all.
        return {name: item or "" for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return format_duration(value) if isinstance(value, timedelta) else value


def yaml_of(tree: Tree) -> str:
    return yaml_text(values_of(tree))


def yaml_text(values: Mapping[str, Any] | None) -> str:
    """The one text of these values; empty where there are none."""
    if not values:
        return ""
    text: str = yaml.dump(dict(values), Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120)
    return text


def diff(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """A unified diff of both as YAML; empty where nothing differs."""
    lines = unified_diff(
        yaml_text(before).splitlines(keepends=True),
        yaml_text(after).splitlines(keepends=True),
        "a/routing.yml" if before else "/dev/null",
        "b/routing.yml" if after else "/dev/null",
    )
    return "".join(lines)
