"""Whatever happens in whatever order, every task ends, and it ends once: told by a trigger in the database."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from alertagent.kernel.errors import Permanent
from alertagent.queue.reconciler import Reconciler
from alertagent.queue.task import Task
from alertagent.queue.worker import Workers
from tests.queue.bench import AT_ONCE, OPTIONS, QUEUE, Bench, open_bench, task, until

LEASE = timedelta(milliseconds=400)
FAST = replace(OPTIONS, lease=LEASE, settling=timedelta(milliseconds=300), grace=timedelta(milliseconds=100))

WATCH = """
CREATE TABLE ends (id uuid NOT NULL);
CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO ends VALUES (NEW.id); RETURN NEW; END $$;
CREATE TRIGGER ends AFTER UPDATE ON task_queue FOR EACH ROW
  WHEN (OLD.completed_at IS NULL AND NEW.completed_at IS NOT NULL) EXECUTE FUNCTION note_end();
"""


async def act(task: Task) -> None:
    """Do what the task says: `ok`, `slow`, `once` fails and then does not, `never` is a permanent failure."""
    match task.payload["act"]:
        case "slow":
            await asyncio.sleep(0.1)
        case "once" if not task.retry:
            raise RuntimeError("once")
        case "never":
            raise Permanent("never")


class Life:
    """Workers that come and go, on one event loop."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._group: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        await self.bench.redis.flushdb()
        # Not TRUNCATE: it makes and removes files, and waits while a checkpoint of the whole run keeps the disk busy.
        await self.bench.database.execute("DELETE FROM task_queue")
        await self.bench.database.execute("DELETE FROM ends")

    async def enqueue(self, acts: list[str]) -> None:
        await self.bench.enqueue(*(task(payload={"act": act}) for act in acts))

    async def lose(self, acts: list[str]) -> None:
        """The process ends between the commit and the ring."""
        async with self.bench.database.transaction() as tx:
            await self.bench.ledger.insert(tx, [task(payload={"act": act}) for act in acts])

    def start(self) -> None:
        self._group.append(asyncio.create_task(self._workers().run()))

    async def run(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def crash(self) -> None:
        """All at once, wherever they are: nothing is given back, nothing more is written down."""
        for worker in self._group:
            worker.cancel()
        await asyncio.gather(*self._group, return_exceptions=True)
        self._group.clear()

    async def flush(self) -> None:
        await self.bench.redis.flushdb()

    async def reconcile(self) -> None:
        reconciler = Reconciler([QUEUE], redis=self.bench.redis, ledger=self.bench.ledger, options=FAST)
        await reconciler.reconcile(QUEUE)

    async def steal(self) -> None:
        """Another worker claims what is held, as if its holder had been silent for the lease."""
        for stream in self.bench.keys.streams:
            with suppress(Exception):
                for item in await self.bench.redis.xpending_range(stream, "workers", "-", "+", 10):
                    await self.bench.redis.xclaim(stream, "workers", "thief", 0, [item["message_id"]])

    async def ended_twice(self) -> int:
        query = "SELECT count(*) FROM (SELECT id FROM ends GROUP BY id HAVING count(*) > 1) AS twice"
        return int(await self.bench.database.fetchval(query))

    async def end(self) -> None:
        self.start()
        try:
            await until(self._all_ended, timeout=20)
        finally:
            await self.crash()
        assert await self.ended_twice() == 0
        assert await self.bench.database.fetchval("SELECT count(*) FROM ends") == await self.bench.database.fetchval(
            "SELECT count(*) FROM task_queue"
        )

    async def _all_ended(self) -> bool:
        return await self.bench.open_rows() == 0

    def _workers(self) -> Workers:
        return Workers(
            {QUEUE: {"note": act}},
            redis=self.bench.redis,
            ledger=self.bench.ledger,
            options=FAST,
            rules={"note": AT_ONCE},
            producer=self.bench.producer,
        )


Runner = Callable[[Coroutine[Any, Any, Any]], Any]
ACTS = st.lists(st.sampled_from(["ok", "slow", "once", "never"]), min_size=1, max_size=8)


class History(RuleBasedStateMachine):
    """What may happen."""

    def __init__(self, life: Life, run: Runner) -> None:
        super().__init__()
        self._life = life
        self._run = run
        self._workers = 0
        run(life.begin())

    @rule(acts=ACTS)
    def enqueue(self, acts: list[str]) -> None:
        self._run(self._life.enqueue(acts))

    @rule(acts=ACTS)
    def lose_the_ring(self, acts: list[str]) -> None:
        self._run(self._life.lose(acts))

    @precondition(lambda self: self._workers < 2)
    @rule()
    def start(self) -> None:
        async def begin() -> None:
            self._life.start()

        self._run(begin())
        self._workers += 1

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.1, 0.5]))
    def run(self, seconds: float) -> None:
        self._run(self._life.run(seconds))

    @precondition(lambda self: self._workers > 0)
    @rule()
    def crash(self) -> None:
        self._run(self._life.crash())
        self._workers = 0

    @rule()
    def claim(self) -> None:
        self._run(self._life.steal())

    @rule()
    def flush(self) -> None:
        self._run(self._life.flush())

    @rule()
    def reconcile(self) -> None:
        self._run(self._life.reconcile())

    @invariant()
    def nothing_ends_twice(self) -> None:
        assert self._run(self._life.ended_twice()) == 0

    def teardown(self) -> None:
        self._run(self._life.end())


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("examples", "steps"), [(6, 12), pytest.param(60, 40, marks=pytest.mark.slow)], ids=["a few", "many"]
)
def test_every_task_ends_exactly_once(database_url: str, redis_url: str, examples: int, steps: int) -> None:
    with asyncio.Runner() as runner:
        opened = open_bench(database_url, redis_url)
        bench = runner.run(opened.__aenter__())
        runner.run(bench.database.execute(WATCH))
        try:
            run_state_machine_as_test(
                lambda: History(Life(bench), runner.run),  # type: ignore[arg-type]  # a factory serves as well
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opened.__aexit__(None, None, None))
