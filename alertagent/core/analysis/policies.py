"""Keeping the policy: one row, or the defaults where nobody said anything."""

from collections.abc import Mapping
from typing import Any

from alertagent.core.analysis.analyzers import sql
from alertagent.core.analysis.model import Policy
from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Stale
from alertagent.storage.database import Database, Executor


class Policies:
    """The policy in force."""

    def __init__(self, database: Database, audit: Audit, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def get(self, executor: Executor | None = None) -> Policy:
        row = await (executor or self._database).fetchrow(sql.policy)
        return _policy(row) if row is not None else Policy()

    async def revise(self, actor: Actor, changes: Mapping[str, Any], expected: frozenset[int] | None) -> Policy:
        """Replace what is given. Raises Stale."""
        async with self._database.transaction() as transaction:
            await transaction.execute(sql.lock_policy)
            before = await self.get(transaction)
            if expected is not None and before.revision not in expected:
                raise Stale(f"the policy was changed in the meantime; it is at revision {before.revision}")
            after = before.revised(changes)
            if after.as_json() == before.as_json():
                return before
            values = (list(after.filter), after.hold, after.max_per_hour, actor.name, self._clock.now())
            stored = _policy(await transaction.fetchrow(sql.store_policy, *values))
            await self._audit.record(
                transaction,
                actor,
                "analysis_policy.updated",
                ("analysis", "policy"),
                before=before.as_json(),
                after=stored.as_json(),
            )
        return stored


def _policy(row: Any) -> Policy:
    return Policy(
        filter=tuple(row["filter"]),
        hold=row["hold"],
        max_per_hour=row["max_per_hour"],
        revision=row["revision"],
        updated_by=row["updated_by"],
        updated_at=row["updated_at"],
    )
