"""Writing changes down: the rules, their versions, the audit rows and one task, all in the caller's transaction.

One rule and ten thousand take the same few statements.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alertagent.core.audit.model import Actor, Record
from alertagent.core.audit.service import Audit
from alertagent.core.clusters.changes import count_change
from alertagent.core.rules.edits import Change, Edit
from alertagent.core.rules.kinds import CHANGED, CREATED, DELETED, UPDATED, RulesChanged
from alertagent.core.rules.model import Rule
from alertagent.core.rules.rows import row_of
from alertagent.kernel.errors import Conflict
from alertagent.queue.producer import Producer
from alertagent.queue.task import NewTask
from alertagent.storage.database import Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.rules")

# A selector that every cluster answers to, for when the targets themselves would be too much for one task.
EVERYWHERE = 'id=~".+"'
MAX_TARGETS_LENGTH = 32_768

_KINDS = {
    Change.CREATED: CREATED,
    Change.RESTORED: CREATED,
    Change.UPDATED: UPDATED,
    Change.ROLLED_BACK: UPDATED,
    Change.MOVED: UPDATED,
    Change.DELETED: DELETED,
}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entries:
    """What is written, as rows."""

    new: list[Row]
    changed: list[Row]
    moved: list[Row]
    gone: list[str]
    versions: list[Row]
    records: list[Record]
    task: NewTask


class Journal:
    """Where every change of a rule goes through."""

    def __init__(self, producer: Producer, audit: Audit) -> None:
        self._producer = producer
        self._audit = audit

    async def write(self, transaction: Transaction, actor: Actor, edits: Sequence[Edit]) -> None:
        """Store what changes. The rules of `before` must be locked; raises Conflict when they are not as they were."""
        edits = [edit for edit in edits if edit.change is not Change.UNCHANGED]
        if not edits:
            return
        # In a thread, because the loop has other work than to put thousands of rules into rows.
        entries = _entries(edits, actor) if len(edits) == 1 else await asyncio.to_thread(_entries, edits, actor)
        for statement, rows in (
            (sql.add, entries.new),
            (sql.replace, entries.changed),
            (sql.move, entries.moved),
            (sql.remove, entries.gone),
            (sql.add_versions, entries.versions),
        ):
            if rows:
                _require(len(rows), await transaction.execute(statement, rows))
        await self._audit.record_all(transaction, actor, entries.records)
        await count_change(transaction)
        await self._producer.enqueue(transaction, entries.task)


def _entries(edits: Sequence[Edit], actor: Actor) -> _Entries:
    kept = [(edit, edit.after) for edit in edits if edit.after is not None]
    return _Entries(
        new=[row_of(rule) for edit, rule in kept if edit.before is None],
        changed=[row_of(rule) for edit, rule in kept if edit.before is not None and edit.change is not Change.MOVED],
        moved=[row_of(rule) for edit, rule in kept if edit.change is Change.MOVED],
        gone=[edit.rule.id for edit in edits if edit.after is None],
        versions=[_version(edit, actor) for edit in edits if edit.change is not Change.MOVED],
        records=[_record(edit) for edit in edits],
        task=_task(edits),
    )


def _version(edit: Edit, actor: Actor) -> Row:
    return {
        "rule_id": edit.rule.id,
        "revision": edit.revision,
        "change": edit.change,
        "document": edit.after.content.document() if edit.after is not None else None,
        "author": actor.name,
        "comment": edit.comment,
        "at": edit.at,
        "position": edit.rule.position,
    }


def _record(edit: Edit) -> Record:
    shown = _place if edit.change is Change.MOVED else _document
    before, after = (shown(rule) if rule is not None else None for rule in (edit.before, edit.after))
    return Record(action=f"rule.{edit.change}", subject=("rule", edit.rule.id), before=before, after=after)


def _document(rule: Rule) -> Row:
    return rule.content.document()


def _place(rule: Rule) -> Row:
    return {"position": rule.position, "source": rule.source}


def _task(edits: Sequence[Edit]) -> NewTask:
    """One task, however many rules: it renders each configuration once."""
    targets = sorted({target for edit in edits for target in edit.targets})
    if sum(len(target.encode()) + 8 for target in targets) > MAX_TARGETS_LENGTH:
        targets = [EVERYWHERE]
    if len(edits) > 1:
        return CHANGED.task(RulesChanged(targets=tuple(targets), rules=len(edits)))
    return _KINDS[edits[0].change].task(RulesChanged(targets=tuple(targets), rule_id=edits[0].rule.id))


def _require(count: int, status: str) -> None:
    if int(status.rpartition(" ")[2]) != count:
        raise Conflict("the rules were changed in the meantime; read them again", code="rule.changed_meanwhile")
