"""What can be read off a matcher."""

import pytest

from alertagent.core.silences.demand import Demand, demand_of
from alertagent.kernel.matchers import parse_matcher

MANY = [f"db-{number}" for number in range(100)]


@pytest.mark.parametrize(
    ("text", "values", "prefix"),
    [
        ('a="b"', ["b"], ""),
        ('a=~"b"', ["b"], ""),
        ('a=~"db-1|db-2|db-1"', ["db-1", "db-2"], ""),
        ('a=~"^(?:db-1|db-2)$"', ["db-1", "db-2"], ""),
        ('a=~"(北京|上海)"', ["北京", "上海"], ""),
        (r'a=~"10\\.0\\.0\\.1:9100|x"', ["10.0.0.1:9100", "x"], ""),
        ('a=~"prod-.*"', [], "prod-"),
        ('a=~"^prod-[0-9]+"', [], "prod-"),
        (r'a=~"a\\.b.*"', [], "a.b"),
        ('a=~"ab?c"', [], "a"),
        ('a=~"ab*"', [], "a"),
        ('a=~"ab+"', [], "a"),
        ('a=~"ab{2}"', [], "a"),
        (r'a=~"ab\\.?"', [], "ab"),
        ('a=~"prod-.*|test"', [], ""),
        ('a=~"(a)|(b)"', ["a", "b"], ""),
        ('a=~"(a|b)-[0-9]"', [], ""),
        (f'a=~"{"|".join(MANY)}"', MANY, ""),
        ('a=~"(?i)prod"', [], ""),
        (r'a=~"\\d+"', [], ""),
        (r'a=~"a\\d"', [], "a"),
        (r'a=~"a\\$"', ["a$"], ""),
        ('a=~".+"', [], ""),
    ],
)
def test_what_a_matcher_demands(text: str, values: list[str], prefix: str) -> None:
    matcher = parse_matcher(text)

    assert demand_of(matcher) == Demand(matcher, tuple(values), prefix)


@pytest.mark.parametrize(
    ("text", "prefix", "inner"),
    [
        ('a=~"prod-.*-db"', "prod-", "-db"),
        ('a=~".*:9100"', "", ":9100"),
        ('a=~".*-db-.+:9[0-9]"', "", "-db-"),
        (r'a=~".+\\.db-(7|8)"', "", ""),
    ],
)
def test_a_text_may_be_demanded_behind_the_beginning(text: str, prefix: str, inner: str) -> None:
    matcher = parse_matcher(text)

    assert demand_of(matcher) == Demand(matcher, (), prefix, inner)


@pytest.mark.parametrize("text", ['a=""', 'a!="b"', 'a!~"b"', 'a=~".*"', 'a=~"b|"', 'a=~"b?"', 'a!=""'])
def test_where_an_alert_without_the_label_may_fit_nothing_is_demanded(text: str) -> None:
    assert demand_of(parse_matcher(text)) is None
