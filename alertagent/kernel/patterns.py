"""What can be read off an expression without running it. Pure.

Expressions that people write are mostly lists of names, `db-1|db-2`, or names that begin or end alike, `prod-.*` and
`.*:9100`. They are meant for whole values, so that anchors around them say nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

# Groups multiply, and lie within each other. What has more is not taken for plain.
MAX_PRODUCTS = 32
MAX_GROUPS = 20

# One that stands for itself: `a`, `\.` or `[.]`.
_CHARACTER = re.compile(r"(?P<plain>[\w\-:/ @%,=#&;~])|\\(?P<escaped>[!-/:-@\[-`{-~])|\[(?P<alone>[^\\^\[\]])\]")
_QUANTIFIERS = frozenset("*+?{")


class Gap(Enum):
    """What may stand between texts."""

    ANYTHING = ".*"
    SOMETHING = ".+"
    ONE = "."


Parts = tuple[str | Gap, ...]
"""What follows each other in a value; no text follows a text."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A value that fits is as one of `alternatives` says, or, unless that `is_whole`, begins so as others may, too."""

    alternatives: Sequence[Parts]
    is_whole: bool

    @property
    def is_telling(self) -> bool:
        """Whether some values cannot fit by what is known."""
        return all(any(isinstance(part, str) for part in parts) for parts in self.alternatives)

    @property
    def values(self) -> Sequence[str]:
        """The values that fit; none where they are not a mere list."""
        if not self.is_whole or any(isinstance(part, Gap) for parts in self.alternatives for part in parts):
            return ()
        return tuple(dict.fromkeys(map(_beginning, self.alternatives)))

    @property
    def prefix(self) -> str:
        """The text with which all values begin that fit."""
        return _beginning(self.alternatives[0]) if len(self.alternatives) == 1 else ""

    @property
    def inner(self) -> str:
        """The longest text that all values have behind their beginning that fit."""
        parts = self.alternatives[0][1:] if len(self.alternatives) == 1 else ()
        return max((part for part in parts if isinstance(part, str)), key=len, default="")


_NOTHING = Reading(((),), is_whole=False)


def read_pattern(pattern: str) -> Reading:
    """Read a valid RE2 expression as far as it is plain."""
    if pattern.count("(") > MAX_GROUPS:
        return _NOTHING
    text = pattern.removeprefix("^")
    alternatives, rest = _alternatives(text.removesuffix("$"))
    if rest:
        alternatives, rest = _alternatives(text)
    # Another alternative may come behind what is not plain.
    return _NOTHING if "|" in rest else Reading(alternatives, is_whole=not rest)


def _alternatives(pattern: str) -> tuple[Sequence[Parts], str]:
    """What is plain, with all alternatives that come before what is not, and the rest of the pattern."""
    found, rest = _sequences(pattern)
    while rest.startswith("|"):
        others, rest = _sequences(rest[1:])
        found = [*found, *others]
    return found, rest


def _sequences(pattern: str) -> tuple[Sequence[Parts], str]:
    """The same up to the next bar outside of a group."""
    found: Sequence[Parts] = [()]
    rest = pattern
    while True:
        following, after = _next(rest)
        is_wide = len(found) > 1 and len(following) > 1 and len(found) * len(following) > MAX_PRODUCTS
        if not following or is_wide:
            return found, rest
        found, rest = [_joined(one, other) for one in found for other in following], after


def _next(pattern: str) -> tuple[Sequence[Parts], str]:
    """What the pattern begins with, in all its alternatives; none where that is not plain."""
    if pattern.startswith("("):
        found, rest = _alternatives(pattern[1:].removeprefix("?:"))
        is_plain = rest.startswith(")") and rest[1:2] not in _QUANTIFIERS
        return (found, rest[1:]) if is_plain else ((), pattern)
    for gap in Gap:
        if pattern.startswith(gap.value):
            rest = pattern.removeprefix(gap.value)
            is_repeated = gap is Gap.ONE and rest[:1] in _QUANTIFIERS
            return ((), pattern) if is_repeated else ([(gap,)], rest if gap is Gap.ONE else rest.removeprefix("?"))
    text, rest = _text(pattern)
    return ([(text,)] if text else (), rest)


def _text(pattern: str) -> tuple[str, str]:
    """A text without what is repeated behind it, because that may be missing."""
    text, at, last = "", 0, 0
    while found := _CHARACTER.match(pattern, at):
        text, last, at = text + (found["plain"] or found["escaped"] or found["alone"]), at, found.end()
    if text and pattern[at : at + 1] in _QUANTIFIERS:
        return text[:-1], pattern[last:]
    return text, pattern[at:]


def _joined(one: Parts, other: Parts) -> Parts:
    if one and other and isinstance(one[-1], str) and isinstance(other[0], str):
        return (*one[:-1], one[-1] + other[0], *other[1:])
    return one + other


def _beginning(parts: Parts) -> str:
    return parts[0] if parts and isinstance(parts[0], str) else ""
