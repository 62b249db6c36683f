"""Rules and their versions: every change is checked, numbered, audited and told to the targets in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.core.clusters.changes import count_change
from alertagent.core.rules.check import check_rule
from alertagent.core.rules.kinds import RULE_CHANGED, RuleChanged
from alertagent.core.rules.model import Dialect, GroupOptions, Kind, Rule, RuleContent, Status
from alertagent.kernel.errors import Invalid, NotFound, Stale
from alertagent.kernel.ids import new_id
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.pages import Column, Listing, PageRequest, fetch_page
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.rules")

_MILLISECOND = timedelta(milliseconds=1)

LISTING = Listing(
    source=sql.listing,
    columns={
        "id": Column("t.id"),
        "name": Column("t.name"),
        "kind": Column("t.kind"),
        "dialect": Column("t.dialect"),
        "group": Column("t.group_name"),
        "severity": Column("coalesce(t.severity, '')"),
        "enabled": Column("t.enabled", "boolean"),
        "created_at": Column("t.created_at", "timestamptz"),
        "updated_at": Column("t.updated_at", "timestamptz"),
    },
    sort="-updated_at",
    key="t.id",
    labels="t.labels",
    search=("t.name", "t.expression", "t.record"),
)


class Statuses(Protocol):
    """Who knows how far rules have come to their targets."""

    async def of(self, rules: Sequence[Rule]) -> Mapping[str, Status]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePage:
    rules: list[Rule]
    next_cursor: str | None
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEdit:
    """One past change of a rule, as an analysis wants to know it."""

    rule_id: str
    name: str
    revision: int
    change: str
    author: str
    comment: str
    at: datetime


class Rules:
    """All rules."""

    def __init__(self, database: Database, producer: Producer, audit: Audit) -> None:
        self._database = database
        self._producer = producer
        self._audit = audit

    async def get(self, id: str) -> Rule:
        """Raises NotFound."""
        row = await self._database.fetchrow(sql.find, id)
        if row is None:
            raise _unknown(id)
        return _rule(row)

    async def page(self, request: PageRequest) -> RulePage:
        page = await fetch_page(self._database, LISTING, request)
        return RulePage(rules=[_rule(row) for row in page.rows], next_cursor=page.next_cursor, total=page.total)

    async def enabled(self, executor: Executor | None = None) -> list[Rule]:
        """Every enabled rule, in the order in which they were made."""
        return [_rule(row) for row in await (executor or self._database).fetch(sql.enabled)]

    async def recently_changed(self, name: str, since: datetime, until: datetime) -> list[RuleEdit]:
        """The changes of rules of this name in a span of time, newest first."""
        rows = await self._database.fetch(sql.recently_changed, since, until, name)
        return [RuleEdit(**dict(row)) for row in rows]

    async def add(self, actor: Actor, content: RuleContent, comment: str = "") -> Rule:
        """Store a new rule. Raises Invalid with the place of every finding."""
        content = checked(content)
        async with self._database.transaction() as transaction:
            row = await transaction.fetchrow(sql.add, new_id(), *_columns(content), actor.name)
            rule = _rule(row)
            await self._note(transaction, actor, "created", None, rule, comment=comment)
        return rule

    async def revise(
        self, actor: Actor, id: str, changes: Mapping[str, Any], expected: frozenset[int] | None, comment: str = ""
    ) -> Rule:
        """Replace the fields given; the result is checked as a whole. Nothing changed: the same version.

        Raises NotFound, Stale, Invalid.
        """
        async with self._database.transaction() as transaction:
            before = await self._current(transaction, id, expected)
            content = checked(revised(before.content, changes))
            if content == before.content:
                return before
            row = await transaction.fetchrow(sql.replace, id, *_columns(content), actor.name, before.revision)
            after = _rule(row)
            await self._note(transaction, actor, "updated", before, after, comment=comment)
        return after

    async def remove(self, actor: Actor, id: str, expected: frozenset[int] | None) -> None:
        """Delete the rule here and, through the sidecars, on every target. Its versions stay."""
        async with self._database.transaction() as transaction:
            before = await self._current(transaction, id, expected)
            await transaction.execute(sql.remove, id)
            await self._note(transaction, actor, "deleted", before, None)

    async def _current(self, transaction: Executor, id: str, expected: frozenset[int] | None) -> Rule:
        row = await transaction.fetchrow(sql.find_for_change, id)
        if row is None:
            raise _unknown(id)
        rule = _rule(row)
        if expected is not None and rule.revision not in expected:
            raise Stale(f'rule "{rule.content.name}" was changed in the meantime; it is at {rule.version} now')
        return rule

    async def _note(
        self,
        transaction: Transaction,
        actor: Actor,
        change: str,
        before: Rule | None,
        after: Rule | None,
        *,
        comment: str = "",
    ) -> None:
        """The version, the audit row and the task that belong to a change."""
        id, revision = (after.id, after.revision) if after else (before.id, before.revision + 1) if before else ("", 0)
        document = after.content.document() if after else None
        await transaction.execute(sql.add_version, id, revision, change, document, actor.name, comment)
        await self._audit.record(
            transaction,
            actor,
            f"rule.{change}",
            ("rule", id),
            before=before.content.document() if before else None,
            after=document,
        )
        await count_change(transaction)
        targets = {target for rule in (before, after) if rule is not None for target in rule.content.targets}
        payload = RuleChanged(rule_id=id, targets=tuple(sorted(targets)))
        await self._producer.enqueue(transaction, RULE_CHANGED[change].task(payload))


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


def _columns(content: RuleContent) -> tuple[Any, ...]:
    return (
        content.name,
        content.kind,
        content.record,
        content.dialect,
        content.expression,
        content.duration // _MILLISECOND,
        content.duration_parameter,
        _milliseconds(content.keep_firing_for),
        content.severity,
        content.labels,
        content.annotations,
        list(content.targets),
        content.group,
        _milliseconds(content.interval),
        content.group_options.document(),
        content.parameters,
        content.debug,
        content.update_entries_limit,
        content.notes,
        content.enabled,
    )


def _milliseconds(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // _MILLISECOND


def _duration(milliseconds: int | None) -> timedelta | None:
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)


def _rule(row: Any) -> Rule:
    content = RuleContent(
        name=row["name"],
        kind=Kind(row["kind"]),
        record=row["record"],
        dialect=Dialect(row["dialect"]),
        expression=row["expression"],
        duration=timedelta(milliseconds=row["duration"]),
        duration_parameter=row["duration_parameter"],
        keep_firing_for=_duration(row["keep_firing_for"]),
        severity=row["severity"],
        labels=row["labels"],
        annotations=row["annotations"],
        targets=tuple(row["targets"]),
        group=row["group_name"],
        interval=_duration(row["group_interval"]),
        group_options=GroupOptions.of(row["group_options"]),
        parameters=row["parameters"],
        debug=row["debug"],
        update_entries_limit=row["update_entries_limit"],
        notes=row["notes"],
        enabled=row["enabled"],
    )
    return Rule(
        id=row["id"],
        content=content,
        position=row["position"],
        revision=row["revision"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_by=row["updated_by"],
        updated_at=row["updated_at"],
    )


def _unknown(id: str) -> NotFound:
    return NotFound(f'there is no rule "{id}"', code="rule.not_found")
