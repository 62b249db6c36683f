"""What a configuration of each type must at least be, looked at before any tool or target is asked. Pure.

This is no second promtool: what it refuses can run nowhere. It is all that stands before the target where the tool
is missing, and it knows what no tool checks: that there is one document, and that the marker comes last.
"""

from collections import Counter

from alertagent.core.configs import marker
from alertagent.sidecar.content import Content
from alertagent.sidecar.model import ErrorClass, Rejected
from alertagent.sidecar.tree import Malformed, Tree, parsed


def look_at_rules(content: Content) -> None:
    """Raises Rejected."""
    root = _mapping(_document(content.main), "the file")
    if set(root) != {"groups"}:
        raise _bad(f"a rule file holds groups and nothing else, this one {', '.join(sorted(root)) or 'nothing'}")
    names = [_group(group, number) for number, group in enumerate(_list(root["groups"], "groups"), 1)]
    for name, count in Counter(names).items():
        if count > 1:
            raise _bad(f'there are {count} groups named "{name}"')
    if names[-1:] != [marker.GROUP]:
        raise _bad(f"the last group is not {marker.GROUP}")


def look_at_alertmanager(content: Content) -> None:
    """Raises Rejected."""
    root = _mapping(_document(content.main), "the file")
    for key in ("route", "receivers"):
        if key not in root:
            raise _bad(f"an Alertmanager configuration needs {key}")
    names = {_text(receiver, "name") for receiver in _list(root["receivers"], "receivers")}
    first = _text(_mapping(root["route"], "route"), "receiver")
    if first not in names:
        raise _bad(f'the route names the receiver "{first}", which is not defined')
    if content.missing:
        # Alertmanager would load it without a word and fail when it sends.
        raise _bad(f"it names {content.missing[0]}, which did not come with it")


def _group(group: Tree, number: int) -> str:
    name = _text(group, "name")
    if not name:
        raise _bad(f"group {number} has no name")
    for place, rule in enumerate(_list(_mapping(group, name).get("rules", []), f'group "{name}": rules'), 1):
        _rule(rule, f'group "{name}", rule {place}')
    return name


def _rule(rule: Tree, place: str) -> None:
    names = [_text(rule, kind) for kind in ("alert", "record") if kind in _mapping(rule, place)]
    if len(names) != 1 or not names[0]:
        raise _bad(f"{place} must have one name, as alert or as record")
    if not _text(rule, "expr").strip():
        raise _bad(f'{place}, "{names[0]}", has no expression')


def _document(main: bytes) -> Tree:
    try:
        return parsed(main)
    except Malformed as error:
        raise _bad(str(error)) from error


def _mapping(tree: Tree, place: str) -> dict[str, Tree]:
    if not isinstance(tree, dict):
        raise _bad(f"{place} is no mapping")
    return tree


def _list(tree: Tree, place: str) -> list[Tree]:
    if not isinstance(tree, list):
        raise _bad(f"{place} is no list")
    return tree


def _text(tree: Tree, key: str) -> str:
    value = tree.get(key, "") if isinstance(tree, dict) else ""
    return value if isinstance(value, str) else ""


def _bad(words: str) -> Rejected:
    return Rejected(f"the configuration cannot be right: {words}", ErrorClass.CHECK)
