"""What a change makes of a rule, decided before anything is written. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from alertagent.core.rules.check import check_rule
from alertagent.core.rules.model import Rule, RuleContent
from alertagent.kernel.errors import Detail, Invalid, NotFound, Problem, Stale

# Nobody reads past the first mistakes of a large batch.
MAX_FINDINGS = 100


class Change(StrEnum):
    """What happens to a rule. It is moved when an import gives it another place or owner, and changes nothing else."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    ROLLED_BACK = "rolled_back"
    RESTORED = "restored"
    MOVED = "moved"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who changes something, and when."""

    name: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change of one rule: `before` is None for one that is new, `after` for one that goes."""

    change: Change
    before: Rule | None
    after: Rule | None
    at: datetime
    comment: str = ""

    @property
    def rule(self) -> Rule:
        """The rule as it is after the change, or as it was last."""
        rule = self.after or self.before
        if rule is None:
            raise ValueError("an edit of nothing")
        return rule

    @property
    def revision(self) -> int:
        """The revision that the rule's history has after the change; a deletion counts as one."""
        return self.rule.revision + (self.after is None)

    @property
    def targets(self) -> set[str]:
        """Every target that may notice."""
        return {target for rule in (self.before, self.after) if rule is not None for target in rule.content.targets}


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Make a rule."""

    content: RuleContent
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revise:
    """Replace some fields. `expected` are the revisions of which one must be current, None for any."""

    id: str
    changes: Mapping[str, Any]
    expected: frozenset[int] | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Delete a rule."""

    id: str
    expected: frozenset[int] | None = None
    comment: str = ""


Operation = Create | Revise | Remove


def plan(operation: Operation, found: Mapping[str, Rule], new: Iterator[tuple[str, int]], author: Author) -> Edit:
    """What the operation does to the rule found, by id; `new` gives the id and position of a rule made.

    Raises Invalid, NotFound, Stale.
    """
    if isinstance(operation, Create):
        rule = created(operation.content, *next(new), author)
        return Edit(change=Change.CREATED, before=None, after=rule, at=author.at, comment=operation.comment)
    before = found.get(operation.id)
    if before is None:
        raise unknown(operation.id)
    require(before, operation.expected)
    if isinstance(operation, Remove):
        return Edit(change=Change.DELETED, before=before, after=None, at=author.at, comment=operation.comment)
    after = followed(before, revised(before.content, operation.changes), author)
    change = Change.UNCHANGED if after is before else Change.UPDATED
    return Edit(change=change, before=before, after=after, at=author.at, comment=operation.comment)


def plan_all(
    operations: Sequence[Operation], found: Mapping[str, Rule], new: Iterator[tuple[str, int]], author: Author
) -> list[Edit]:
    """What a batch does. Raises the same; the details say in which operation."""
    _refuse_repeated(operations)
    edits, refused = [], list[Invalid]()
    for index, operation in enumerate(operations):
        try:
            edits.append(plan(operation, found, new, author))
        except Invalid as problem:
            refused.append(within(("operations", index), problem))
            if len(refused) == MAX_FINDINGS:
                break
        except Problem as problem:
            raise type(problem)(
                f"operations.{index}: {problem.message}",
                code=problem.code,
                details=[Detail(("operations", index, "id"), problem.message)],
            ) from problem
    if refused:
        raise together(refused)
    return edits


def created(content: RuleContent, id: str, position: int, author: Author, *, source: str = "") -> Rule:
    """A new rule. Raises Invalid."""
    return Rule(
        id=id,
        content=checked(content),
        position=position,
        revision=1,
        created_by=author.name,
        created_at=author.at,
        updated_by=author.name,
        updated_at=author.at,
        source=source,
    )


def followed(before: Rule, content: RuleContent, author: Author) -> Rule:
    """The version after this one, or the same one where nothing changes. Raises Invalid."""
    if content == before.content or (content := checked(content)) == before.content:
        return before
    return replace(before, content=content, revision=before.revision + 1, updated_by=author.name, updated_at=author.at)


def require(rule: Rule, expected: frozenset[int] | None) -> None:
    """Raises Stale when the rule is at none of the revisions expected."""
    if expected is not None and rule.revision not in expected:
        raise Stale(f'rule "{rule.content.name}" was changed in the meantime; it is at {rule.version} now')


def unknown(id: str) -> NotFound:
    return NotFound(f'there is no rule "{id}"', code="rule.not_found")


def checked(content: RuleContent) -> RuleContent:
    """The rule as it is stored: the severity label, where it is given, is the severity. Raises Invalid."""
    if content.severity is None and "severity" in content.labels:
        content = replace(content, severity=content.labels["severity"])
    findings = check_rule(content)
    if not findings:
        return content
    first = findings[0]
    broken_expression = first.loc == ("expression",)
    place = f" (line {first.line}, column {first.column})" if first.line is not None else ""
    raise Invalid(
        f"{'.'.join(map(str, first.loc))}: {first.message}{place}",
        code="rule.expression_invalid" if broken_expression else "rule.invalid",
        details=findings,
    )


def revised(content: RuleContent, changes: Mapping[str, Any]) -> RuleContent:
    """The content with these fields replaced; a severity that came from the label follows the label."""
    follows = content.severity is not None and content.severity == content.labels.get("severity")
    if follows and "labels" in changes and "severity" not in changes:
        changes = {**changes, "severity": None}
    if follows and "severity" in changes and "labels" not in changes:
        changes = {**changes, "labels": {name: v for name, v in content.labels.items() if name != "severity"}}
    return replace(content, **changes)


def within(place: tuple[str | int, ...], problem: Invalid) -> Invalid:
    """The same problem, of something inside the input."""
    details = [Detail((*place, *found.loc), found.message, found.line, found.column) for found in problem.details]
    return Invalid(f"{'.'.join(map(str, place))}.{problem.message}", code=problem.code, details=details)


def together(problems: Sequence[Invalid]) -> Invalid:
    """Several problems as one, told by the first."""
    first, *others = problems
    details = [detail for problem in problems for detail in problem.details]
    more = f" (and {len(others)} more)" if others else ""
    return Invalid(first.message + more, code=first.code, details=details[:MAX_FINDINGS])


def _refuse_repeated(operations: Sequence[Operation]) -> None:
    """Two changes of one rule in one batch would depend on their order, and the second on a version not yet made."""
    seen: dict[str, int] = {}
    for index, operation in enumerate(operations):
        if isinstance(operation, Create):
            continue
        first = seen.setdefault(operation.id, index)
        if first != index:
            message = f'rule "{operation.id}" is changed by operation {first} already; put both changes into one'
            raise Invalid(f"operations.{index}: {message}", details=[Detail(("operations", index, "id"), message)])
