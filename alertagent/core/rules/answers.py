"""Changes and versions of rules as HTTP sees them: batches, dry runs, history."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, WrapValidator, field_validator

from alertagent.core.clusters.model import ConfigType
from alertagent.core.rules.check import check_warnings
from alertagent.core.rules.edits import Change, Create, Edit, Operation, Remove, Revise
from alertagent.core.rules.history import Version, VersionDiff
from alertagent.core.rules.model import Status, revision_of, version_name
from alertagent.core.rules.preview import Preview
from alertagent.core.rules.views import Comment, ContentView, RuleChange, RuleRequest, RuleView, content_view, rule_view
from alertagent.web.models import Model

MAX_OPERATIONS = 10_000

Id = Annotated[str, Field(min_length=1, max_length=200)]


class DryRunQuery(Model):
    dry_run: Annotated[
        bool, Field(description="Only validate, and show what it would change in the configuration of each cluster.")
    ] = False


class RemoveQuery(DryRunQuery):
    comment: Comment = ""


class RollbackRequest(Model):
    """`version` is the one to return to; the result is a new version."""

    version: Annotated[str, Field(max_length=20, examples=["v1.0.3"])]
    comment: Comment = ""


class _Guarded(Model):
    """`if_version` names the version that must be current."""

    id: Id
    if_version: Annotated[str, Field(max_length=20, examples=["v1.0.3"])] | None = None

    @field_validator("if_version")
    @classmethod
    def _is_version(cls, value: str | None) -> str | None:
        if value is not None and revision_of(value) is None:
            raise ValueError("not a version; one looks like v1.0.3")
        return value

    @property
    def expected(self) -> frozenset[int] | None:
        revision = revision_of(self.if_version) if self.if_version is not None else None
        return frozenset({revision}) if revision is not None else None


class CreateOperation(RuleRequest):
    """A new rule."""

    op: Literal["create"]

    def operation(self, comment: str) -> Operation:
        return Create(content=self.content(), comment=self.comment or comment)


class UpdateOperation(RuleChange, _Guarded):
    """What is given replaces, what is absent stays, `null` clears what is optional."""

    op: Literal["update"]

    def operation(self, comment: str) -> Operation:
        return Revise(id=self.id, changes=self.changes(), expected=self.expected, comment=self.comment or comment)


class DeleteOperation(_Guarded):
    """The rule goes, here and on every target."""

    op: Literal["delete"]
    comment: Comment = ""

    def operation(self, comment: str) -> Operation:
        return Remove(id=self.id, expected=self.expected, comment=self.comment or comment)


_OPERATIONS: Mapping[str, type[CreateOperation | UpdateOperation | DeleteOperation]] = {
    "create": CreateOperation,
    "update": UpdateOperation,
    "delete": DeleteOperation,
}


def _chosen(value: Any, otherwise: Callable[[Any], Any]) -> Any:
    """Validated by its `op`, so that the place of a mistake is `operations.3.expression` and holds no tag."""
    op = value.get("op") if isinstance(value, dict) else None
    chosen = _OPERATIONS.get(op) if isinstance(op, str) else None
    return chosen.model_validate(value) if chosen is not None else otherwise(value)


AnyOperation = Annotated[
    Annotated[CreateOperation | UpdateOperation | DeleteOperation, Field(discriminator="op")], WrapValidator(_chosen)
]


class BatchRequest(Model):
    """All of it or nothing. `comment` is for operations that have none of their own."""

    operations: Annotated[tuple[AnyOperation, ...], Field(min_length=1, max_length=MAX_OPERATIONS)]
    comment: Comment = ""

    def content(self) -> list[Operation]:
        return [operation.operation(self.comment) for operation in self.operations]


class Outcome(Model):
    """What became of one rule. `id` is null for a rule that a dry run would make."""

    id: str | None
    name: str
    change: Change
    version: str


class Outcomes(Model):
    """How many rules were changed in which way, and each of them in the order of the request."""

    created: int
    updated: int
    unchanged: int
    deleted: int
    rules: tuple[Outcome, ...]
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, edits: Sequence[Edit], warnings: Sequence[str] = ()) -> Self:
        changes = [edit.change for edit in edits]
        return cls(
            created=changes.count(Change.CREATED),
            updated=changes.count(Change.UPDATED),
            unchanged=changes.count(Change.UNCHANGED) + changes.count(Change.MOVED),
            deleted=changes.count(Change.DELETED),
            rules=tuple(map(_outcome, edits)),
            warnings=tuple(warnings),
        )


class ConfigChangeView(Model):
    """One configuration that would change. `note` says what the diff leaves out, if it does."""

    cluster_id: str
    config_type: ConfigType
    added: int
    changed: int
    removed: int
    diff: str
    note: str


class RuleDryRun(Model):
    """What one change would do. `rule` is the rule as it would be, null for one that would go."""

    rule: RuleView | None
    clusters: tuple[ConfigChangeView, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, edit: Edit, status: Status, preview: Preview) -> Self:
        rule = edit.after
        if rule is not None and edit.change is Change.CREATED:
            rule = replace(rule, id="")
        doubts = check_warnings(rule.content) if rule is not None else ()
        return cls(
            rule=rule_view(rule, status) if rule is not None else None,
            clusters=_clusters(preview),
            warnings=(*(f"{'.'.join(map(str, each.loc))}: {each.message}" for each in doubts), *preview.warnings),
        )


class DryRun(Outcomes):
    """What many changes would do."""

    clusters: tuple[ConfigChangeView, ...]

    @classmethod
    def planned(cls, edits: Sequence[Edit], preview: Preview, warnings: Sequence[str] = ()) -> Self:
        outcomes = Outcomes.of(edits, warnings=(*warnings, *preview.warnings)).model_dump(exclude={"rules"})
        rules = tuple(_outcome(edit, stored=edit.change is not Change.CREATED) for edit in edits)
        return cls(**outcomes, rules=rules, clusters=_clusters(preview))


class VersionsQuery(Model):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[int | None, Field(ge=1, le=2**31 - 1, description="`page.next_cursor` of the page before.")] = (
        None
    )


class VersionSummary(Model):
    """`change` says how the version came about; the one that is a deletion has no rule."""

    version: str
    change: str
    author: str
    at: datetime
    comment: str


class VersionView(VersionSummary):
    """A rule as it was, null where this version is its deletion."""

    rule: ContentView | None


class DiffQuery(Model):
    from_: Annotated[
        str | None, Field(alias="from", max_length=20, description="A version; by default the one before `to`.")
    ] = None
    to: Annotated[str | None, Field(max_length=20, description="A version; by default the newest.")] = None


class DifferenceView(Model):
    """One field; `path` walks into the rule."""

    path: tuple[str, ...]
    before: Any
    after: Any


class DiffView(Model):
    """What the step between two versions changes, field by field and as a unified diff of YAML."""

    from_: Annotated[str | None, Field(serialization_alias="from")]
    to: str
    changes: tuple[DifferenceView, ...]
    diff: str


def version_summary(version: Version) -> VersionSummary:
    return VersionSummary(**_summary(version))


def version_view(version: Version) -> VersionView:
    return VersionView(**_summary(version), rule=content_view(version.content) if version.content is not None else None)


def diff_view(diff: VersionDiff) -> DiffView:
    return DiffView(
        from_=diff.before.name if diff.before is not None else None,
        to=diff.after.name,
        changes=tuple(DifferenceView(**asdict(each)) for each in diff.changes),
        diff=diff.text,
    )


def _summary(version: Version) -> dict[str, Any]:
    return {
        "version": version.name,
        "change": version.change,
        "author": version.author,
        "at": version.at,
        "comment": version.comment,
    }


def _outcome(edit: Edit, *, stored: bool = True) -> Outcome:
    rule = edit.rule
    version = version_name(edit.revision)
    return Outcome(id=rule.id if stored else None, name=rule.content.name, change=edit.change, version=version)


def _clusters(preview: Preview) -> tuple[ConfigChangeView, ...]:
    return tuple(ConfigChangeView(**asdict(each)) for each in preview.clusters)
