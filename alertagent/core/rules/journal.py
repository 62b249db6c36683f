"""Writing changes down: the rules, their versions, the audit rows and one task, all in the caller's transaction.

One rule and ten thousand take the same few statements.
"""

from collections.abc import Sequence
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
        await _store(transaction, edits)
        await _add_versions(transaction, actor, edits)
        await self._audit.record_all(transaction, actor, [_audited(edit) for edit in edits])
        await count_change(transaction)
        await self._producer.enqueue(transaction, _task(edits))


async def _store(transaction: Transaction, edits: Sequence[Edit]) -> None:
    new = [edit.after for edit in edits if edit.before is None and edit.after is not None]
    changed = [edit.after for edit in edits if edit.before and edit.after and edit.change is not Change.MOVED]
    moved = [edit.after for edit in edits if edit.after is not None and edit.change is Change.MOVED]
    gone = [edit.before.id for edit in edits if edit.before is not None and edit.after is None]
    if new:
        _require(len(new), await transaction.execute(sql.add, _rows(new)))
    if changed:
        _require(len(changed), await transaction.execute(sql.replace, _rows(changed)))
    if moved:
        _require(len(moved), await transaction.execute(sql.move, _rows(moved)))
    if gone:
        _require(len(gone), await transaction.execute(sql.remove, gone))


def _rows(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    return [row_of(rule) for rule in rules]


def _require(count: int, status: str) -> None:
    if int(status.rpartition(" ")[2]) != count:
        raise Conflict("the rules were changed in the meantime; read them again", code="rule.changed_meanwhile")


async def _add_versions(transaction: Transaction, actor: Actor, edits: Sequence[Edit]) -> None:
    versions = [
        {
            "rule_id": edit.rule.id,
            "revision": edit.revision,
            "change": edit.change,
            "document": edit.after.content.document() if edit.after else None,
            "author": actor.name,
            "comment": edit.comment,
            "at": edit.at,
            "position": edit.rule.position,
        }
        for edit in edits
        if edit.change is not Change.MOVED
    ]
    if versions:
        await transaction.execute(sql.add_versions, versions)


def _audited(edit: Edit) -> Record:
    moved = edit.change is Change.MOVED
    before, after = (
        None if rule is None else _place(rule) if moved else rule.content.document()
        for rule in (edit.before, edit.after)
    )
    return Record(action=f"rule.{edit.change}", subject=("rule", edit.rule.id), before=before, after=after)


def _place(rule: Rule) -> dict[str, Any]:
    return {"position": rule.position, "source": rule.source}


def _task(edits: Sequence[Edit]) -> NewTask:
    """One task, however many rules: it renders each configuration once."""
    targets = sorted({target for edit in edits for target in edit.targets})
    if sum(len(target.encode()) + 8 for target in targets) > MAX_TARGETS_LENGTH:
        targets = [EVERYWHERE]
    if len(edits) > 1:
        return CHANGED.task(RulesChanged(targets=tuple(targets), rules=len(edits)))
    return _KINDS[edits[0].change].task(RulesChanged(targets=tuple(targets), rule_id=edits[0].rule.id))
