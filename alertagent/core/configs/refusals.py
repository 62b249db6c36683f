"""Which rules a checker means when it refuses a file. Pure.

promtool names the group, the number and the name of a rule, or the line of a field that it does not know; vmalert
names the group and the rule. Only what leads to one rule and no other counts.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

# Each step back takes at least one rule out of a file; a checker that wants more than these out has another trouble.
_ALWAYS_BEARABLE = 20
_BEARABLE_PART = 4

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_BY_NUMBER = re.compile(rf"group {_QUOTED}, rule (\d+), {_QUOTED}: ((?:(?! the file: ).)+)")
_BY_LINE = re.compile(r"\bline (\d+): ((?:(?! line \d+: ).)+)")
_BY_NAME = re.compile(rf"invalid group {_QUOTED}.*?(invalid .*?\brule\s+{_QUOTED}(?:\.{_QUOTED})?: .+)")

_GROUP_BEGINS = re.compile(rb"- name: ")
_RULE_BEGINS = re.compile(rb"  - (?:alert|record): ")


def named(message: str, body: bytes, layout: Mapping[str, Sequence[str]], names: Mapping[str, str]) -> dict[str, str]:
    """What the message says of which rule. `names` are those of the alerts and recorded metrics, by rule."""
    found: dict[str, str] = {}
    for id, reason in [
        *_by_number(message, layout),
        *_by_name(message, layout, names),
        *_by_line(message, body, layout),
    ]:
        found.setdefault(id, reason.strip()[:1000])
    return found


def bearable(rules: int) -> int:
    """How many of so many rules may be held back: twenty, or a quarter of them."""
    return max(_ALWAYS_BEARABLE, rules // _BEARABLE_PART)


def _by_number(message: str, layout: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for match in _BY_NUMBER.finditer(message):
        members = layout.get(_unquoted(match[1]), ())
        number = int(match[2])
        if 1 <= number <= len(members):
            yield members[number - 1], match[4]


def _by_name(message: str, layout: Mapping[str, Sequence[str]], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for match in _BY_NAME.finditer(message):
        wanted = _unquoted(match[4] or match[3])
        fitting = [id for id in layout.get(_unquoted(match[1]), ()) if names.get(id) == wanted]
        if len(fitting) == 1:
            yield fitting[0], match[2]


def _by_line(message: str, body: bytes, layout: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    numbers = {int(match[1]): match[2] for match in _BY_LINE.finditer(message)}
    if not numbers:
        return
    rules = iter([id for members in layout.values() for id in members])
    rule: str | None = None
    for number, line in enumerate(body.split(b"\n"), 1):
        if _GROUP_BEGINS.match(line):
            rule = None
        elif _RULE_BEGINS.match(line):
            rule = next(rules, None)
        if number in numbers and rule is not None:
            yield rule, numbers[number]


def _unquoted(text: str) -> str:
    """Go's quotes are those of JSON, but for rare escapes; a text that has such an escape is no name of ours."""
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text
