"""What problems carry."""

from datetime import timedelta

from alertagent.kernel.errors import Conflict, Delayed, Detail, External, Invalid, Problem, RateLimited, Unavailable


def test_a_problem_has_its_kinds_code_unless_told_another() -> None:
    assert Conflict("taken").code == "conflict"
    assert Conflict("taken", code="rule.exists").code == "rule.exists"


def test_a_problem_says_its_message_and_keeps_its_details() -> None:
    problem = Invalid("two mistakes", details=[Detail(("a",), "one"), Detail(("b", 0), "two", line=1, column=2)])

    assert str(problem) == problem.message == "two mistakes"
    assert [detail.loc for detail in problem.details] == [("a",), ("b", 0)]


def test_what_time_may_heal_says_how_long_to_wait_at_least() -> None:
    for kind in (RateLimited, External, Unavailable):
        assert issubclass(kind, Delayed)
        assert kind("later", retry_after=timedelta(seconds=7)).retry_after == timedelta(seconds=7)


def test_every_kind_is_a_problem_with_a_type_and_a_code_of_its_own() -> None:
    kinds = [kind for kind in _below(Problem) if kind is not Delayed and kind.__module__ == Problem.__module__]

    assert all(kind.type and kind.default_code for kind in kinds)
    assert len({kind.default_code for kind in kinds}) == len(kinds)


def _below(kind: type[Problem]) -> list[type[Problem]]:
    return [found for child in kind.__subclasses__() for found in (child, *_below(child))]
