"""The rules that a running Prometheus or vmalert shows at `/api/v1/rules`. Pure.

It shows the interval that a group has in effect, also where its file names none, and no options of a group but the
limit; what it does not show is not made up.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from alertagent.core.rules.model import RESERVED_GROUP, Dialect, GroupOptions, Kind, RuleContent

PATH = "/api/v1/rules"
MAX_BODY = 16 * 1024 * 1024

# A hundred years: what is longer is no duration of a rule.
Seconds = Annotated[float, Field(ge=0, le=3.2e9, allow_inf_nan=False)]
# vmalert writes null for what is empty.
Texts = Annotated[dict[str, str], BeforeValidator(lambda value: value or {})]


class _Shown(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Rule(_Shown):
    type: Literal["alerting", "recording"]
    name: str
    query: str
    duration: Seconds = 0
    keep_firing_for: Annotated[Seconds, Field(validation_alias=AliasChoices("keepFiringFor", "keep_firing_for"))] = 0
    labels: Texts = {}
    annotations: Texts = {}


class _Group(_Shown):
    name: str
    interval: Seconds = 0
    limit: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    rules: tuple[_Rule, ...] = ()


class _Groups(_Shown):
    groups: tuple[_Group, ...]


class _Answer(_Shown):
    data: _Groups


def read_live(body: bytes, dialect: Dialect) -> list[RuleContent]:
    """The rules of all groups but AlertAgent's own mark. Raises ValueError when this is no such answer."""
    try:
        answer = _Answer.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))) from error
    return [rule for group in answer.data.groups if group.name != RESERVED_GROUP for rule in _rules(group, dialect)]


def _rules(group: _Group, dialect: Dialect) -> Iterator[RuleContent]:
    for rule in group.rules:
        yield RuleContent(
            name=rule.name,
            kind=Kind(rule.type),
            record=rule.name if rule.type == "recording" else None,
            dialect=dialect,
            expression=rule.query,
            duration=_span(rule.duration),
            keep_firing_for=_span(rule.keep_firing_for) or None,
            labels=rule.labels,
            annotations=rule.annotations,
            group=group.name,
            interval=_span(group.interval) or None,
            group_options=GroupOptions(limit=group.limit or None),
        )


def _span(seconds: float) -> timedelta:
    return timedelta(milliseconds=round(seconds * 1000))
