"""saq on Redis."""

import time
from typing import Any

import uvloop
from redis.asyncio import Redis
from saq import Worker
from saq.queue.redis import RedisQueue

from benchmarks.contestants.meter import CONCURRENCY, REDIS_URL, Meter, arguments, one_by_one, produce


async def main() -> None:
    side, kind, count = arguments()
    meter = Meter(count)
    queue = RedisQueue(Redis.from_url(REDIS_URL, max_connections=500), max_concurrent_ops=100)

    async def job(_context: Any, *, kind: str, sent: float) -> None:
        await meter.run(kind, sent)

    if side == "produce":
        await queue.connect()

        async def one() -> None:
            await queue.enqueue("job", kind=kind, sent=time.time(), ttl=-1)

        await produce(kind, count, one_by_one(one))
    else:
        await Worker(queue, [("job", job)], concurrency=CONCURRENCY).start()


if __name__ == "__main__":
    uvloop.run(main())
