"""How fast the queue is, as ratios to raw redis-py, raw asyncpg and other queues on the same engines in the same run.

    python -m benchmarks.queue --rounds 5
    python -m benchmarks.queue --peer saq=venv/bin/python --peer arq=venv-arq/bin/python
    python -m benchmarks.queue --only soak

Starts a PostgreSQL (fsync on) and a Valkey (AOF every second) of its own. Every figure is the median of the rounds,
every ratio that of the rounds' ratios: a busy machine disturbs both sides of a round. Run it as a module: as a script
its own name would hide the standard library's `queue`.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

import asyncpg
from redis.asyncio import Redis

from alertagent.engines import embedded
from alertagent.kernel.ids import new_id
from alertagent.queue.streams import Keys
from alertagent.storage.database import Database
from alertagent.storage.migrate import migrate
from benchmarks.contestants.ours import ALERT, INSERT_BATCH

COUNTS = {"noop": 60_000, "io": 10_000, "paced": 400, "durable": 10_000, "soak": 1_000_000}
# Other queues are one or two orders of magnitude slower, and a rate needs no more than a second or two.
PEERS_COUNTS = {"noop": 4_000, "io": 2_000}
THEORY_IO = 100 / 0.01
PAYLOAD = {"kind": "noop", "sent": 1700000000.123456, "alert": ALERT}

RAW_INSERT = """
INSERT INTO task_queue (id, queue_name, task_type, payload, priority, max_retry, scheduled_at)
SELECT id, 'bench', 'bench', payload, 1, 3, now() FROM unnest($1::uuid[], $2::jsonb[]) AS new (id, payload)
"""
ALERT = """
INSERT INTO alert_events (fingerprint, episode, kind, at) SELECT $1, 1, 'firing', now() WHERE $2::uuid IS NOT NULL
"""
ALERT_AND_TASK = """
WITH alert AS (
    INSERT INTO alert_events (fingerprint, episode, kind, at) VALUES ($1, 1, 'firing', now()) RETURNING fingerprint
)
INSERT INTO task_queue (id, queue_name, task_type, payload, priority, max_retry, scheduled_at)
SELECT $2, 'bench', 'bench', jsonb_build_object('alert', fingerprint), 1, 3, now() FROM alert
"""


@dataclass(frozen=True)
class Place:
    """Where the engines of this run answer."""

    database_url: str
    redis_port: int


@dataclass
class Figures:
    """One value a round, by name."""

    rounds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, contestant: str, kind: str, found: Mapping[str, float]) -> None:
        for name, value in found.items():
            self.rounds[f"{contestant} {kind} {name}"].append(value)

    def median(self, name: str) -> float:
        return statistics.median(self.rounds[name])

    def ratio(self, name: str, to: str) -> list[float]:
        return [one / other for one, other in zip(self.rounds[name], self.rounds[to], strict=True)]


@dataclass(frozen=True)
class Target:
    """`bound` is the least that the ratio may be, or the most where it is `at_most`."""

    title: str
    bound: float
    ratios: Callable[[Figures], list[float]]
    at_most: bool = False

    def line(self, figures: Figures) -> str:
        ratios = self.ratios(figures)
        middle = statistics.median(ratios)
        met = middle <= self.bound if self.at_most else middle >= self.bound
        sign, rounds = "≤" if self.at_most else "≥", " ".join(f"{ratio:.2f}" for ratio in ratios)
        return f"{'ok  ' if met else 'MISS'} {middle:8.2f}  {sign} {self.bound:<5g} {self.title}   [{rounds}]"


def targets(peers: list[str]) -> list[Target]:
    """What the run must show."""

    def fastest(figures: Figures, kind: str) -> list[float]:
        rates = [figures.rounds[f"{peer} {kind} rate"] for peer in peers]
        best = [max(each) for each in zip(*rates, strict=True)]
        return [ours / theirs for ours, theirs in zip(figures.rounds[f"ours {kind} rate"], best, strict=True)]

    found = [
        Target("no-op rate / raw redis-py", 0.5, lambda f: f.ratio("ours noop rate", "raw noop rate")),
        Target("worker CPU per no-op / raw", 4, lambda f: f.ratio("ours noop cpu", "raw noop cpu"), at_most=True),
        Target(
            "the same with a line of log each",
            4,
            lambda f: f.ratio("logged noop cpu", "raw noop cpu"),
            at_most=True,
        ),
        Target("bulk enqueue / raw pipelined", 0.5, lambda f: f.ratio("ours noop enqueue", "raw noop enqueue")),
        Target("10 ms tasks at 100 / theory", 0.85, lambda f: [r / THEORY_IO for r in f.rounds["ours io rate"]]),
        Target(
            "p50 enqueue→start at 200/s / raw", 2, lambda f: f.ratio("ours paced p50", "raw paced p50"), at_most=True
        ),
        Target(
            "p99 enqueue→start at 200/s / raw", 2, lambda f: f.ratio("ours paced p99", "raw paced p99"), at_most=True
        ),
        Target("durable tasks / raw UNNEST", 0.15, lambda f: f.ratio("durable path rate", "postgres insert rate")),
        Target("alert and task / alert alone", 0.85, lambda f: f.ratio("postgres both rate", "postgres alert rate")),
    ]
    if peers:
        found.append(Target("no-op rate / fastest peer", 15, lambda f: fastest(f, "noop")))
        found.append(Target("10 ms tasks / fastest peer", 8, lambda f: fastest(f, "io")))
    return found


class Run:
    """Contestants on the engines of one place; `pythons` says which interpreter has a peer."""

    def __init__(self, place: Place, pythons: Mapping[str, str]) -> None:
        self._place = place
        self._pythons = pythons
        self._figures = Figures()

    @property
    def figures(self) -> Figures:
        return self._figures

    async def round(self) -> None:
        for contestant in ("raw", "ours", *self._pythons):
            counts = PEERS_COUNTS if contestant in self._pythons else COUNTS
            for kind in ("noop", "io"):
                await self._backlog(contestant, kind, counts[kind])
        await self._backlog("ours", "noop", COUNTS["noop"], name="logged", LEVEL="debug")
        for contestant in ("raw", "ours"):
            self._figures.add(contestant, "paced", await self._stream(contestant, "paced", COUNTS["paced"]))
        await self._durable(COUNTS["durable"])
        await self._postgres()

    async def soak(self) -> None:
        """Memory over many tasks, enqueued while they run."""
        found = await self._stream("ours", "noop", COUNTS["soak"])
        self._show(f"soak: {found['rate']:,.0f} tasks/s, resident memory grew by {found['grown']:.1f} MiB")

    async def _backlog(self, contestant: str, kind: str, count: int, *, name: str = "", **environment: str) -> None:
        """Enqueue everything, then work."""
        await self._empty()
        enqueued = await self._side(contestant, "produce", kind, count, **environment)
        worked = await self._side(contestant, "work", kind, count, **environment)
        self._figures.add(name or contestant, kind, {**worked, "enqueue": enqueued["rate"]})

    async def _stream(self, contestant: str, kind: str, count: int, **environment: str) -> dict[str, float]:
        """Work while it is being enqueued."""
        await self._empty()
        worker = self._start(contestant, "work", kind, count, environment)
        try:
            await _line(worker)
            await asyncio.sleep(1)
            await self._side(contestant, "produce", kind, count, **environment)
            found: dict[str, float] = json.loads(await _line(worker))
        finally:
            worker.kill()
            worker.wait()
        return found

    async def _durable(self, count: int) -> None:
        """Enqueue, run and complete with rows, all at once; by the ledger's times from the first row to the last."""
        await self._empty()
        # It is not to count to its end: that comes before the last row is written.
        worker = self._start("ours", "work", "noop", 2 * count, {"DURABLE": "1"})
        try:
            await _line(worker)
            await asyncio.sleep(1)
            await self._side("ours", "produce", "noop", count, DURABLE="1")
            self._figures.add("durable", "path", {"rate": await self._completed(count)})
        finally:
            worker.kill()
            worker.wait()

    async def _completed(self, count: int) -> float:
        """Tasks per second by the ledger's own times."""
        connection = await asyncpg.connect(self._place.database_url)
        try:
            query = (
                "SELECT count(*) FILTER (WHERE status = 'completed'),"
                " extract(epoch FROM max(completed_at) - min(created_at)) FROM task_queue"
            )
            while (row := await connection.fetchrow(query))[0] < count:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
            return count / float(row[1])
        finally:
            await connection.close()

    async def _postgres(self) -> None:
        async with Database.connect(self._place.database_url) as database:
            await self._empty()
            rate = await _timed(COUNTS["durable"], INSERT_BATCH, 1, lambda count: _insert(database, count))
            alert = await _timed(3000, 1, 10, lambda _: database.execute(ALERT, "fingerprint", new_id()))
            both = await _timed(3000, 1, 10, lambda _: database.execute(ALERT_AND_TASK, "fingerprint", new_id()))
        for kind, found in (("insert", rate), ("alert", alert), ("both", both)):
            self._figures.add("postgres", kind, {"rate": found})

    async def _side(self, contestant: str, side: str, kind: str, count: int, **environment: str) -> dict[str, float]:
        process = self._start(contestant, side, kind, count, environment)
        output, _ = await asyncio.to_thread(process.communicate, timeout=300)
        if process.returncode:
            raise SystemExit(f"{contestant} {side} {kind} ended with status {process.returncode}")
        figures: dict[str, float] = json.loads(output.splitlines()[-1])
        return figures

    def _start(
        self, contestant: str, side: str, kind: str, count: int, environment: Mapping[str, str]
    ) -> "subprocess.Popen[str]":
        python = self._pythons.get(contestant, sys.executable)
        where = {"REDIS_PORT": str(self._place.redis_port), "DATABASE_URL": self._place.database_url}
        return subprocess.Popen(  # noqa: S603 - an interpreter that the caller named
            [python, "-m", f"benchmarks.contestants.{contestant}", side, kind, str(count)],
            env={**os.environ, **where, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    async def _empty(self) -> None:
        async with Redis(port=self._place.redis_port) as redis:
            await redis.flushall()
            # There was a worker before: the first one of all would look for what Redis has lost.
            await redis.set(Keys("bench").epoch, "before")
        connection = await asyncpg.connect(self._place.database_url)
        await connection.execute("TRUNCATE task_queue, alert_events")
        await connection.execute("CHECKPOINT")
        await connection.close()

    def report(self) -> None:
        for name in sorted(self._figures.rounds):
            self._show(f"{self._figures.median(name):14,.2f}  {name}")
        for target in targets(list(self._pythons)):
            self._show(target.line(self._figures))

    def _show(self, line: str) -> None:
        print(line, flush=True)  # noqa: T201


async def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    line = await asyncio.to_thread(process.stdout.readline)
    if not line:
        raise SystemExit("a worker ended before its work did")
    return line


async def _insert(database: Database, count: int) -> None:
    await database.execute(RAW_INSERT, [new_id() for _ in range(count)], [PAYLOAD] * count)


async def _timed(count: int, batch: int, at_once: int, one: Callable[[int], object]) -> float:
    """How many a second, `at_once` at a time."""
    batches = iter([batch] * (count // batch))

    async def go_on() -> None:
        for size in batches:
            await one(size)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(go_on())
    return count / (time.perf_counter() - began)


@asynccontextmanager
async def engines() -> AsyncIterator[Place]:
    with tempfile.TemporaryDirectory(prefix="alertagent-bench-") as directory:
        os.chmod(directory, 0o711)  # noqa: PTH101, S103 - the engines may run as another user
        async with embedded(Path(directory), postgres=True, redis=True) as running:
            await migrate(running.database_url or "")
            async with Redis.from_url(running.redis_url or "") as redis:
                port = _free_port()
                await redis.config_set("port", port)  # not every peer speaks to a Unix socket
            yield Place(database_url=running.database_url or "", redis_port=port)


def _free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help="arq, saq, streaq or taskiq")
    parser.add_argument("--only", choices=["soak"])
    options = parser.parse_args()
    async with engines() as place:
        run = Run(place, dict(peer.split("=", 1) for peer in options.peer))
        if options.only == "soak":
            await run.soak()
            return
        for _ in range(options.rounds):
            await run.round()
        run.report()


if __name__ == "__main__":
    asyncio.run(main())
