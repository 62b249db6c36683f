"""What is taken out of an expression changes nothing of what the parser says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.rules.promql import _parse
from alertagent.core.rules.selectors import reduce


@pytest.mark.parametrize(
    ("expression", "reduced"),
    [
        ('up{job="a", b!~"c.*" ,} > 95', "up > 1"),
        ("rate(foo_total{a=~`\\d+`}[5m]) * 0.25", "rate(foo_total[5m]) * 0.25"),
        ("a:b:c { x = 'y' } > 12.5", "a:b:c > 1.5"),
        ('{__name__="up"}', '{__name__="up"}'),
        ('up{__name__="x"}', 'up{__name__="x"}'),
        ('up{a="\\x41"}', 'up{a="\\x41"}'),
        ('label_replace(up{a="b"}, "c", "x{d=1}", "e", "(.*)")', 'label_replace(up, "c", "x{d=1}", "e", "(.*)")'),
        ('up # {a="b"} 5', 'up # {a="b"} 5'),
        ('5m{a="b"}', '5m{a="b"}'),
        ('inf{a="b"}', 'inf{a="b"}'),
        ("up[5m] offset 1h", "up[5m] offset 1h"),
        ("x1 + 1e3 + 0", "x1 + 1e3 + 0"),
        ("up{}", "up"),
        ('up{a="b" c="d"}', 'up{a="b" c="d"}'),
        ('"x{a=" ,b=" } "', '"x{a=" ,b=" } "'),
    ],
)
def test_matchers_of_named_selectors_and_plain_numbers_go(expression: str, reduced: str) -> None:
    assert reduce(expression).text == reduced


@pytest.mark.parametrize(
    ("expression", "offset"),
    [
        ('up{a=~"["}', 6),
        ('up{a="b", c!~"x(?=y)"}', 13),
        ("up{a=~'\\\\'}", 6),
        ("up > 5 and foo{a=~`(?P<x`}", 18),
    ],
)
def test_what_is_no_regular_expression_of_prometheus_has_its_place(expression: str, offset: int) -> None:
    mistake = reduce(expression).mistake

    assert mistake is not None
    assert "bad regular expression" in mistake[0]
    assert mistake[1] == offset


@pytest.mark.parametrize("expression", ['up{a=~"[[:alpha:]]+|\\\\d{2}"}', "up{a=~'a{'}", "up{a!~``}", 'up{a="["}'])
def test_what_re2_takes_passes(expression: str) -> None:
    assert reduce(expression).mistake is None


def is_promql(text: str) -> bool:
    try:
        _parse(text)
    except ValueError:
        return False
    return True


_PIECES = st.sampled_from([
    "up", "foo", "sum", "rate(", "sum(", "by (a)", "(", ")", "{", "}", "[5m]", "[5", "]", "offset", "5m", "@",
    "end()", "and", "bool", "on(a)", "group_left", "group_left(b)", "5", "12.5", "0", "1e3", "inf", "NaN", '"a"',
    "'b'", '"', "'", '{a="x"}', '{a="x",b!="y",}', "{a='}'}", '{a="{"}', '{__name__="x"}', '{a="x" b="y"}', "{}",
    'a="x"', ",", "==", ">", "+", "-", "#", "\n", "é", ":", "start", "without",
])  # fmt: skip


@given(st.one_of(st.lists(_PIECES, max_size=8).map(" ".join), st.lists(_PIECES, max_size=8).map("".join)))
def test_the_parser_says_the_same_of_what_is_left(expression: str) -> None:
    assert is_promql(reduce(expression).text) == is_promql(expression)
