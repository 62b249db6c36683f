"""Why was nobody paged? Over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from alertagent.core.alerts.model import AlertStatus
from alertagent.core.notify.explain import Explanation, Explanations
from alertagent.core.notify.reasons import Hearer, Path, why_held
from alertagent.core.routing.stages import Drop, Stage
from alertagent.web.access import viewer
from alertagent.web.call import Call
from alertagent.web.models import Duration, Model
from alertagent.web.routes import post

LabelName = Annotated[str, Field(min_length=1, max_length=1024)]
LabelValue = Annotated[str, Field(max_length=16_384)]


class ExplainRequest(Model):
    """Labels that an alert has or could have, or the id of a stored one."""

    labels: Annotated[dict[LabelName, LabelValue], Field(min_length=1, max_length=200)] | None = None
    alert: Annotated[str, Field(min_length=1, max_length=100)] | None = None

    @field_validator("labels")
    @classmethod
    def _can_be_stored(cls, labels: dict[str, str] | None) -> dict[str, str] | None:
        if any("\x00" in text for pair in (labels or {}).items() for text in pair):
            raise ValueError("holds the character U+0000, which no stored alert has")
        return labels

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.labels is None) == (self.alert is None):
            raise ValueError('give either "labels" or "alert", the id of one')
        return self


class RouteView(Model):
    """`group_by` is `["..."]` where alerts are grouped by all of their labels."""

    key: str
    matchers: tuple[str, ...]
    receiver: str
    group_by: tuple[str, ...]
    group_wait: Duration
    group_interval: Duration
    repeat_interval: Duration
    mute_time_intervals: tuple[str, ...]
    active_time_intervals: tuple[str, ...]


class GroupView(Model):
    """`next_look` is null where nothing is to come, and where the group does not exist yet."""

    key: str
    labels: dict[str, str]
    exists: bool
    next_look: datetime | None


class StageView(Model):
    """A stage that holds the alert back. `by`: silences, inhibiting alerts or time intervals."""

    stage: Stage
    by: tuple[str, ...]
    reason: str


class HearerView(Model):
    """A channel behind the receiver. `told_at`: when it was last told of the group.

    `held_back`: what of its own settings holds the alert back from it.
    """

    name: str
    id: str | None
    exists: bool
    enabled: bool
    paused_until: datetime | None
    told_at: datetime | None
    failed: bool
    being_told: bool
    held_back: StageView | None
    left_alone_until: Annotated[
        datetime | None, Field(description="Its provider has failed too often and is not called before.")
    ]


class PathView(Model):
    """One route that takes the alert."""

    route: RouteView
    group: GroupView
    held_back: tuple[StageView, ...]
    channels: tuple[HearerView, ...]


class AlertBrief(Model):
    id: str
    status: AlertStatus
    episode: int
    acknowledged_by: str | None


class ExplanationView(Model):
    """`alert` is null where none with these labels is stored; `answers` says it all in words."""

    labels: dict[str, str]
    alert: AlertBrief | None
    revision: Annotated[int, Field(description="Of the routing document; 0 where none is stored.")]
    routes: tuple[PathView, ...]
    answers: tuple[str, ...]


class ExplainApi:
    def __init__(self, explanations: Explanations) -> None:
        self._explanations = explanations

    @post("/routing/explain", access=viewer("routing:read"))
    async def explain(self, call: Call, body: ExplainRequest) -> ExplanationView:
        """Where an alert goes, whom it reaches there, and what holds it back."""
        if body.labels is not None:
            return _view(
                await self._explanations.of_labels({key: value for key, value in body.labels.items() if value})
            )
        return _view(await self._explanations.of_alert(body.alert or ""))


def _view(explanation: Explanation) -> ExplanationView:
    alert = explanation.alert
    return ExplanationView(
        labels=dict(explanation.labels),
        alert=None
        if alert is None
        else AlertBrief(
            id=alert.fingerprint,
            status=alert.status,
            episode=alert.episode,
            acknowledged_by=alert.acknowledged_by,
        ),
        revision=explanation.revision,
        routes=tuple(map(_path, explanation.paths)),
        answers=explanation.answers,
    )


def _path(path: Path) -> PathView:
    route, group = path.route, path.group
    return PathView(
        route=RouteView(
            key=route.key,
            matchers=tuple(map(str, route.matchers)),
            receiver=route.receiver,
            group_by=("...",) if route.group_by is None else route.group_by,
            group_wait=route.group_wait,
            group_interval=route.group_interval,
            repeat_interval=route.repeat_interval,
            mute_time_intervals=route.mute_time_intervals,
            active_time_intervals=route.active_time_intervals,
        ),
        group=GroupView(
            key=path.key,
            labels=dict(path.labels),
            exists=group is not None,
            next_look=group.flush_at if group is not None else None,
        ),
        held_back=tuple(_stage(drop, path.known) for drop in path.drops),
        channels=tuple(map(_hearer, path.hearers)),
    )


def _hearer(hearer: Hearer) -> HearerView:
    return HearerView(
        name=hearer.name,
        id=hearer.id,
        exists=hearer.id is not None,
        enabled=hearer.is_enabled,
        paused_until=hearer.paused_until,
        told_at=hearer.told.at if hearer.told is not None else None,
        failed=hearer.has_failed,
        being_told=hearer.is_being_told,
        held_back=_stage(hearer.drop) if hearer.drop is not None else None,
        left_alone_until=hearer.shut_until,
    )


def _stage(drop: Drop, known: Mapping[str, str] = MappingProxyType({})) -> StageView:
    return StageView(stage=drop.stage, by=drop.by, reason=why_held(drop, known))
