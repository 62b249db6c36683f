"""A queue under test: one producer, and as many workers as a test wants, on real engines."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from alertagent.queue import streams
from alertagent.queue.connection import connect
from alertagent.queue.dead_letters import DeadLetter, DeadLetters
from alertagent.queue.ledger import Entry, Ledger
from alertagent.queue.observer import NullObserver
from alertagent.queue.options import QueueOptions
from alertagent.queue.policy import Rule
from alertagent.queue.producer import Producer
from alertagent.queue.task import NewTask
from alertagent.queue.worker import Handler, Workers
from alertagent.storage.database import Database
from tests.support.waiting import Inbox

QUEUE = "work"
OPTIONS = QueueOptions(
    lease=timedelta(seconds=2),
    grace=timedelta(seconds=1),
    reconcile_every=timedelta(milliseconds=300),
    settling=timedelta(seconds=1),
)
AT_ONCE = Rule(base=timedelta(milliseconds=20), cap=timedelta(milliseconds=20))


@dataclass(frozen=True, slots=True)
class Finished:
    type: str
    outcome: str


class Observing(NullObserver):
    """Lets a test wait for what the queue reports."""

    def __init__(self) -> None:
        self.finished: Inbox[Finished] = Inbox()
        self.repaired: Inbox[int] = Inbox()

    def tasks_finished(
        self, queue: str, type: str, outcome: str, seconds: Sequence[float], waited: Sequence[float]
    ) -> None:
        for _ in zip(seconds, waited, strict=True):
            self.finished.add(Finished(type, outcome))

    def tasks_repaired(self, queue: str, count: int) -> None:
        self.repaired.add(count)


class Bench:
    """`observer` hears of everything that the workers of this bench end."""

    def __init__(self, database: Database, redis: Redis) -> None:
        self.database = database
        self.redis: Any = redis  # untyped: the types of its answers are unions of everything
        self.ledger = Ledger(database)
        self.producer = Producer(redis, self.ledger)
        self.observer = Observing()
        self.dead = DeadLetters(QUEUE, redis, self.ledger)
        self.keys = streams.Keys(QUEUE)

    async def enqueue(self, *tasks: NewTask) -> None:
        async with self.database.transaction() as tx:
            await self.producer.enqueue(tx, *tasks)

    @asynccontextmanager
    async def workers(
        self,
        handlers: Mapping[str, Handler],
        *,
        options: QueueOptions = OPTIONS,
        rules: Mapping[str, Rule] | None = None,
        others: Mapping[str, Mapping[str, Handler]] | None = None,
    ) -> AsyncIterator[Workers]:
        workers = Workers(
            {QUEUE: handlers, **(others or {})},
            redis=self.redis,
            ledger=self.ledger,
            options=options,
            rules=rules or dict.fromkeys(handlers, AT_ONCE),
            observer=self.observer,
            producer=self.producer,
        )
        async with workers.running():
            yield workers

    async def finished(self, count: int, timeout: float = 10) -> list[str]:  # noqa: ASYNC109
        """The outcomes so far, once there are that many."""
        return [one.outcome for one in await self.observer.finished.wait_for(count, timeout)]

    async def row(self, task: NewTask) -> Entry:
        entry = await self.ledger.get(task.id)
        assert entry is not None
        return entry

    async def letters(self, count: int) -> list[DeadLetter]:
        """The dead letters, once there are that many: the ledger knows of an end first."""
        await until(lambda: self._has_letters(count))
        return await self.dead.newest()

    async def _has_letters(self, count: int) -> bool:
        return len(await self.dead.newest()) == count

    async def open_rows(self) -> int:
        return int(await self.database.fetchval("SELECT count(*) FROM task_queue WHERE completed_at IS NULL"))

    async def entries(self) -> int:
        """How many entries lie in the streams and in the delayed set."""
        lengths: list[int] = [await self.redis.xlen(stream) for stream in self.keys.streams]
        return sum(lengths) + int(await self.redis.zcard(self.keys.delayed))


def task(type: str = "note", **changes: Any) -> NewTask:
    return NewTask(**{"queue": QUEUE, "type": type, "payload": {}, **changes})


async def until(condition: Callable[[], Awaitable[bool]], timeout: float = 10) -> None:  # noqa: ASYNC109
    """Look again and again at what nobody here can be told of: another process, an engine."""
    async with asyncio.timeout(timeout):
        while not await condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)


@asynccontextmanager
async def open_bench(database_url: str, redis_url: str) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.connect(database_url))
        redis = await stack.enter_async_context(connect(redis_url))
        bench = Bench(database, redis)
        await stack.enter_async_context(bench.producer.running())
        yield bench
