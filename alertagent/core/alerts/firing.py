"""What fires, by its labels: for whoever asks about all of it and must not hold it in memory at once."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime

from alertagent.core.alerts.service import sql
from alertagent.kernel.labels import Labels
from alertagent.storage.database import Database, Executor

AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """As much of an alert as tells which it is."""

    fingerprint: str
    labels: Labels


class FiringAlerts:
    """The alerts that fire."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, executor: Executor | None = None) -> int:
        count: int = await (executor or self._database).fetchval(sql.count_firing)
        return count

    async def having(
        self, labels: Labels, executor: Executor | None = None
    ) -> AsyncGenerator[Sequence[FiringAlert], None]:
        """Those that have all these labels, with these values; the one that began last first, some at a time."""
        after: tuple[datetime | None, str] = (None, "")
        while True:
            rows = await (executor or self._database).fetch(sql.firing_having, labels, *after, AT_ONCE)
            if rows:
                yield [FiringAlert(row["fingerprint"], row["labels"]) for row in rows]
                after = rows[-1]["starts_at"], rows[-1]["fingerprint"]
            if len(rows) < AT_ONCE:
                return
