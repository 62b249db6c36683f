"""Tables of expressions, and a hunt for text that brings the check down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.rules.promql import MAX_DEPTH, MAX_LENGTH, MAX_OPERATORS, check_promql

GOOD = [
    "holt_winters(foo[1h], 0.5, 0.5) > 1",
    "holt_winters (foo[1h], 0.5, 0.5) > 1",
    'holt_winters{a=~"holt_winters()"} > 0',
    "up == 0",
    "vector(0) > 1",
    "42",
    "(up)",
    "-up",
    'rate(http_requests_total{code=~"5.."}[5m])',
    "sum by (job) (rate(foo[5m])) / on (job) group_left sum by (job) (bar) > 0.05",
    "max_over_time(rate(foo[1m])[1h:30s])",
    "foo offset 5m",
    "foo @ 1700000000",
    "foo @ end()",
    "absent(up{job='node'})",
    "foo and bar or baz unless qux",
    "foo == bool bar",
    "# a comment with ( and ' in it\nup == 0  # and another `",
    "up{job=~`no\\d+`} == 0",
    'up{job=~`"quoted"`} == 0',
    "up{job=~`two\nlines`}",
    'label_replace(up, "a", "$1", "b", "(.*)")',
    'up{instance="北京"}',
    'up{job=~"[[:alpha:]]+"}',
    "up{job=~'a{'} " + "+ up" * 300,
    "job:errors:rate5m > 1",
    "1 - avg(foo) > 0x1F",
    "histogram_quantile(0.99, sum by (le) (rate(foo_bucket[5m])))",
]

BAD = [
    ("1 + holt_winters(foo[1h], 0.5)", (1, 5), "'holt_winters'"),
    ("HOLT_WINTERS(foo[1h], 0.5, 0.5)", (1, 1), "unknown function"),
    ("", None, "empty"),
    (" \n ", None, "empty"),
    ("up ==", None, ""),
    ("(up", (1, 1), '"(" is never closed'),
    ("sum(up))", (1, 8), 'unexpected ")"'),
    ("up\n  + foo)", (2, 8), 'unexpected ")"'),
    ("foo[5m", (1, 4), '"[" is never closed'),
    ("(foo]", (1, 5), 'unexpected "]"'),
    ('foo{a="b}', (1, 7), "never closed"),
    ("foo{a='b}", (1, 7), "never closed"),
    ("foo{a=`b}", (1, 7), "never closed"),
    ("foo\n{a=\n`b}", (3, 1), "never closed"),
    ("foo[5m]", (1, 1), "range vector"),
    ("(foo[5m])", (1, 1), "range vector"),
    ("foo[5m:1m]", (1, 1), "range vector"),
    ('"text"', (1, 1), "a string"),
    ("nosuch(up)", (1, 1), "nosuch"),
    ("up +\n  nosuch(up)", (2, 3), "nosuch"),
    ("rate(up)", None, ""),
    ("sum(", (1, 4), "never closed"),
    ("up = 0", (1, 4), 'unexpected "="'),
    ("up up", (1, 4), 'unexpected "up"'),
    ("x default 0", (1, 3), 'unexpected "default"; vmalert knows it'),
    (f"up {'x' * 900}", (1, 4), f'unexpected "{"x" * 100}"'),
    ("{}", None, ""),
    ('foo{a=~"("}', None, ""),
    ("up 5", None, ""),
    ("rate(foo[5 m])", None, ""),
    ("rate(foo[NaN])", (1, 10), ""),
    ("foo offset inf", (1, 12), ""),
    ('foo{a=~"x(?=y)"}', (1, 8), "bad regular expression"),
    ('foo + foo{a=~"["} + (', (1, 21), "never closed"),
    ("select * from up", None, ""),
]


@pytest.mark.parametrize("expression", GOOD)
def test_what_prometheus_evaluates_passes(expression: str) -> None:
    assert check_promql(expression) == []


@pytest.mark.parametrize(("expression", "place", "words"), BAD)
def test_what_prometheus_cannot_evaluate_is_refused_with_its_place(
    expression: str, place: tuple[int, int] | None, words: str
) -> None:
    (finding,) = check_promql(expression)

    assert finding.loc == ("expression",)
    assert words in finding.message
    if place is not None:
        assert (finding.line, finding.column) == place


def test_an_expression_may_be_long_but_not_endless() -> None:
    assert check_promql("up" + " " * (MAX_LENGTH - 2)) == []
    assert "longer than" in check_promql("up" + " " * (MAX_LENGTH - 1))[0].message


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("(" * MAX_DEPTH + "up" + ")" * MAX_DEPTH, True),
        ("(" * (MAX_DEPTH + 1) + "up" + ")" * (MAX_DEPTH + 1), False),
        ("up" + "+up" * MAX_OPERATORS, True),
        ("up" + "+up" * (MAX_OPERATORS + 1), False),
        ("-" * (MAX_OPERATORS + 1) + "up", False),
        ("up" + "^up" * MAX_OPERATORS, True),
        ("up" + " and up" * (MAX_OPERATORS + 1), False),
        ("up" + " AND up" * (MAX_OPERATORS + 1), False),
        ("(" * 8_000, False),
        ("(" * 8_000 + ")" * 8_000, False),
        ("sum(" * 2_000 + "up" + ")" * 2_000, False),
        ("-" * MAX_LENGTH, False),
        ("foo" + "[5m:1m]" * 2_000, False),
        ("up offset " + "-" * 900 + "5m", False),
    ],
)
def test_an_expression_that_would_overflow_the_parsers_stack_never_reaches_it(expression: str, fine: bool) -> None:
    assert (check_promql(expression) == []) is fine


_PIECES = st.sampled_from([
    "up", "foo", "rate(", "sum", "by(", "(", ")", "[", "]", "{", "}", "[5m]", "[5m:]", "offset", "5m", "@", "end()",
    "and", "or", "unless", "bool", "on(", "group_left(", "-1", "1e3", "0x1f", "Inf", "NaN", '"a"', "'b'", "`c`", '"',
    "'", "`", 'a=~"x"', ",", "==", "!=", "+", "-", "*", "/", "^", "%", "#", "\\", "\n", "\t", "é", "😀", "\x00", ":",
])  # fmt: skip


@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=40).map(" ".join), st.lists(_PIECES).map("".join)))
def test_no_text_at_all_brings_the_check_down(expression: str) -> None:
    for finding in check_promql(expression):
        assert finding.message
        assert (finding.line is None) == (finding.column is None)


@given(st.text(alphabet="ab\\\"'d+.$ \n北", max_size=20))
def test_a_string_in_backticks_is_taken_as_it_stands(text: str) -> None:
    assert check_promql(f"up{{job=`{text}`}}") == []


@pytest.mark.parametrize(
    ("expression", "line", "column"),
    [
        ("up ==", 1, 6),
        ("foo bar", 1, 5),
        ("sum(up) >> 0", 1, 10),
        ("1 + 'a'", 1, 5),
        ('foo{a=~"["}', 1, 8),
        ('x{a="b" c="d"}', 1, 9),
        ("x offset", 1, 9),
        ("a +\n b *\n * c", 3, 2),
        ("histogram_quantile(0.9, sum by (le) (rate(x[5m]))) > > 1", 1, 54),
        ("foo{a=~`\\d+`} bar", 1, 16),
    ],
)
def test_a_mistake_of_grammar_has_the_place_of_the_first_token_that_cannot_stand_there(
    expression: str, line: int, column: int
) -> None:
    (finding,) = check_promql(expression)

    assert (finding.line, finding.column) == (line, column)
