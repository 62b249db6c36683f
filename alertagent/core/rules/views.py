"""Rules as HTTP sees them: what a request may say, what an answer shows."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, field_validator

from alertagent.core.rules.model import DEFAULT_GROUP, Dialect, GroupOptions, Kind, Rule, RuleContent, Status
from alertagent.kernel.durations import format_duration
from alertagent.kernel.errors import Detail
from alertagent.web.models import Duration, Model, read_duration

_PARAMETER = re.compile(r"\$\{([a-zA-Z_][a-zA-Z0-9_]*)\}")

Name = Annotated[str, Field(min_length=1, max_length=500)]
Group = Annotated[str, Field(min_length=1, max_length=200, description="The group whose rules run in sequence.")]
Text = Annotated[str, Field(max_length=16_384)]
Texts = Annotated[dict[Annotated[str, Field(max_length=500)], Text], Field(max_length=100)]
Targets = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...],
    Field(max_length=1000, description='Ids of clusters, or selectors of their labels such as `env="prod"`.'),
]


def _read_duration(value: Any) -> Any:
    """`${name}` becomes the bare name."""
    named = _PARAMETER.fullmatch(value) if isinstance(value, str) else None
    return named[1] if named else read_duration(value)


DurationOrParameter = Annotated[
    timedelta | str,
    BeforeValidator(_read_duration),
    PlainSerializer(
        lambda value: f"${{{value}}}" if isinstance(value, str) else format_duration(value), return_type=str
    ),
    WithJsonSchema(
        {
            "type": "string",
            "examples": ["5m", "${patience}"],
            "description": "A Prometheus duration, or one declared parameter that gives it.",
        }
    ),
]
Expression = Annotated[str, Field(min_length=1, max_length=65_536)]
Severity = Annotated[str, Field(min_length=1, max_length=100)]
Comment = Annotated[str, Field(max_length=1000, description="Why, for the history.")]
Record = Annotated[str, Field(min_length=1, max_length=500)]


UpdateEntriesLimit = Annotated[int, Field(ge=-1, le=10_000)]
Parameters = Annotated[
    dict[Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=100)], Text],
    Field(max_length=64, description="Declared parameters and their defaults; a cluster may set other values."),
]
Header = Annotated[str, Field(max_length=4096)]


class GroupOptionsModel(Model):
    """Options of the group beside its interval; those from `type` on are vmalert's."""

    query_offset: Duration | None = None
    limit: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    labels: Texts = {}
    partial_response_strategy: Literal["warn", "abort"] | None = None
    type: Annotated[str, Field(min_length=1, max_length=50)] | None = None
    concurrency: Annotated[int, Field(ge=0, le=10_000)] | None = None
    params: Annotated[dict[Annotated[str, Field(max_length=500)], tuple[Text, ...]], Field(max_length=100)] = {}
    headers: Annotated[tuple[Header, ...], Field(max_length=100)] = ()
    notifier_headers: Annotated[tuple[Header, ...], Field(max_length=100)] = ()
    eval_offset: Duration | None = None
    eval_delay: Duration | None = None
    eval_alignment: bool | None = None
    tenant: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    debug: bool | None = None

    def content(self) -> GroupOptions:
        return GroupOptions(**{name: getattr(self, name) for name in GroupOptionsModel.model_fields})


class RuleRequest(Model):
    name: Name
    expression: Expression
    duration: DurationOrParameter = timedelta()
    severity: Severity | None = None
    labels: Texts = {}
    annotations: Texts = {}
    targets: Targets = ()
    group: Group = DEFAULT_GROUP
    interval: Duration | None = None
    keep_firing_for: Duration | None = None
    kind: Kind = Kind.ALERTING
    record: Record | None = None
    dialect: Dialect = Dialect.PROMQL
    group_options: GroupOptionsModel = GroupOptionsModel()
    parameters: Parameters = {}
    debug: bool | None = None
    update_entries_limit: UpdateEntriesLimit | None = None
    notes: Text = ""
    enabled: bool = True
    comment: Comment = ""

    def content(self) -> RuleContent:
        return RuleContent(**_content({name: getattr(self, name) for name in RuleRequest.model_fields}))


class RuleChange(Model):
    """What is given replaces, what is absent stays, `null` clears what is optional."""

    name: Name | None = None
    expression: Expression | None = None
    duration: DurationOrParameter | None = None
    severity: Severity | None = None
    labels: Texts | None = None
    annotations: Texts | None = None
    targets: Targets | None = None
    group: Group | None = None
    interval: Duration | None = None
    keep_firing_for: Duration | None = None
    kind: Kind | None = None
    record: Record | None = None
    dialect: Dialect | None = None
    group_options: GroupOptionsModel | None = None
    parameters: Parameters | None = None
    debug: bool | None = None
    update_entries_limit: UpdateEntriesLimit | None = None
    notes: Text | None = None
    enabled: bool | None = None
    comment: Comment = ""

    @field_validator("name", "expression")
    @classmethod
    def _is_not_optional(cls, value: str | None) -> str:
        if value is None:
            raise ValueError("cannot be cleared")
        return value

    def changes(self) -> dict[str, Any]:
        cleared = RuleRequest.model_fields
        given = {name: getattr(self, name) for name in self.model_fields_set & cleared.keys()}
        return _content({name: cleared[name].default if value is None else value for name, value in given.items()})


class ContentView(Model):
    """What people decide about a rule."""

    name: str
    kind: Kind
    record: str | None
    dialect: Dialect
    expression: str
    duration: DurationOrParameter
    keep_firing_for: Duration | None
    severity: str | None
    labels: dict[str, str]
    annotations: dict[str, str]
    targets: tuple[str, ...]
    group: str
    interval: Duration | None
    group_options: GroupOptionsModel
    parameters: dict[str, str]
    debug: bool | None
    update_entries_limit: int | None
    notes: str
    enabled: bool


class RuleView(ContentView):
    """`source` names the import that owns the rule, if one does. In a dry run a new rule has no `id` yet."""

    id: str
    source: str
    version: str
    status: Status
    created_by: str
    created_at: datetime
    updated_by: str
    updated_at: datetime


class Finding(Model):
    loc: tuple[str | int, ...]
    message: str
    line: int | None
    column: int | None


class Verdict(Model):
    valid: bool
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def rule_view(rule: Rule, status: Status) -> RuleView:
    named = ("id", "source", "version", "created_by", "created_at", "updated_by", "updated_at")
    return RuleView(**_shown(rule.content), status=status, **{name: getattr(rule, name) for name in named})


def content_view(content: RuleContent) -> ContentView:
    return ContentView(**_shown(content))


def finding(found: Detail) -> Finding:
    return Finding(loc=found.loc, message=found.message, line=found.line, column=found.column)


def _content(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a RuleContent from those of a body."""
    values = {name: value for name, value in values.items() if name != "comment"}
    if "duration" in values:
        parameter = values["duration"] if isinstance(values["duration"], str) else None
        values |= {"duration_parameter": parameter, "duration": timedelta() if parameter else values["duration"]}
    if "group_options" in values:
        values["group_options"] = values["group_options"].content()
    return values


def _shown(content: RuleContent) -> dict[str, Any]:
    """The fields of a ContentView from those of a RuleContent."""
    values = {name: getattr(content, name) for name in ContentView.model_fields}
    options = {name: getattr(content.group_options, name) for name in GroupOptionsModel.model_fields}
    parameter = content.duration_parameter
    duration = f"${{{parameter}}}" if parameter else content.duration
    return values | {"group_options": GroupOptionsModel(**options), "duration": duration}
