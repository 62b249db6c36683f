"""streaq, without its log."""

import logging
import time

import anyio
from streaq import Worker

from benchmarks.contestants.meter import CONCURRENCY, REDIS_URL, Meter, arguments, produce

side, kind, count = arguments()
logging.disable(logging.INFO)
meter = Meter(count)
worker = Worker(redis_url=REDIS_URL, concurrency=CONCURRENCY, handle_signals=False, anyio_kwargs={"use_uvloop": True})


@worker.task(ttl=0, silent=True)
async def job(kind: str, sent: float) -> None:
    await meter.run(kind, sent)


async def main() -> None:
    async def many(count: int) -> None:
        await worker.enqueue_many([job.enqueue(kind, time.time()) for _ in range(count)])

    async with worker:
        await produce(kind, count, many)


if __name__ == "__main__":
    anyio.run(main if side == "produce" else worker.run_async, backend_options={"use_uvloop": True})
