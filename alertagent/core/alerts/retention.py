"""What ended long ago is forgotten: alerts in batches, their timeline by whole weeks.

A week of the timeline is a part of the table `alert_events` and goes in one step. Rows for which there is no week yet,
because no worker ran for so long, lie in a part of their own until their week is made or they are too old.
"""

import asyncio
from datetime import datetime, timedelta

import structlog

from alertagent.core.alerts.service import sql
from alertagent.kernel.clock import Clock
from alertagent.storage.database import Database, Transaction

WEEK = timedelta(days=7)
WEEKS_AHEAD = 3
BATCH = 1000
PAUSE = timedelta(milliseconds=50)

log = structlog.get_logger()


class Retention:
    """Makes the weeks to come and forgets those that are gone."""

    def __init__(self, database: Database, clock: Clock, *, keep: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._keep = keep

    async def tidy(self) -> None:
        """Do all of it; again and again is fine, and so are several processes."""
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            if await transaction.fetchval(sql.lock_weeks):
                # Whoever inserts must not wait behind us while we wait behind somebody else.
                await transaction.execute("SET LOCAL lock_timeout = '2s'")
                ends = {row["name"]: row["ends_at"] for row in await transaction.fetch(sql.weeks)}
                for start in missing_weeks(now, set(ends.values())):
                    await _make_week(transaction, start)
                for name in (name for name, end in ends.items() if end <= now - self._keep):
                    await transaction.execute(f"DROP TABLE {name}")
                    log.info("timeline.forgotten", until=ends[name].isoformat())
        await self._database.execute(sql.forget_other_events, now - self._keep)
        await self._forget_alerts(now - self._keep)

    async def _forget_alerts(self, before: datetime) -> None:
        total, count = 0, BATCH
        while count == BATCH:
            status = await self._database.execute(sql.forget_alerts, before, BATCH)
            count = int(status.rpartition(" ")[2])
            total += count
            await asyncio.sleep(PAUSE.total_seconds())
        if total:
            log.info("alerts.forgotten", count=total)


def week_of(moment: datetime) -> datetime:
    """The Monday, 0:00 UTC, with which its week begins."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=moment.weekday())


def missing_weeks(now: datetime, ends: set[datetime]) -> list[datetime]:
    """The beginnings of weeks from this one on that are to be made, where parts end at these moments.

    What lies before the end of the oldest part belongs to that, for it has no beginning or is older than this week.
    """
    starts = [week_of(now) + WEEK * number for number in range(WEEKS_AHEAD)]
    first = min(ends, default=starts[0])
    return [start for start in starts if start >= first and start + WEEK not in ends]


async def _make_week(transaction: Transaction, start: datetime) -> None:
    """Rows that have come before their week was there move into it."""
    name, first, beyond = f"alert_events_{start:%Y%m%d}", start.isoformat(), (start + WEEK).isoformat()
    early = f"DELETE FROM alert_events_other WHERE at >= '{first}' AND at < '{beyond}' RETURNING *"  # noqa: S608 - ours
    for statement in (
        "LOCK TABLE alert_events_other IN ACCESS EXCLUSIVE MODE",
        f"CREATE TABLE {name} (LIKE alert_events INCLUDING DEFAULTS INCLUDING INDEXES)",
        f"WITH early AS ({early}) INSERT INTO {name} SELECT * FROM early",  # noqa: S608
        f"ALTER TABLE alert_events ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{beyond}')",
    ):
        await transaction.execute(statement)
