"""The audit log: a row is written in the transaction of the change that it tells of, and never altered."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from alertagent.core.audit.model import Actor, Record
from alertagent.storage.database import Executor
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.audit")

Document = Mapping[str, Any]
Subject = tuple[str, str]
"""A kind, such as "rule", and an id."""


class Audit:
    """Adds rows. Documents must be free of secrets: whoever may read the log reads them.

    `changed` is told the kinds and ids of the subjects once their change is committed.
    """

    def __init__(self, changed: Callable[[Sequence[Subject]], None] | None = None) -> None:
        self._changed = changed

    async def record(
        self,
        transaction: Executor,
        actor: Actor,
        action: str,
        subject: Subject,
        *,
        before: Document | None = None,
        after: Document | None = None,
    ) -> None:
        """`action` is a word such as `rule.updated`, `subject` the kind and id of what was changed."""
        kind, id = subject
        await transaction.execute(
            sql.record, actor.name, action, kind, id, before, after, actor.request_id, actor.remote
        )
        self._tell(transaction, [subject])

    async def record_all(self, transaction: Executor, actor: Actor, records: Sequence[Record]) -> None:
        """Any number of rows in one statement."""
        rows = [
            {
                "action": record.action,
                "subject_kind": record.subject[0],
                "subject_id": record.subject[1],
                "before": record.before,
                "after": record.after,
            }
            for record in records
        ]
        await transaction.execute(sql.record_all, rows, actor.name, actor.request_id, actor.remote)
        self._tell(transaction, [record.subject for record in records])

    def _tell(self, transaction: Executor, subjects: Sequence[Subject]) -> None:
        if self._changed is not None:
            transaction.after_commit(partial(self._changed, subjects))
