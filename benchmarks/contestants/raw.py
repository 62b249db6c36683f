"""The ceiling: redis-py with hiredis and uvloop, no tasks, no JSON; XADD, XREADGROUP, XACK and XDEL."""

import asyncio
import contextlib
import time
from typing import Any

import uvloop
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from benchmarks.contestants.meter import BATCH, REDIS_PORT, Meter, arguments, produce

STREAM, GROUP = "raw", "g"


async def produce_raw(redis: Any, kind: str, count: int) -> None:
    async def many(count: int) -> None:
        pipeline = redis.pipeline(transaction=False)
        for _ in range(count):
            pipeline.xadd(STREAM, {b"d": str(time.time())})
        await pipeline.execute()

    await produce(kind, count, many)


async def work_raw(redis: Any, kind: str, count: int) -> None:
    meter = Meter(count)
    with contextlib.suppress(ResponseError):
        await redis.xgroup_create(STREAM, GROUP, "0", mkstream=True)
    while True:
        answer = await redis.xreadgroup(GROUP, "c", {STREAM: ">"}, count=BATCH, block=1000)
        entries = answer[0][1] if answer else []
        runs = [meter.run(kind, float(fields[b"d"])) for _, fields in entries]
        if kind == "io":
            await asyncio.gather(*runs)
        else:
            for run in runs:
                await run
        if entries:
            ids = [id for id, _ in entries]
            pipeline = redis.pipeline(transaction=False)
            pipeline.xack(STREAM, GROUP, *ids)
            pipeline.xdel(STREAM, *ids)
            await pipeline.execute()


async def main() -> None:
    side, kind, count = arguments()
    async with Redis(port=REDIS_PORT, protocol=2) as redis:
        await (produce_raw if side == "produce" else work_raw)(redis, kind, count)


if __name__ == "__main__":
    uvloop.run(main())
