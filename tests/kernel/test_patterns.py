"""What can be read off an expression: never that a value that fits does not."""

import re

import pytest
from hypothesis import given

from alertagent.kernel.matchers import compile_pattern
from alertagent.kernel.patterns import MAX_GROUPS, Gap, Parts, read_pattern
from tests.support.expressions import EXPRESSIONS, VALUES

ANYTHING, SOMETHING, ONE = Gap


@pytest.mark.parametrize(
    ("pattern", "alternatives"),
    [
        ("", [()]),
        ("db-1", [("db-1",)]),
        ("db-1|db-2", [("db-1",), ("db-2",)]),
        ("^(?:北京|上海)$", [("北京",), ("上海",)]),
        ("prod-.*", [("prod-", ANYTHING)]),
        (".*:9100", [(ANYTHING, ":9100")]),
        (".+-db-.*?", [(SOMETHING, "-db-", ANYTHING)]),
        (r"a\.b.c", [("a.b", ONE, "c")]),
        (r"a\$", [("a$",)]),
        ("10[.]0[.].*", [("10.0.", ANYTHING)]),
        ("Alert(1|2).*", [("Alert1", ANYTHING), ("Alert2", ANYTHING)]),
        ("((a|b)c|)d", [("acd",), ("bcd",), ("d",)]),
        ("|".join("abc" * 50), [(letter,) for letter in "abc" * 50]),
    ],
)
def test_a_plain_expression_is_read_whole(pattern: str, alternatives: list[Parts]) -> None:
    reading = read_pattern(pattern)

    assert (list(reading.alternatives), reading.is_whole) == (alternatives, True)


@pytest.mark.parametrize(
    ("pattern", "alternatives", "is_telling"),
    [
        ("prod-[0-9]+", [("prod-",)], True),
        (".*-db-[0-9]+", [(ANYTHING, "-db-")], True),
        ("(a|b)-[0-9]+", [("a-",), ("b-",)], True),
        ("a|b[0-9]", [("a",), ("b",)], True),
        ("ab?c", [("a",)], True),
        (r"ab\.*", [("ab",)], True),
        ("a.{3}", [("a",)], True),
        ("a(b)*c", [("a",)], True),
        ("[0-9]|b", [()], False),
        ("(a|b[0-9])c", [()], False),
        ("(a|)b?", [("a",), ()], False),
        ("(?i)prod", [()], False),
        (r"\d+", [()], False),
        (".*[0-9]", [(ANYTHING,)], False),
        ("(a|b)" * 6, [()], False),
        ("(" * (MAX_GROUPS + 1) + "a" + ")" * (MAX_GROUPS + 1), [()], False),
    ],
)
def test_of_another_its_beginning_is_read(pattern: str, alternatives: list[Parts], is_telling: bool) -> None:
    reading = read_pattern(pattern)

    assert (list(reading.alternatives), reading.is_whole, reading.is_telling) == (alternatives, False, is_telling)


@given(pattern=EXPRESSIONS)
def test_what_is_read_is_true_of_what_fits(pattern: str) -> None:
    reading, expression = read_pattern(pattern), compile_pattern(pattern)
    alternatives = "|".join(map(_spelled, reading.alternatives))
    read = re.compile(f"(?:{alternatives}){'' if reading.is_whole else '.*'}", re.DOTALL)

    for value in VALUES:
        fits = expression.fullmatch(value) is not None
        assert read.fullmatch(value) or not fits, value
        assert fits or not reading.is_whole or not read.fullmatch(value), value
        assert not fits or value.startswith(reading.prefix), value
        assert not fits or not reading.values or value in reading.values, value


def _spelled(parts: Parts) -> str:
    return "".join(part.value if isinstance(part, Gap) else re.escape(part) for part in parts)
