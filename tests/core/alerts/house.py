"""AlertAgent's parts on real engines without any worker: the test moves the clock and says when tasks run."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson

from alertagent.app import Parts
from alertagent.core.alerts.intake import Received, Timeouts, read_api_v2
from alertagent.core.alerts.model import Alert
from alertagent.core.analysis import tasks as analysis_tasks
from alertagent.kernel.clock import rfc3339
from alertagent.kernel.errors import Delayed, Permanent, Postponed
from alertagent.kernel.labels import fingerprint
from alertagent.keys import seals_of
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.transport import Transport
from alertagent.queue.connection import connect
from alertagent.queue.ledger import entry
from alertagent.queue.task import Task
from alertagent.storage.database import Database
from tests.support.service import make_settings

Answer = TypeVar("Answer")

TIMEOUTS = Timeouts(resolve=timedelta(minutes=5), stale=timedelta(hours=24))


class HandClock:
    """Stands still until it is moved; ahead of the database's, by whose time a retry would be due in a slow test."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)

    def now(self) -> datetime:
        return self.time

    def move(self, **duration: float) -> datetime:
        self.time += timedelta(**duration)
        return self.time


@dataclass(frozen=True, slots=True)
class House:
    parts: Parts
    clock: HandClock

    @property
    def database(self) -> Database:
        return self.parts.database

    async def post(self, *alerts: Mapping[str, Any]) -> Received:
        """Through the door of API v2."""
        received = read_api_v2(orjson.dumps(list(alerts)), cluster=None, timeouts=TIMEOUTS, now=self.clock.now())
        assert not received.refused
        await self.parts.alerts.ingest(received.alerts)
        return received

    async def fire(self, name: str, ago: float = 0, **labels: str) -> Alert:
        """An alert that began so many seconds ago and, unless it is resolved, goes on for a day."""
        starts_at, ends_at = self.clock.now() - timedelta(seconds=ago), self.clock.now() + timedelta(days=1)
        return await self._posted(name, labels, starts_at=starts_at, ends_at=ends_at)

    async def resolve(self, name: str, **labels: str) -> Alert:
        return await self._posted(name, labels, starts_at=None, ends_at=self.clock.now())

    async def waiting(self) -> int:
        """How many wait for a lock, as soon as one does and the others have had the time to."""
        count = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        await until(lambda: self.database.fetchval(count))
        for _ in range(50):  # as many answers of the database as the others would need to wait, too
            await self.database.fetchval("SELECT 1")
        found: int = await self.database.fetchval(count)
        return found

    async def _posted(
        self, name: str, labels: Mapping[str, str], *, starts_at: datetime | None, ends_at: datetime
    ) -> Alert:
        named = {"alertname": name, **labels}
        begin = {} if starts_at is None else {"startsAt": rfc3339(starts_at)}
        await self.post({"labels": named, "endsAt": rfc3339(ends_at), **begin})
        return await self.parts.alerts.get(fingerprint(named))

    async def work(self, *types: str) -> int:
        """Run the tasks that are due, and those that they bring about, until none is left; how many ran.

        With `types`, only tasks of these types.
        """
        count = 0
        while rows := await self.database.fetch(
            "SELECT * FROM task_queue WHERE status = 'pending' AND scheduled_at <= greatest($1, now())"
            " AND (cardinality($2::text[]) = 0 OR task_type = ANY ($2)) AND queue_name <> 'config_sync'"
            " ORDER BY scheduled_at, id",
            self.clock.now(),
            list(types),
        ):
            for row in rows:
                await self.run(entry(row).as_task())
                count += 1
        return count

    async def run(self, task: Task) -> None:
        """One attempt, with the consequences that the queue would draw from it."""
        handlers = {
            **self.parts.notification_handlers(),
            **analysis_tasks.handlers(self.parts.analyses),
        }
        try:
            await handlers[task.type](task)
        except Permanent as problem:
            await self._end(task, "failed", problem.message)
        except Delayed as problem:
            pause = problem.retry_after or timedelta(seconds=1)
            is_free = isinstance(problem, Postponed)
            if task.retry >= task.max_retry and not is_free:
                await self._end(task, "failed", problem.message)
                return
            await self.database.execute(
                "UPDATE task_queue SET retry_count = retry_count + 1, max_retry = max_retry + $3, scheduled_at = $2"
                " WHERE id = $1",
                task.id,
                self.clock.now() + pause,
                int(is_free),
            )
        else:
            await self._end(task, "completed", None)

    async def _end(self, task: Task, status: str, error: str | None) -> None:
        await self.database.execute(
            "UPDATE task_queue SET status = $2, error_message = $3, completed_at = now() WHERE id = $1",
            task.id,
            status,
            error,
        )


async def until(ask: Callable[[], Awaitable[Answer]], timeout: float = 10) -> Answer:  # noqa: ASYNC109
    """The first true answer."""
    async with asyncio.timeout(timeout):
        while not (answer := await ask()):  # noqa: ASYNC110 - it is another process, or a worker, that changes
            await asyncio.sleep(0.02)
        return answer


@asynccontextmanager
async def open_house(database_url: str, redis_url: str, *, connections: int = 10) -> AsyncIterator[House]:
    clock, guard = HandClock(), AddressGuard(["127.0.0.0/8"])
    async with (
        Database.connect(database_url, connections=connections) as database,
        connect(redis_url) as redis,
        Transport(guard, timeout=timedelta(seconds=1)) as transport,
    ):
        settings = make_settings(database_url, redis_url)
        parts = Parts(
            settings,
            database=database,
            redis=redis,
            transport=transport,
            guard=guard,
            clock=clock,
            seals=await seals_of(settings, database),
        )
        parts.prompt.most = 0  # a delivery is a task that a test can hold
        committing = asyncio.create_task(parts.alerts.committing())
        try:
            yield House(parts, clock)
        finally:
            committing.cancel()
            await asyncio.wait([committing])
