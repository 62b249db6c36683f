"""taskiq on Redis Streams, without its log."""

import logging
import time

import uvloop
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

from benchmarks.contestants.meter import CONCURRENCY, REDIS_URL, Meter, arguments, one_by_one, produce

side, kind, count = arguments()
logging.disable(logging.WARNING)
meter = Meter(count)
# By default its group would begin at the end of the stream, and what was enqueued before would never run.
broker = RedisStreamBroker(REDIS_URL, consumer_id="0", idle_timeout=600_000, unacknowledged_lock_timeout=5)


@broker.task(task_name="job")
async def job(kind: str, sent: float) -> None:
    await meter.run(kind, sent)


async def main() -> None:
    async def one() -> None:
        await job.kiq(kind, time.time())

    if side == "produce":
        await broker.startup()
        await produce(kind, count, one_by_one(one))
    else:
        broker.is_worker_process = True
        await run_receiver_task(broker, max_async_tasks=CONCURRENCY, run_startup=True)


if __name__ == "__main__":
    uvloop.run(main())
