"""How a task ends: first in the ledger, then in Redis.

Two loops. The first writes outcomes to the ledger in batches and learns which of them count: an outcome that the
ledger does not take belongs to a task that somebody else has ended or judged, and has no consequence. The second
takes the entries out of Redis. Whatever cannot be written stays here and is tried again, so both engines may be
away for a while; both kinds of writes may safely be repeated.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from redis.exceptions import NoScriptError

from alertagent.queue import streams
from alertagent.queue.dead_letters import compose
from alertagent.queue.holdings import Delivery
from alertagent.queue.ledger import Judged
from alertagent.queue.options import HORIZON
from alertagent.queue.policy import Bury, RetryIn, Verdict, Why
from alertagent.queue.reports import report
from alertagent.queue.station import Station
from alertagent.queue.streams import GROUP
from alertagent.queue.task import encode

BATCH = 500
# What ends within so many seconds is written together: Redis wants few trips, and each commit waits for a disk.
GATHER_FOR_REDIS, GATHER_FOR_LEDGER = 0.002, 0.02

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Drop:
    """There is nothing to do: the task has ended, or is somewhere else."""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Nothing is decided: another worker is to take it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that failed, and what follows from it."""

    delivery: Delivery
    verdict: Verdict
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Leaving:
    """An entry that leaves its stream. `delivery` is None where it was never a task in our hands."""

    level: int
    entry: bytes
    removal: Drop | GiveBack | Verdict
    envelope: bytes
    delivery: Delivery | None = None
    traceback: str = ""


class Settler:
    """Writes down what became of the tasks of one pool; `delayed` is called when some were put off."""

    def __init__(self, station: Station, *, delayed: Callable[[], None]) -> None:
        self._station = station
        self._holdings = station.holdings
        self._delayed = delayed
        self._done: list[Delivery] = []
        self._failed: list[Failure] = []
        self._untold: list[Delivery] = []
        self._gone: list[Delivery] = []
        self._leaving: list[Leaving] = []
        self._decided = asyncio.Event()
        self._left = asyncio.Event()
        self._idle = asyncio.Event()
        self._at_once: bool | None = None

    def done(self, delivery: Delivery) -> None:
        """It ran to its end."""
        self._holdings.end(delivery)
        if delivery.task.durable:
            self._done.append(delivery)
            self._decided.set()
        else:
            self._untold.append(delivery)
            self._left.set()

    def failed(self, delivery: Delivery, verdict: Verdict, traceback: str = "") -> None:
        """It failed, or cannot even be tried."""
        self._holdings.end(delivery)
        failure = Failure(delivery, verdict, traceback)
        if delivery.task.durable:
            self._failed.append(failure)
            self._decided.set()
        else:
            self._conclude([failure], {delivery.task.id})

    def cancelled(self, delivery: Delivery) -> None:
        """Somebody did not want it any more: the ledger has it as failed already."""
        self.remove(delivery, Drop())
        self._tell("cancelled", [delivery])

    def remove(self, delivery: Delivery, removal: Drop | GiveBack) -> None:
        """Take a delivery out of Redis about which the ledger learns nothing new."""
        self._holdings.end(delivery)
        self._leave(Leaving(delivery.level, delivery.entry, removal, delivery.envelope, delivery))

    def discard(self, level: int, entry: bytes, envelope: bytes, removal: Drop | GiveBack | Bury) -> None:
        """Take an entry out of Redis that is no delivery of ours."""
        self._leave(Leaving(level, entry, removal, envelope))

    async def drained(self) -> None:
        """Wait until everything is written down."""
        while self._done or self._failed or self._untold or self._gone or self._leaving:
            self._idle.clear()
            await self._idle.wait()

    async def write_ledger(self) -> None:
        """One step of the first loop."""
        await self._decided.wait()
        if len(self._done) < BATCH:
            await asyncio.sleep(GATHER_FOR_LEDGER)
        await self._write_done(self._done[:BATCH])
        await self._write_failed(self._failed[:BATCH])
        if not self._done and not self._failed:
            self._decided.clear()

    async def _write_done(self, batch: Sequence[Delivery]) -> None:
        if batch:
            moments = {one.task.id: one.started_at or datetime.now(UTC) for one in batch}
            counted = await self._station.ledger.complete(moments)
            del self._done[: len(batch)]
            for delivery in batch:
                self._holdings.written(delivery)
            self._gone += batch
            self._left.set()
            self._completed([delivery for delivery in batch if delivery.task.id in counted])

    async def _write_failed(self, batch: Sequence[Failure]) -> None:
        if batch:
            counted = await self._station.ledger.judge([_judged(failure) for failure in batch])
            del self._failed[: len(batch)]
            self._conclude(batch, counted)

    def _conclude(self, batch: Sequence[Failure], counted: set[str]) -> None:
        for failure in batch:
            delivery = failure.delivery
            counts = delivery.task.id in counted
            removal = _removal(failure, counts=counts)
            self._leave(
                Leaving(delivery.level, delivery.entry, removal, delivery.envelope, delivery, failure.traceback)
            )
            if counts:
                report(delivery.task, delivery.seconds, failure.verdict)
                self._tell("retried" if isinstance(failure.verdict, RetryIn) else "buried", [delivery])

    def _completed(self, deliveries: Sequence[Delivery]) -> None:
        # Not a line for each unless somebody asks for it: metrics count them, and the ledger has their rows.
        if log.is_enabled_for(logging.DEBUG):
            for delivery in deliveries:
                report(delivery.task, delivery.seconds, None)
        self._tell("completed", deliveries)

    def _tell(self, outcome: str, deliveries: Sequence[Delivery]) -> None:
        """The observer hears of many at once, because counting them one by one would cost as much as running them."""
        by_type: defaultdict[str, list[Delivery]] = defaultdict(list)
        for delivery in deliveries:
            by_type[delivery.task.type].append(delivery)
        for type, ones in by_type.items():
            seconds, waited = [one.seconds for one in ones], [_waited(one) for one in ones]
            self._station.observer.tasks_finished(self._station.queue, type, outcome, seconds, waited)

    def _leave(self, leaving: Leaving) -> None:
        if leaving.delivery is not None:
            self._holdings.written(leaving.delivery)
        self._leaving.append(leaving)
        self._left.set()

    async def write_redis(self) -> None:
        """One step of the second loop."""
        await self._left.wait()
        if len(self._untold) + len(self._gone) < BATCH:
            await asyncio.sleep(GATHER_FOR_REDIS)
        if self._untold:
            untold, self._untold = self._untold, []
            self._completed(untold)
            self._gone += untold
        gone, batch = self._gone[:BATCH], self._leaving[:BATCH]
        await self._send(gone, batch)
        del self._gone[: len(gone)], self._leaving[: len(batch)]
        self._release(gone)
        self._release([leaving.delivery for leaving in batch if leaving.delivery is not None])
        if not self._untold and not self._gone and not self._leaving:
            self._left.clear()
            self._idle.set()
        if any(isinstance(leaving.removal, RetryIn) for leaving in batch):
            self._delayed()

    def _release(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            self._holdings.release(delivery)

    async def _send(self, gone: Sequence[Delivery], batch: Sequence[Leaving]) -> None:
        if self._at_once is None:
            self._at_once = bool(await streams.able(self._station.redis, [self._station.keys.dead]))
        async with streams.pipeline(self._station.redis) as pipeline:
            dropped: defaultdict[int, list[bytes]] = defaultdict(list)
            for delivery in gone:
                dropped[delivery.level].append(delivery.entry)
            for leaving in batch:
                if isinstance(leaving.removal, Drop):
                    dropped[leaving.level].append(leaving.entry)
                else:
                    self._move(pipeline, leaving, leaving.removal)
            for level, entries in dropped.items():
                streams.remove(pipeline, self._station.keys.stream(level), entries, at_once=self._at_once)
            answers = await pipeline.execute(raise_on_error=False)
        await self._check([answer for answer in answers if isinstance(answer, Exception)])

    async def _check(self, errors: Sequence[Exception]) -> None:
        if any(isinstance(error, NoScriptError) for error in errors):
            await streams.load(self._station.redis)
        if errors:
            self._at_once = None  # after a fail-over it may be another version
            raise errors[0]  # and the whole batch is sent again

    def _move(self, pipeline: Any, leaving: Leaving, removal: GiveBack | Verdict) -> None:
        keys = self._station.keys
        stream = keys.stream(leaving.level)
        match removal:
            case GiveBack():
                envelope = encode(leaving.delivery.task, again=True) if leaving.delivery else leaving.envelope
                streams.move.add(pipeline, [stream, stream], GROUP, leaving.entry, 0, streams.FIELD, envelope)
            case RetryIn(delay):
                wait = delay // timedelta(milliseconds=1) + 1
                again = _next(leaving, removal)
                streams.retry.add(pipeline, [stream, keys.delayed], GROUP, leaving.entry, wait, again)
            case Bury():
                kept = self._station.options.dead_letters_kept
                letter = self._dead_letter(leaving, removal)
                streams.move.add(pipeline, [stream, keys.dead], GROUP, leaving.entry, kept, *letter)

    def _dead_letter(self, leaving: Leaving, bury: Bury) -> list[str | bytes | int]:
        delivery = leaving.delivery
        letter = compose(
            leaving.envelope,
            delivery.task if delivery else None,
            why=bury.why,
            error=bury.error,
            level=leaving.level,
            by=self._station.consumer,
            traceback=leaving.traceback,
            runs=delivery.task.retry + (delivery.started_at is not None) if delivery else 0,
            deliveries=delivery.deliveries if delivery else 1,
        )
        return [part for pair in letter.items() for part in pair]


def _waited(delivery: Delivery) -> float:
    """Seconds from when it was due until it was started."""
    due = delivery.task.due
    return max(0.0, ((delivery.started_at or due) - due).total_seconds())


def _judged(failure: Failure) -> Judged:
    verdict, task = failure.verdict, failure.delivery.task
    return Judged(
        id=task.id,
        retry=task.retry,
        delay=verdict.delay if isinstance(verdict, RetryIn) else None,
        error=verdict.error,
        started_at=failure.delivery.started_at,
        why=verdict.why.value if isinstance(verdict, Bury) else None,
        spends=not isinstance(verdict, RetryIn) or verdict.spends,
    )


def _removal(failure: Failure, *, counts: bool) -> Drop | Verdict:
    verdict, durable = failure.verdict, failure.delivery.task.durable
    match verdict:
        case RetryIn(delay) if counts and (delay <= HORIZON or not durable):
            return verdict
        case Bury(why) if counts or why is Why.UNKNOWN_TYPE:
            # A stranger's task has no row, but it is kept for inspection all the same.
            return verdict
        case _:
            return Drop()


def _next(leaving: Leaving, verdict: RetryIn) -> bytes:
    if leaving.delivery is None:
        raise ValueError("only a task can be tried again")
    task = leaving.delivery.task
    most = task.max_retry + (not verdict.spends)
    due = datetime.now(UTC) + verdict.delay
    return streams.member(leaving.level, encode(task._replace(retry=task.retry + 1, max_retry=most, due=due)))
