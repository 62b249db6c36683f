"""The audit log: a row is written in the transaction of the change that it tells of, and never altered."""

from collections.abc import Mapping, Sequence
from typing import Any

from alertagent.core.audit.model import Actor, Record
from alertagent.storage.database import Executor
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.audit")

Document = Mapping[str, Any]


class Audit:
    """Adds rows. Documents must be free of secrets: whoever may read the log reads them."""

    async def record(
        self,
        transaction: Executor,
        actor: Actor,
        action: str,
        subject: tuple[str, str],
        *,
        before: Document | None = None,
        after: Document | None = None,
    ) -> None:
        """`action` is a word such as `rule.updated`, `subject` the kind and id of what was changed."""
        kind, id = subject
        await transaction.execute(
            sql.record, actor.name, action, kind, id, before, after, actor.request_id, actor.remote
        )

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
