"""What is asked for, and what holds an alert back."""

from typing import Any

import pytest

from alertagent.core.gateway.model import Question, Standing, read_filter
from alertagent.kernel.matchers import compile_pattern

ACTIVE, SILENCED, INHIBITED = Standing(), Standing(silenced_by=["s"]), Standing(inhibited_by=["f"])
BOTH = Standing(silenced_by=["s"], inhibited_by=["f"])


@pytest.mark.parametrize(
    ("texts", "matchers"),
    [
        ([], []),
        (["a=b"], ['a="b"']),
        (['a="b"', "c!=d"], ['a="b"', 'c!="d"']),
        (['{a="b",c=~"d|e"}'], ['a="b"', 'c=~"d|e"']),
        ([' { a = "b" } '], ['a="b"']),
        (['a="b,c}"'], ['a="b,c}"']),
        (['a="{"'], ['a="{"']),
        (["a="], ['a=""']),
        (["a=~web-[0-9]{2}"], ['a=~"web-[0-9]{2}"']),
        (["a={b}"], ['a="{b}"']),
        (["a=b,c=d"], ['a="b,c=d"']),
        (["{a=~b{2},c=d}"], ['a=~"b{2}"', 'c="d"']),
        (['"a.b"="c"'], ['a.b="c"']),
        (['"a b"=~"\\\\d+"'], ['"a b"=~"\\\\d+"']),
        (["team=运维"], ['team="运维"']),
    ],
)
def test_a_filter_is_matchers_or_whole_sets_of_them(texts: list[str], matchers: list[str]) -> None:
    assert [str(matcher) for matcher in read_filter(texts)] == matchers


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "{}", "{", "}", "a", "=b", "{a=b", 'a="b', 'a=b"', 'a=~"("', "a=\x00"),
        '"a.b"="\\u0000"',
    ],
)
def test_what_is_no_matcher_is_refused_with_its_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"^bad matcher format: "):
        read_filter(["a=b", text])


def test_the_database_can_look_for_what_must_be_equal_and_not_empty() -> None:
    question = Question(matchers=read_filter(["a=b", "c=", "d!=e", "f=~g", "h=i"]))

    assert question.labels == {"a": "b", "h": "i"}


def test_a_receiver_is_asked_for_by_its_whole_name() -> None:
    question = Question(receiver=compile_pattern("on-.*|web"))

    assert [name for name in ("on-call", "web", "webhook", "the web") if question.hears(name)] == ["on-call", "web"]
    assert Question().hears("anybody")


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, [ACTIVE, SILENCED, INHIBITED, BOTH]),
        ({"active": False}, [SILENCED, INHIBITED, BOTH]),
        ({"silenced": False}, [ACTIVE, INHIBITED]),
        ({"inhibited": False}, [ACTIVE, SILENCED]),
        ({"silenced": False, "inhibited": False}, [ACTIVE]),
        ({"active": False, "inhibited": False}, [SILENCED]),
        ({"active": False, "silenced": False, "inhibited": False}, []),
    ],
)
def test_alerts_are_shown_by_what_holds_them_back(asked: dict[str, Any], shown: list[Standing]) -> None:
    question = Question(**asked)

    assert [standing for standing in (ACTIVE, SILENCED, INHIBITED, BOTH) if question.shows(standing)] == shown
