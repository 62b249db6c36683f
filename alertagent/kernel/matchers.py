"""Alertmanager's matchers: `severity="critical"`, `team!=""`, `cluster=~"prod-.*"`.

Regular expressions are RE2 (a pattern that anyone may write must not be able to stall the process) and match
the whole value. A label that an alert does not have counts as the empty string, as in Alertmanager.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Self

import re2

from alertagent.kernel.labels import Labels

MAX_PATTERN = 1024

_BARE_NAME = re.compile(r"""[^\s=!~"'`{},\\]+""")
_MATCHER = re.compile(
    r"""\s*(?P<name>[^\s=!~"'{},]+|"(?:[^"\\]|\\.)+")\s*(?P<operator>=~|!~|!=|=)\s*"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"|[^"'{},\s]*)\s*"""
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", '"': '"', "\\": "\\"}


class Operator(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    MATCH = "=~"
    NOT_MATCH = "!~"

    @property
    def is_regex(self) -> bool:
        return "~" in self

    @property
    def is_negative(self) -> bool:
        return "!" in self


@dataclass(frozen=True)
class Matcher:
    """One condition on one label."""

    name: str
    operator: Operator
    value: str

    max_pattern: ClassVar[int] = MAX_PATTERN

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one of this kind. Raises ValueError with the reason."""
        match = _MATCHER.fullmatch(text)
        if match is None:
            raise ValueError(f'not a matcher: {text[:80]!r}; write it as name="value", with =, !=, =~ or !~')
        return cls(_unquote(match["name"]), Operator(match["operator"]), _unquote(match["value"]))

    def __post_init__(self) -> None:
        if self.operator.is_regex:
            _ = self._pattern

    @cached_property
    def _pattern(self) -> Any:
        return compile_pattern(self.value, self.max_pattern)

    def matches(self, labels: Labels) -> bool:
        value = labels.get(self.name, "")
        hit = self._pattern.fullmatch(value) is not None if self.operator.is_regex else value == self.value
        return hit != self.operator.is_negative

    def __str__(self) -> str:
        return written(self.name, self.operator, self.value)


def compile_pattern(pattern: str, max_length: int = MAX_PATTERN) -> Any:
    """Compile an RE2 pattern. Raises ValueError: look-arounds and back-references do not exist in RE2."""
    if len(pattern) > max_length:
        raise ValueError(f"regular expression longer than {max_length} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "not an RE2 expression"
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"bad regular expression {pattern!r}: {reason}") from error


def parse_matcher(text: str) -> Matcher:
    """Read one matcher. Raises ValueError with the reason."""
    return Matcher.parse(text)


def written(name: str, operator: Operator, value: str) -> str:
    """How a matcher is written."""
    return f"{name if _BARE_NAME.fullmatch(name) else _quote(name)}{operator}{_quote(value)}"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _unquote(text: str) -> str:
    if not text.startswith('"'):
        return text
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), text[1:-1])
