"""What a matcher demands of a label's value, as far as can be read off it. Pure.

Expressions that people write are mostly lists of names, `db-1|db-2`, or names that begin alike, `prod-.*`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alertagent.kernel.matchers import Matcher, Operator

_PLAIN = frozenset("_-:/ @%,=#&;~")
_QUANTIFIERS = frozenset("*+?{")


@dataclass(frozen=True, slots=True)
class Demand:
    """The value of `matcher.name` is one of `values`, or else begins with `prefix`; it is never empty."""

    matcher: Matcher
    values: Sequence[str]
    prefix: str = ""


def demand_of(matcher: Matcher) -> Demand | None:
    """None where an alert without the label fits, or whatever is not one value."""
    if matcher.operator.is_negative or matcher.matches({}):
        return None
    if matcher.operator is Operator.EQUAL:
        return Demand(matcher, (matcher.value,))
    values = _alternatives(matcher.value)
    return Demand(matcher, values, "" if values else _prefix(matcher.value))


def _alternatives(pattern: str) -> Sequence[str]:
    """The texts between the bars, if there is nothing else; matchers match whole values, so anchors say nothing."""
    text = pattern.removeprefix("^").removesuffix("$")
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1].removeprefix("?:")
    values = []
    for part in text.split("|"):
        value, rest = _literal(part)
        if rest:
            return ()
        values.append(value)
    return tuple(dict.fromkeys(values))


def _prefix(pattern: str) -> str:
    if "|" in pattern:
        return ""
    value, rest = _literal(pattern.removeprefix("^"))
    # What is repeated may be missing.
    return value[:-1] if rest[:1] in _QUANTIFIERS else value


def _literal(pattern: str) -> tuple[str, str]:
    """The text that a pattern begins with, and what comes after it."""
    value, at = "", 0
    while at < len(pattern):
        character, size = pattern[at], 1
        if character == "\\":
            character, size = pattern[at + 1 : at + 2], 2
            is_plain = character.isascii() and bool(character) and not character.isalnum()
        else:
            is_plain = character.isalnum() or character in _PLAIN
        if not is_plain:
            break
        value, at = value + character, at + size
    return value, pattern[at:]
