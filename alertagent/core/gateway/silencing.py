"""Silences as Alertmanager's API v2 takes and shows them. Pure.

Source: prometheus/alertmanager, `api/v2/openapi.yaml`, `api/v2/api.go`; go-openapi for the numbers of refusals.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from alertagent.core.alerts.intake import Moment
from alertagent.core.gateway.render import moment
from alertagent.core.silences.model import MAX_MATCHERS, Draft, Silence, SilenceMatcher, State
from alertagent.kernel.errors import Invalid
from alertagent.kernel.matchers import Matcher

# What go-openapi calls them: no JSON or of another type, missing, too few, not a UUID.
MALFORMED, REQUIRED, TOO_FEW, NO_UUID = 400, 602, 612, 601

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_STATES = [State.ACTIVE, State.PENDING, State.EXPIRED]


def _text(value: str) -> str:
    if "\x00" in value:
        raise ValueError("holds the character U+0000, which cannot be stored")
    return value


Text = Annotated[str, AfterValidator(_text)]


class _Posted(BaseModel):
    """What we do not know is the client's business."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        return {name: given for name, given in value.items() if given is not None} if isinstance(value, dict) else value


class PostedMatcher(_Posted):
    """Names are in the order in which Alertmanager misses them, here and below."""

    isRegex: Annotated[bool, Field(strict=True)]  # noqa: N815 - Alertmanager's spelling, here and below
    name: Text
    value: Text
    isEqual: Annotated[bool, Field(strict=True)] = True  # noqa: N815


class PostedSilence(_Posted):
    comment: Text
    createdBy: Text  # noqa: N815
    endsAt: Moment  # noqa: N815
    matchers: Annotated[tuple[PostedMatcher, ...], Field(min_length=1, max_length=MAX_MATCHERS)]
    startsAt: Moment  # noqa: N815
    id: Text = ""


class Refusal(Exception):
    """What Alertmanager's reader of requests refuses before Alertmanager itself sees it; `code` is go-openapi's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        return MALFORMED if self.code == MALFORMED else 422


def read(body: bytes) -> tuple[str, Draft]:
    """The silence that is to be changed, if one is named, and what it shall be. Raises Refusal, Invalid."""
    if not body.strip():
        raise Refusal(REQUIRED, "silence in body is required")
    try:
        posted = PostedSilence.model_validate_json(b"{}" if body.strip() == b"null" else body)
    except ValidationError as error:
        raise _refusal(error) from error
    draft = Draft(
        matchers=tuple(_matcher(index, matcher) for index, matcher in enumerate(posted.matchers)),
        comment=posted.comment,
        created_by=posted.createdBy,
        starts_at=posted.startsAt,
        ends_at=posted.endsAt,
    )
    return posted.id, draft


def require_uuid(id: str) -> None:
    """Raises Refusal."""
    if not _UUID.fullmatch(id):
        raise Refusal(NO_UUID, f'silenceID in path must be of type uuid: "{id}"')


def shown(silence: Silence, now: datetime) -> dict[str, Any]:
    return {
        "id": silence.id,
        "status": {"state": silence.state(now)},
        "updatedAt": moment(silence.updated_at),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": moment(silence.ends_at),
        "matchers": [
            {
                "isEqual": not matcher.operator.is_negative,
                "isRegex": matcher.operator.is_regex,
                "name": matcher.name,
                "value": matcher.value,
            }
            for matcher in silence.matchers
        ],
        "startsAt": moment(silence.starts_at),
    }


def is_meant(silence: Silence, matchers: Iterable[Matcher]) -> bool:
    """Whether it has these very matchers: a filter for silences asks for their words, not for what they mute."""
    own = {_parts(matcher) for matcher in silence.matchers}
    return all(_parts(matcher) in own for matcher in matchers)


def in_order(silences: Iterable[Silence], now: datetime) -> Sequence[Silence]:
    """Active ones, the next to end first; then those to come, the next first; then the expired, the last first."""

    def key(silence: Silence) -> tuple[int, float]:
        state = silence.state(now)
        at = silence.starts_at if state is State.PENDING else silence.ends_at
        return _STATES.index(state), -at.timestamp() if state is State.EXPIRED else at.timestamp()

    return sorted(silences, key=key)


def _parts(matcher: Matcher) -> tuple[str, ...]:
    return matcher.name, matcher.operator, matcher.value


def _matcher(index: int, posted: PostedMatcher) -> SilenceMatcher:
    try:
        return SilenceMatcher.of(posted.name, posted.value, is_regex=posted.isRegex, is_equal=posted.isEqual)
    except ValueError as error:
        raise Invalid(f"silence invalid: invalid label matcher {index}: {error}") from error


def _refusal(error: ValidationError) -> Refusal | Invalid:
    """The first thing that is malformed, or else the first that is missing.

    A limit of ours is told as Alertmanager tells what it does not accept, a bare text: amtool cannot print the rest.
    """
    findings = error.errors(include_url=False, include_context=False, include_input=False)
    first = min(findings, key=lambda finding: finding["type"] in {"missing", "too_short"})
    place = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return Refusal(REQUIRED, f"{place} in body is required")
    if first["type"] == "too_long":
        return Invalid(f"silence invalid: at most {MAX_MATCHERS} matchers")
    if first["type"] == "too_short":
        return Refusal(TOO_FEW, f"{place} in body should have at least 1 items")
    reason = first["msg"].removeprefix("Value error, ")
    return Refusal(MALFORMED, f'parsing silence body from "" failed, because {place + ": " if place else ""}{reason}')
