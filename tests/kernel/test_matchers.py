"""Matchers as Alertmanager reads and applies them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import MAX_PATTERN, Matcher, Operator, compile_pattern, parse_matcher


@pytest.mark.parametrize(
    ("text", "name", "operator", "value"),
    [
        ('severity="critical"', "severity", "=", "critical"),
        ("severity=critical", "severity", "=", "critical"),
        (' severity = "critical" ', "severity", "=", "critical"),
        ('team!=""', "team", "!=", ""),
        ("team!=", "team", "!=", ""),
        ('cluster=~"prod-.*"', "cluster", "=~", "prod-.*"),
        ("cluster!~prod|test", "cluster", "!~", "prod|test"),
        (r'a="say \"hi\""', "a", "=", 'say "hi"'),
        (r'a="back\\slash"', "a", "=", "back\\slash"),
        (r'a="two\nlines"', "a", "=", "two\nlines"),
        (r'a=~"\d+"', "a", "=~", r"\d+"),
        (r'a=~"\\d+"', "a", "=~", r"\d+"),
        ('a="{x=\\"y\\", z}"', "a", "=", '{x="y", z}'),
        ('"with space"="x"', "with space", "=", "x"),
        ('"a=b"="x"', "a=b", "=", "x"),
        ('集群="北京"', "集群", "=", "北京"),
        ('a="=~"', "a", "=", "=~"),
    ],
)
def test_a_matcher_is_read(text: str, name: str, operator: str, value: str) -> None:
    assert parse_matcher(text) == Matcher(name, Operator(operator), value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "severity",
        '="critical"',
        '""="critical"',
        'severity=="critical"',
        'severity="critical',
        'severity=critical"',
        'severity="a" b',
        'severity="a",team="b"',
        '{severity="a"}',
        "severity='a'",
        'severity>"a"',
        'a="trailing backslash\\',
        "a b=c",
        "!~x",
    ],
)
def test_what_is_no_matcher_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r'not a matcher.*name="value"'):
        parse_matcher(text)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ('a="1"', {"a": "1"}, True),
        ('a="1"', {"a": "2"}, False),
        ('a="1"', {}, False),
        ('a=""', {}, True),
        ('a=""', {"a": ""}, True),
        ('a=""', {"a": "1"}, False),
        ('a!=""', {}, False),
        ('a!=""', {"a": "1"}, True),
        ('a!="1"', {}, True),
        ('a=~"1|2"', {"a": "2"}, True),
        ('a=~"1|2"', {"a": "12"}, False),
        ('a=~"prod"', {"a": "prod-1"}, False),
        ('a=~"prod"', {"a": "my-prod"}, False),
        ('a=~".*"', {}, True),
        ('a=~".+"', {}, False),
        ('a!~".+"', {}, True),
        ('a!~"prod.*"', {"a": "prod-1"}, False),
        ('a!~"prod.*"', {"a": "test"}, True),
        ('a=~"(?i)PROD"', {"a": "prod"}, True),
        ('a=~"北.+"', {"a": "北京"}, True),
        ('a=~"a.b"', {"a": "a\nb"}, False),
        ('a=~"(?s)a.b"', {"a": "a\nb"}, True),
        ('a="PROD"', {"a": "prod"}, False),
    ],
)
def test_a_matcher_holds_as_in_alertmanager(text: str, labels: Labels, expected: bool) -> None:
    assert parse_matcher(text).matches(labels) is expected


@pytest.mark.parametrize("pattern", ["(", "[", "*", "a(?=b)", "a(?!b)", "(?<=a)b", r"(a)\1", "a{2000}", r"\q", "(?P<n"])
def test_what_re2_does_not_know_is_refused_with_the_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match="bad regular expression"):
        compile_pattern(pattern)

    with pytest.raises(ValueError, match="bad regular expression"):
        Matcher("a", Operator.MATCH, pattern)


def test_a_pattern_may_be_so_long_and_no_longer() -> None:
    compile_pattern("a" * MAX_PATTERN)

    with pytest.raises(ValueError, match="longer than 1024"):
        compile_pattern("a" * (MAX_PATTERN + 1))


def test_a_pattern_that_stalls_other_engines_is_answered_at_once() -> None:
    matcher = Matcher("a", Operator.MATCH, "(a+)+$")

    assert not matcher.matches({"a": "a" * 50_000 + "!"})


def test_a_pattern_with_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        compile_pattern("\ud800")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(name=TEXT.filter(bool), operator=st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL]), value=TEXT)
def test_a_matcher_written_out_reads_as_itself(name: str, operator: Operator, value: str) -> None:
    matcher = Matcher(name, operator, value)

    assert parse_matcher(str(matcher)) == matcher


def test_a_plain_matcher_is_written_as_people_write_it() -> None:
    assert str(Matcher("severity", Operator.MATCH, "critical|warning")) == 'severity=~"critical|warning"'
