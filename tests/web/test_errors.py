"""From kinds of problems to answers."""

from datetime import timedelta
from typing import Annotated, Any, Literal

import orjson
import pytest
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from alertagent.kernel import errors
from alertagent.kernel.errors import Detail, Invalid, Problem
from alertagent.web.errors import MAX_DETAILS, MAX_MESSAGE, MAX_PLACE, STATUS, bare, did_you_mean, envelope, refusal
from alertagent.web.models import Duration
from tests.web.small import Note

# The table of the contract, written a second time.
CONTRACT = {
    errors.Invalid: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.TimedOut: 408,
    errors.Conflict: 409,
    errors.Stale: 412,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.RateLimited: 429,
    errors.Problem: 500,
    errors.Permanent: 500,
    errors.Fatal: 500,
    errors.External: 502,
    errors.Unavailable: 503,
}


def shown(problem: Problem) -> Any:
    body = envelope(problem, path="/p", request_id="r").body
    assert isinstance(body, bytes)
    return orjson.loads(body)


@pytest.mark.parametrize(("kind", "status"), CONTRACT.items(), ids=lambda value: getattr(value, "__name__", value))
def test_every_kind_has_its_status_and_the_one_envelope(kind: type[Problem], status: int) -> None:
    response = envelope(kind("what and why"), path="/p", request_id="r")
    content = shown(kind("what and why"))

    assert (response.status, response.content_type) == (status, "application/json")
    assert set(content) == {"error", "timestamp", "path", "request_id"}
    assert (content["path"], content["request_id"]) == ("/p", "r")
    assert content["error"] == {"type": kind.type, "code": kind.default_code, "message": "what and why", "details": []}
    assert isinstance(content["timestamp"], int)


def test_every_status_of_the_contract_belongs_to_a_kind() -> None:
    assert set(STATUS.values()) == {*CONTRACT.values(), 405}


def test_a_method_that_is_not_allowed_says_which_are() -> None:
    response = envelope(errors.MethodNotAllowed("no", allowed=["GET", "PUT"]), path="/", request_id="r")

    assert (response.status, response.headers["Allow"]) == (405, "GET, PUT")


@pytest.mark.parametrize(
    ("wait", "header"),
    [
        (None, "5"),
        (timedelta(seconds=30), "30"),
        (timedelta(milliseconds=100), "1"),
        (timedelta(seconds=2.1), "3"),
        (timedelta(), "5"),
    ],
)
def test_what_may_heal_says_when_to_try_again(wait: timedelta | None, header: str) -> None:
    for kind in (errors.RateLimited, errors.Unavailable):
        assert envelope(kind("x", retry_after=wait), path="/", request_id="r").headers["Retry-After"] == header


def test_details_show_their_place_and_lines_only_where_there_are_any() -> None:
    problem = Invalid("x", details=[Detail(("a", 0), "one"), Detail((), "two", line=3, column=4)])

    assert shown(problem)["error"]["details"] == [
        {"loc": ["a", 0], "message": "one"},
        {"loc": [], "message": "two", "line": 3, "column": 4},
    ]


def refused(body: bytes) -> Invalid:
    with pytest.raises(ValidationError) as caught:
        Note.model_validate_json(body)
    return refusal(caught.value, Note)


def test_broken_json_has_a_line_and_a_column() -> None:
    problem = refused(b'{\n  "text": "a",\n  oops\n}')

    assert problem.code == "request.json_invalid"
    assert (problem.details[0].line, problem.details[0].column) == (3, 3)


def test_an_unknown_field_is_named_with_the_nearest_known_one() -> None:
    problem = refused(b'{"text": "a", "sise": 1}')

    assert problem.message == 'sise: unknown field "sise". Did you mean "size"?'
    assert problem.details[0].loc == ("sise",)


def test_several_findings_are_all_told_and_the_first_is_the_message() -> None:
    problem = refused(b'{"size": "x", "a": 1}')

    assert [detail.loc for detail in problem.details] == [("text",), ("size",), ("a",)]
    assert problem.message == "text: Field required (and 2 more)"


def test_of_very_many_findings_the_first_are_told_and_soon() -> None:
    body = orjson.dumps({f"unknown_field_number_{number}": 1 for number in range(50_000)})

    problem = refused(body)

    assert len(problem.details) == MAX_DETAILS
    assert "(and 50000 more)" in problem.message


def test_a_megabyte_that_a_message_quotes_is_not_sent_back() -> None:
    long = "x" * 1_000_000

    answer = shown(Invalid(long, details=[Detail((long, 1), long)]))["error"]

    assert len(answer["message"]) == len(answer["details"][0]["message"]) == MAX_MESSAGE
    assert answer["message"].endswith("x…")
    assert len(answer["details"][0]["loc"][0]) == MAX_PLACE
    assert answer["details"][0]["loc"][1] == 1
    text = bare(Invalid(long)).body
    assert isinstance(text, bytes)
    assert len(orjson.loads(text)) == MAX_MESSAGE


class Square(BaseModel):
    shape: Literal["square"]


class Circle(BaseModel):
    shape: Literal["circle"]


class Drawing(BaseModel):
    shapes: Annotated[
        tuple[Annotated[Square | Circle, Field(discriminator="shape")], ...], Field(min_length=1, max_length=2)
    ]
    colours: Annotated[dict[str, str], Field(max_length=1)] = {}
    every: Annotated[Duration, Field(gt=timedelta(), le=timedelta(days=1, minutes=1))] = timedelta(hours=1)
    names: dict[Annotated[str, Field(min_length=1)], str] = {}
    at: AwareDatetime | None = None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"shapes": [{}]}, "shapes.0.shape: Field required"),
        ({"shapes": [{"shape": "CANARY"}]}, "shapes.0.shape: Input should be one of 'square', 'circle'"),
        ({"shapes": [{"shape": ["CANARY"]}]}, "shapes.0.shape: Input should be one of 'square', 'circle'"),
        ({"shapes": []}, "shapes: Array should have at least 1 item after validation, not 0"),
        (
            {"shapes": [{"shape": "square"}], "colours": {"a": "b", "c": "d"}},
            "colours: Object should have at most 1 item",
        ),
        ({"shapes": [{"shape": "square"}], "every": "2d"}, "every: Input should be less than or equal to 1d1m"),
        ({"shapes": [{"shape": "square"}], "every": "0"}, "every: Input should be greater than 0s"),
        ({"shapes": [{"shape": "square"}], "names": {"": "x"}}, "names.: as a name: String should have at least 1"),
        (
            {"shapes": [{"shape": "square"}], "at": "tomorrow"},
            "at: not a time (input is too short); write it as 2026-12-24T18:00:00+08:00",
        ),
        ({"shapes": [{"shape": "square"}], "colours": []}, "colours: Input should be an object"),
        ({"shapes": [{"shape": "square"}], "at": []}, "at: not a time; write it as 2026-12-24T18:00:00+08:00"),
        ({"shapes": [{"shape": "square"}], "at": "2026-12-24T18:00:00"}, "at: its time zone is missing; write the"),
        ({"shapes": {}}, "shapes: Input should be a valid array"),
        ({"shapes": [{"shape": "square"}] * 3}, "shapes: Array should have at most 2 items after validation, not 3"),
    ],
)
def test_a_mistake_is_told_in_the_words_of_who_wrote_the_body(body: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Drawing.model_validate_json(orjson.dumps(body))

    problem = refusal(caught.value, Drawing)

    assert problem.message.startswith(message)
    assert len(problem.details) == 1


def test_what_was_sent_is_not_sent_back() -> None:
    assert "CANARY" not in orjson.dumps(shown(refused(b'{"text": ["CANARY"], "size": "CANARY"}'))).decode()


@pytest.mark.parametrize(
    ("name", "said"),
    [("expresion", ' Did you mean "expression"?'), ("zzz", ""), ("", ""), ("x" * 100_000, "")],
)
def test_a_near_miss_is_recognised(name: str, said: str) -> None:
    assert did_you_mean(name, ["expression", "duration"]) == said


def test_what_is_no_text_does_not_hide_what_was_wrong() -> None:
    problem = Invalid('content encoding "\udcff" is not read', details=[Detail(("\udcff",), "\udcff")])

    error = shown(problem)["error"]
    assert error["message"] == 'content encoding "?" is not read'
    assert error["details"] == [{"loc": ["?"], "message": "?"}]
    assert bare(problem).body == b'"content encoding \\"?\\" is not read"'
