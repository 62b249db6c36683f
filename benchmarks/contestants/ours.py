"""AlertAgent's queue as `serve` runs it: metrics and logging on, each task in a context that names it.

DURABLE=1 in the environment enqueues with rows in the ledger, else only into Redis; completion follows from that.
LEVEL is the least level that is logged.
"""

import contextlib
import os
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import uvloop

from alertagent import log
from alertagent.metrics import Metrics
from alertagent.queue.connection import connect
from alertagent.queue.ledger import Ledger
from alertagent.queue.options import QueueOptions
from alertagent.queue.producer import Producer
from alertagent.queue.task import NewTask, Task
from alertagent.queue.worker import Workers
from alertagent.serve import spare_the_collector
from alertagent.storage.database import Database
from benchmarks.contestants.meter import BATCH, CONCURRENCY, DATABASE_URL, REDIS_URL, Meter, arguments, produce

QUEUE, TYPE = "bench", "bench"
LEVEL = os.environ.get("LEVEL", "info")
DURABLE = os.environ.get("DURABLE") == "1"
INSERT_BATCH = 500
# What a row carries: about as much as a task for an analysis does.
ALERT = {
    "labels": {f"label{number}": f"value-{number}" for number in range(12)},
    "annotations": {"summary": "y" * 300},
}


@contextlib.asynccontextmanager
async def _open() -> AsyncIterator[tuple[Database, Ledger, Producer, Metrics]]:
    async with Database.connect(DATABASE_URL) as database, connect(REDIS_URL) as redis:
        ledger, metrics = Ledger(database), Metrics()
        async with Producer(redis, ledger, observer=metrics.queue).running() as producer:
            yield database, ledger, producer, metrics


def _task(kind: str) -> NewTask:
    payload = {"kind": kind, "sent": time.time(), **({"alert": ALERT} if DURABLE else {})}
    return NewTask(queue=QUEUE, type=TYPE, payload=payload, durable=DURABLE)


async def _produce(kind: str, count: int) -> None:
    async with _open() as (database, _, producer, _):

        async def many(count: int) -> None:
            tasks = [_task(kind) for _ in range(count)]
            if DURABLE:
                async with database.transaction() as tx:
                    await producer.enqueue(tx, *tasks)
            else:
                await producer.send(*tasks)

        await produce(kind, count, many, INSERT_BATCH if DURABLE else BATCH)


async def _work(kind: str, count: int) -> None:
    meter = Meter(count)

    async def handle(task: Task) -> None:
        await meter.run(kind, task.payload["sent"])

    options = QueueOptions(default_concurrency=CONCURRENCY, lease=timedelta(seconds=10))
    async with _open() as (_, ledger, producer, metrics), connect(REDIS_URL) as redis:
        workers = Workers(
            {QUEUE: {TYPE: handle}},
            redis=redis,
            ledger=ledger,
            options=options,
            observer=metrics.queue,
            producer=producer,
        )
        spare_the_collector()
        await workers.run()


async def main() -> None:
    log.configure(level=LEVEL, format="json")
    side, kind, count = arguments()
    await (_produce if side == "produce" else _work)(kind, count)


if __name__ == "__main__":
    uvloop.run(main())
