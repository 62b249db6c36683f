"""The base of everything that crosses the border as JSON."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from alertagent.kernel.durations import format_duration, parse_duration

MAX_LIMIT = 500


class Model(BaseModel):
    """Unknown fields are refused by name; infinities and NaN are not numbers here.

    A model is compiled when it is first used: of most routes a process never hears.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class FilterQuery(Model):
    """Which things of a list are meant."""

    filter: Annotated[
        tuple[Annotated[str, Field(max_length=2048)], ...],
        Field(max_length=20, description='Matchers, all of which must hold: `severity="critical"`.'),
    ] = ()
    q: Annotated[str | None, Field(max_length=200, description="Text to look for.")] = None


class ListQuery(FilterQuery):
    """The parameters that every list takes."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="How many at most.")] = 50
    cursor: Annotated[
        str | None, Field(max_length=2048, description="`page.next_cursor` of the page before; opaque.")
    ] = None
    sort: Annotated[
        str | None, Field(max_length=200, description="Fields in order, `-` for descending: `-updated_at,name`.")
    ] = None


def _require_more_than_blanks(text: str) -> str:
    if text and not text.strip():
        raise ValueError("it has nothing but blanks")
    return text


NAMING = AfterValidator(_require_more_than_blanks)
"""For a text by which people know something. It stands behind the limits, which else speak of items."""


def read_duration(value: object) -> timedelta:
    """Raises ValueError for anything but a Prometheus duration."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("a duration is a text such as 30s, 5m or 1d12h")  # noqa: TRY004 - pydantic wants ValueError
    return parse_duration(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["5m", "1d12h"], "description": "A Prometheus duration."}),
]
"""A duration as Prometheus writes it; a bare number is refused, because nobody can tell seconds from minutes."""
