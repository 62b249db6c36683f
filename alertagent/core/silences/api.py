"""Silences over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    PlainValidator,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from alertagent.core.audit.model import actor_of
from alertagent.core.silences.model import MAX_MATCHERS, OPEN_END, Draft, Silence, SilenceMatcher, State
from alertagent.core.silences.preview import SHOWN
from alertagent.core.silences.recurrence import Recurrence, Window, dtstart_of, is_zone
from alertagent.core.silences.rrule import parse_rule
from alertagent.core.silences.service import Silences
from alertagent.kernel.clock import Clock
from alertagent.storage.pages import PageRequest
from alertagent.web.access import editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import Duration, ListQuery, Model
from alertagent.web.replies import Page, Reply
from alertagent.web.routes import delete, get, post, put

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def _parsed(text: str) -> str:
    SilenceMatcher.parse(text)
    return text


def _rule(text: str) -> str:
    parse_rule(text)
    return text


def _zone(name: str) -> str:
    if not is_zone(name):
        raise ValueError("there is no such time zone; zones are named like Asia/Shanghai")
    return name


def _in_range(moment: datetime) -> datetime:
    if not EARLIEST <= moment < OPEN_END:
        raise ValueError(f"a time of a silence lies from {EARLIEST:%Y} on and before {OPEN_END:%Y}")
    return moment.astimezone(UTC)


class MatcherModel(Model):
    """A matcher as Alertmanager's API has it."""

    name: Annotated[str, Field(min_length=1, max_length=500)]
    value: Annotated[str, Field(max_length=16_384)]
    is_regex: Annotated[bool, Field(alias="isRegex")] = False
    is_equal: Annotated[bool, Field(alias="isEqual")] = True

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        self.matcher()
        return self

    def matcher(self) -> SilenceMatcher:
        return SilenceMatcher.of(self.name, self.value, is_regex=self.is_regex, is_equal=self.is_equal)


MatcherText = Annotated[str, Field(min_length=1, max_length=20_000), AfterValidator(_parsed)]


_TEXT: TypeAdapter[str] = TypeAdapter(MatcherText)


def _chosen(value: object) -> str | MatcherModel:
    """Validated as what it looks like: a union would name its own types as the place of a mistake, and tell of both."""
    if isinstance(value, dict | MatcherModel):
        return MatcherModel.model_validate(value)
    if isinstance(value, str):
        return _TEXT.validate_python(value)
    raise ValueError('write it as severity="critical", or as an object with name and value')


AnyMatcher = Annotated[
    MatcherText | MatcherModel, PlainValidator(_chosen, json_schema_input_type=MatcherText | MatcherModel)
]
Matchers = Annotated[
    tuple[AnyMatcher, ...],
    Field(
        min_length=1,
        max_length=MAX_MATCHERS,
        description='All must hold: `severity="critical"`, or an object with `name`, `value`, `isRegex`, `isEqual`.',
    ),
]
Moment = Annotated[AwareDatetime, Field(strict=True), AfterValidator(_in_range)]
Span = Annotated[
    Duration, Field(gt=timedelta(), description="In place of an end: how long, from the start or from now.")
]
Author = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Comment = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
MuteAll = Annotated[bool, Field(description="Confirms matchers that would mute everything.")]


class RecurrenceModel(Model):
    """Mute only inside windows that come again, such as every Sunday night."""

    rrule: Annotated[
        str,
        Field(
            max_length=500, description="As in RFC 5545, without COUNT and UNTIL.", examples=["FREQ=WEEKLY;BYDAY=SU"]
        ),
        AfterValidator(_rule),
    ]
    timezone: Annotated[str, Field(max_length=100, examples=["Asia/Shanghai"]), AfterValidator(_zone)]
    duration: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(days=31))]
    dtstart: Annotated[
        Moment | None,
        Field(description="Where the rule counts from. Default: `starts_at`, or the last midnight in the zone."),
    ] = None

    def recurrence(self, starts_at: datetime | None, now: datetime) -> Recurrence:
        """Of a silence that was asked to start then."""
        return Recurrence(
            rrule=self.rrule,
            timezone=self.timezone,
            duration=self.duration,
            dtstart=dtstart_of(self.dtstart or starts_at, self.timezone, now),
        )


class Times(Model):
    """When a silence begins and ends."""

    starts_at: Annotated[Moment | None, Field(description="Default, and what a time in the past means: now.")] = None
    ends_at: Moment | None = None
    duration: Span | None = None

    @model_validator(mode="after")
    def _ends_once(self) -> Self:
        if self.ends_at is not None and self.duration is not None:
            raise ValueError("give either ends_at or duration")
        return self


class SilenceRequest(Times):
    matchers: Matchers
    comment: Comment
    created_by: Annotated[Author | None, Field(description="Default: the name of the caller.")] = None
    recurrence: Annotated[RecurrenceModel | None, Field(description="With it, an end may be left out.")] = None
    mute_all: MuteAll = False


class SilenceChange(Times):
    """What is given replaces, what is absent stays; null ends a recurrence."""

    matchers: Matchers | None = None
    comment: Comment | None = None
    created_by: Author | None = None
    recurrence: RecurrenceModel | None = None
    mute_all: MuteAll = False

    def changes(self, now: datetime) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in self.model_fields_set - {"mute_all"}}
        found = {name: value for name, value in given.items() if value is not None or name == "recurrence"}
        if self.matchers is not None:
            found["matchers"] = _matchers(self.matchers)
        if self.recurrence is not None:
            found["recurrence"] = self.recurrence.recurrence(self.starts_at, now)
        return found


class PreviewRequest(Model):
    matchers: Matchers


class WindowView(Model):
    starts_at: datetime
    ends_at: datetime


class RecurrenceView(Model):
    """`current` is the window that now lies in, `next` the one that begins next."""

    rrule: str
    timezone: str
    duration: Duration
    dtstart: datetime
    current: WindowView | None
    next: WindowView | None


class SilenceView(Model):
    """`state` follows from the times; one that recurs is pending between its windows."""

    id: str
    state: State
    matchers: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    recurrence: RecurrenceView | None
    created_at: datetime
    updated_at: datetime


class MutedAlert(Model):
    id: str
    labels: dict[str, str]


class PreviewView(Model):
    """What a silence with these matchers would mute now."""

    total: int
    firing: Annotated[int, Field(description="How many alerts fire in all.")]
    alerts: Annotated[tuple[MutedAlert, ...], Field(description=f"The first {SHOWN}, the one that began last first.")]
    overlaps: Annotated[
        tuple[SilenceView, ...], Field(description="Pending and active silences for some of these alerts.")
    ]


class SilencesApi:
    def __init__(self, silences: Silences, clock: Clock) -> None:
        self._silences = silences
        self._clock = clock

    @get("/silences", access=viewer("silences:read"))
    async def list(self, call: Call, query: ListQuery) -> Page[SilenceView]:
        """The silences, last changed first; expired ones for five days."""
        found, next_cursor, total = await self._silences.page(PageRequest(**query.model_dump()))
        return Page(items=[self._view(each) for each in found], next_cursor=next_cursor, total=total)

    @post("/silences", access=editor("silences:write"), status=201)
    async def add(self, call: Call, body: SilenceRequest) -> Reply[SilenceView]:
        """Keep alerts quiet: they fire and are shown, and nobody is told."""
        draft = Draft(
            matchers=_matchers(body.matchers),
            comment=body.comment,
            created_by=body.created_by or call.actor,
            starts_at=body.starts_at,
            ends_at=body.ends_at,
            duration=body.duration,
            recurrence=body.recurrence.recurrence(body.starts_at, self._clock.now()) if body.recurrence else None,
        )
        return self._reply(await self._silences.create(actor_of(call), draft, mute_all=body.mute_all))

    @post("/silences/preview", access=viewer("silences:read"))
    async def preview(self, call: Call, body: PreviewRequest) -> PreviewView:
        """How many and which firing alerts a silence would mute, and which silences do so already."""
        found = await self._silences.preview(_matchers(body.matchers))
        return PreviewView(
            total=found.total,
            firing=found.firing,
            alerts=tuple(MutedAlert(id=alert.fingerprint, labels=dict(alert.labels)) for alert in found.alerts),
            overlaps=tuple(map(self._view, found.overlaps)),
        )

    @get("/silences/{id}", access=viewer("silences:read"))
    async def read(self, call: Call, id: str) -> Reply[SilenceView]:
        """One silence."""
        return self._reply(await self._silences.get(id))

    @put("/silences/{id}", access=editor("silences:write"))
    async def revise(self, call: Call, id: str, body: SilenceChange) -> Reply[SilenceView]:
        """Change a silence; one whose past would change ends, and the answer is a new one in its place."""
        silence = await self._silences.revise(
            actor_of(call), id, body.changes(self._clock.now()), call.expected, mute_all=body.mute_all
        )
        return self._reply(silence)

    @delete("/silences/{id}", access=editor("silences:write"))
    async def expire(self, call: Call, id: str) -> None:
        """End a silence now; it stays listed as expired for five days."""
        await self._silences.expire(actor_of(call), id, call.expected)

    def _reply(self, silence: Silence) -> Reply[SilenceView]:
        view = self._view(silence)
        etag = f"{silence.revision}-{view.state}"
        if view.recurrence is not None and view.recurrence.next is not None:
            etag += f"_{int(view.recurrence.next.starts_at.timestamp())}"
        return Reply(data=view, etag=etag)

    def _view(self, silence: Silence) -> SilenceView:
        own, now = {"state", "matchers", "recurrence"}, self._clock.now()
        values = {name: getattr(silence, name) for name in SilenceView.model_fields if name not in own}
        return SilenceView(
            **values,
            state=silence.state(now),
            matchers=tuple(map(str, silence.matchers)),
            recurrence=_recurrence(silence, now),
        )


def _recurrence(silence: Silence, now: datetime) -> RecurrenceView | None:
    if silence.recurrence is None:
        return None
    return RecurrenceView(
        rrule=silence.recurrence.rrule,
        timezone=silence.recurrence.timezone,
        duration=silence.recurrence.duration,
        dtstart=silence.recurrence.dtstart_utc,
        current=_window(silence.window(now)),
        next=_window(silence.next_window(now)),
    )


def _window(window: Window | None) -> WindowView | None:
    return WindowView(starts_at=window.starts_at, ends_at=window.ends_at) if window is not None else None


def _matchers(given: tuple[str | MatcherModel, ...]) -> tuple[SilenceMatcher, ...]:
    return tuple(SilenceMatcher.parse(each) if isinstance(each, str) else each.matcher() for each in given)
