"""What the scalars of a rule file mean to the servers that read it. Pure.

Where a text is wanted, Prometheus and vmalert take whatever is written (`severity: 1`) and null as empty. Numbers
and truths must stand without quotes. vmalert has a grammar of durations of its own.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from typing import Any

from alertagent.core.rules.model import Dialect
from alertagent.kernel.durations import parse_duration
from alertagent.kernel.yaml_guard import Mapping, Node, Scalar, Sequence

Read = Callable[[Node], Any]

_TRUE = frozenset({"true", "yes", "on", "y"})
_FALSE = frozenset({"false", "no", "off", "n"})
# As their library for YAML reads them, `0x1f`, `0o17` and `0b11`; to it `017` is 15 as well.
_INTEGER = re.compile(r"([-+]?)(0x[0-9a-f]{1,15}|0o?[0-7]{1,20}|0b[01]{1,60}|[0-9]{1,18})", re.IGNORECASE)
_OLD_OCTAL = re.compile(r"0[0-7]+")
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_MILLISECONDS |= {"d": 86_400_000, "w": 7 * 86_400_000, "y": 365 * 86_400_000}
_METRICSQL_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|[smhdwy])", re.IGNORECASE)
_METRICSQL_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_MAX_LENGTH = 100
_MAX_MILLISECONDS = (2**63 - 1) // 1_000_000


class Misread(ValueError):
    """A value is not what its field wants. `node` is where to look."""

    def __init__(self, message: str, node: Node) -> None:
        super().__init__(message)
        self.node = node


def read_text(node: Node) -> str:
    if not isinstance(node, Scalar):
        raise Misread("must be a text", node)
    return "" if node.is_null else node.value


def read_texts(node: Node) -> dict[str, str]:
    """Labels and the like: a mapping of texts."""
    if isinstance(node, Scalar) and node.is_null:
        return {}
    if not isinstance(node, Mapping):
        raise Misread("must be a mapping of names to texts", node)
    return {name: read_text(entry.value) for name, entry in node.entries.items()}


def read_list(node: Node) -> tuple[str, ...]:
    if isinstance(node, Scalar) and node.is_null:
        return ()
    if not isinstance(node, Sequence):
        raise Misread("must be a list of texts", node)
    return tuple(read_text(item) for item in node.items)


def read_lists(node: Node) -> dict[str, tuple[str, ...]]:
    if isinstance(node, Scalar) and node.is_null:
        return {}
    if not isinstance(node, Mapping):
        raise Misread("must be a mapping of names to lists of texts", node)
    return {name: read_list(entry.value) for name, entry in node.entries.items()}


def read_integer(node: Node) -> int | None:
    if isinstance(node, Scalar) and node.is_null:
        return None
    text = node.value if isinstance(node, Scalar) and node.is_plain else ""
    number = None if text.startswith("_") else _INTEGER.fullmatch(text.replace("_", ""))
    if number is None:
        raise Misread("must be a whole number", node)
    sign, digits = number.groups()
    base = 8 if _OLD_OCTAL.fullmatch(digits) else 0 if digits[1:2].isalpha() else 10
    return int(sign + digits, base)


def read_bool(node: Node) -> bool | None:
    if isinstance(node, Scalar) and node.is_null:
        return None
    word = node.value.lower() if isinstance(node, Scalar) and node.is_plain else ""
    if word not in _TRUE and word not in _FALSE:
        raise Misread("must be true or false", node)
    return word in _TRUE


def duration_reader(dialect: Dialect) -> Callable[[Node], timedelta | None]:
    """A reader of durations as the target of this dialect writes them; null is none."""
    parse = parse_duration if dialect is Dialect.PROMQL else parse_metricsql_duration

    def read(node: Node) -> timedelta | None:
        if isinstance(node, Scalar) and node.is_null:
            return None
        try:
            return parse(read_text(node))
        except Misread:
            raise
        except ValueError as error:
            raise Misread(str(error), node) from error

    return read


def parse_metricsql_duration(text: str) -> timedelta:
    """`1.5h`, `12h1d`, or a number of seconds. Raises ValueError; also where less than a millisecond would be lost."""
    number = _METRICSQL_NUMBER.fullmatch(text)
    parts = [(number[0], "s")] if number else [(part[1], part[2].lower()) for part in _METRICSQL_PART.finditer(text)]
    whole = number is not None or "".join(count + unit for count, unit in parts) == text.lower()
    if not parts or not whole or len(text) > _MAX_LENGTH:
        raise ValueError(f"not a duration: {text[:40]!r}; write it as 30s, 5m or 1d12h")
    milliseconds = sum((Fraction(count) * _MILLISECONDS[unit] for count, unit in parts), Fraction())
    if milliseconds.denominator != 1:
        raise ValueError(f"{text!r} is no whole number of milliseconds")
    if milliseconds > _MAX_MILLISECONDS:
        raise ValueError(f"duration out of range: {text!r}")
    return timedelta(milliseconds=int(milliseconds))
