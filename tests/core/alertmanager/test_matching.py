"""The two grammars of matchers."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertagent.core.alertmanager.matching import parse_matchers
from alertagent.kernel.matchers import Operator, written


def read(text: str, *, utf8: bool = True) -> list[str]:
    return [str(matcher) for matcher in parse_matchers(text, utf8=utf8)]


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize(
    ("text", "matchers"),
    [
        ("a=b", ['a="b"']),
        (" a = b ", ['a="b"']),
        ('{a="b", c!~"d|e",}', ['a="b"', 'c!~"d|e"']),
        ('a="x,y",b=z', ['a="x,y"', 'b="z"']),
        ('a="say \\"hi\\""', ['a="say \\"hi\\""']),
        ("", []),
        ("{}", []),
        # Only the classic grammar reads these, and it counts where the newer one differs.
        ("a=", ['a=""']),
        ("a=b c", ['a="b c"']),
        ('a=~"\\d"', ['a=~"\\\\d"']),
        ("{a=b} ", ['a="b}"']),
        ('a="\\xf0"', ['a="\\\\xf0"']),
    ],
)
def test_what_the_classic_grammar_reads_means_what_it_says(text: str, matchers: list[str], utf8: bool) -> None:
    assert read(text, utf8=utf8) == matchers


@pytest.mark.parametrize(
    ("text", "matchers"),
    [
        ("集群=北京", ['集群="北京"']),
        ('"a b"="c"', ['"a b"="c"']),
        ('"a=b" =~ "c" , d!=e', ['"a=b"=~"c"', 'd!="e"']),
        ('{ "é"="\\u00e9\\xc3\\xa9\\t", }', ['é="éé\t"']),
        ("a.b=c", ['a.b="c"']),
    ],
)
def test_the_newer_grammar_reads_more(text: str, matchers: list[str]) -> None:
    assert read(text) == matchers
    with pytest.raises(ValueError, match=r"matcher|quotes"):
        parse_matchers(text, utf8=False)


def test_a_brace_may_be_missing_on_one_side() -> None:
    """In the classic grammar, and so everywhere."""
    assert read("{a=b") == read("a=b}") == ['a="b"']


@pytest.mark.parametrize(
    "text",
    ["a", "=b", 'a="b', 'a=b"', 'a="b"c', "a==b=c,,", "a=~(", 'é="\\q"', 'é="\\xff"', "é=b c", "{é=b", "é="],
)
def test_what_no_grammar_reads_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        parse_matchers(text)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(name=TEXT.filter(bool), operator=st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL]), value=TEXT)
@example(name="`", operator=Operator.EQUAL, value="x")
def test_a_matcher_that_we_write_is_read_as_it_was(name: str, operator: Operator, value: str) -> None:
    (read,) = parse_matchers(written(name, operator, value))

    assert (read.name, read.operator, read.value) == (name, operator, value)
