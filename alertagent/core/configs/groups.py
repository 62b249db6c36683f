"""Which rule goes into which group of a file. Pure.

Renaming a group resets the pending alerts in it, and firing ones begin anew. So a rule's group follows as much as
can be from the rule alone, and what comes or goes beside it moves it as little as can be.

A group has one set of options: rules that want others than its first rule form a group beside it. A group of more
than LIMIT rules is divided, because its rules are evaluated in sequence: its first LIMIT rules stay, the others are
spread by their ids. Recording rules may feed the rules after them, so a group that has any is left whole.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256

from alertagent.core.clusters.model import ConfigType
from alertagent.core.rules.model import GroupOptions, Kind, Rule, RuleContent
from alertagent.kernel.durations import format_duration

LIMIT = 200

# Where ids spread evenly, hardly any part comes near LIMIT.
_IN_A_PART = LIMIT // 2

_NO_OPTIONS = GroupOptions()
_OF_PROMETHEUS = frozenset({"query_offset", "limit", "labels"})
_NOT_OF_VMALERT = frozenset({"query_offset"})


def grouped(rules: Sequence[Rule], config_type: ConfigType) -> dict[str, list[Rule]]:
    """Rules, which come by position, by the name of their group; groups in the order of their first rules."""
    taken = {rule.content.group for rule in rules}
    found: dict[str, list[Rule]] = {}
    first: dict[str, str] = {}
    for rule in rules:
        name, suffix = rule.content.group, _suffix(rule.content, config_type)
        if first.setdefault(name, suffix) != suffix:
            name = _free(name, suffix, taken)
        found.setdefault(name, []).append(rule)
    divided = {name: part for each in found.items() for name, part in _divided(*each, taken).items()}
    return dict(sorted(divided.items(), key=lambda item: (item[1][0].position, item[0])))


def _suffix(rule: RuleContent, config_type: ConfigType) -> str:
    """What a group beside another is called after: all that this type of target can be told of a group.

    What it can be told, not what it understands: a target that is upgraded must not see its groups renamed.
    """
    interval = "/default" if rule.interval is None else f"/{format_duration(rule.interval)}"
    if rule.group_options == _NO_OPTIONS:
        return interval
    document = {name: value for name, value in rule.group_options.document().items() if _concerns(name, config_type)}
    return f"{interval}-{_digest(json.dumps(document, sort_keys=True))[:8]}" if document else interval


def _concerns(option: str, config_type: ConfigType) -> bool:
    return option in _OF_PROMETHEUS if config_type is ConfigType.PROMETHEUS else option not in _NOT_OF_VMALERT


def _free(name: str, suffix: str, taken: Collection[str]) -> str:
    """The name with this suffix, repeated until no group has it by itself."""
    name += suffix
    while name in taken:
        name += suffix
    return name


def _divided(name: str, rules: list[Rule], taken: Collection[str]) -> Mapping[str, list[Rule]]:
    if len(rules) <= LIMIT or any(rule.content.kind is Kind.RECORDING for rule in rules):
        return {name: rules}
    parts = {name: rules[:LIMIT]}
    digits = _digits(len(rules) - LIMIT)
    for rule in rules[LIMIT:]:
        parts.setdefault(_free(name, f"/part-{_digest(rule.id)[:digits]}", taken), []).append(rule)
    return parts


def _digits(count: int) -> int:
    """How many hex digits of an id's digest tell the parts apart: one up to 1,600 rules, two up to 25,600."""
    digits = 1
    while count > _IN_A_PART * 16**digits:
        digits += 1
    return digits


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
