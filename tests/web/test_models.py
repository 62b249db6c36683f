"""What crosses the border."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from alertagent.web.models import Duration, ListQuery, Model


class Sample(Model):
    wait: Duration = timedelta(minutes=5)
    ratio: float = 0


def test_a_duration_is_read_and_written_as_prometheus_does() -> None:
    assert Sample.model_validate_json('{"wait": "1d12h"}').wait == timedelta(hours=36)
    assert Sample().model_dump_json() == '{"wait":"5m","ratio":0.0}'
    assert Sample(wait=timedelta(days=7)).model_dump()["wait"] == "1w"


@pytest.mark.parametrize("value", ["90", "1.5h", "", "12h1d"])
def test_what_is_no_duration_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="duration"):
        Sample.model_validate({"wait": value})


@pytest.mark.parametrize("value", [90, 1.5, True, None, []])
def test_a_number_is_no_duration(value: object) -> None:
    with pytest.raises(ValidationError, match="a duration is a text such as 30s"):
        Sample.model_validate({"wait": value})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Sample.model_validate_json(f'{{"ratio": {text}}}')


def test_a_model_takes_no_unknown_field_and_does_not_change() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Sample.model_validate({"other": 1})
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Sample(), "ratio", 1)  # noqa: B010 - mypy would see the plain assignment


@pytest.mark.parametrize(("limit", "is_fine"), [(0, False), (1, True), (500, True), (501, False)])
def test_a_page_has_between_one_and_five_hundred_rows(limit: int, is_fine: bool) -> None:
    if is_fine:
        assert ListQuery(limit=limit).limit == limit
    else:
        with pytest.raises(ValidationError):
            ListQuery(limit=limit)
