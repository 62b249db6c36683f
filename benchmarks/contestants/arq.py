"""arq, with as little around a job as it allows."""

import time
from typing import Any

import uvloop
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

from benchmarks.contestants.meter import CONCURRENCY, REDIS_PORT, Meter, arguments, one_by_one, produce

SETTINGS = RedisSettings(port=REDIS_PORT)


async def main() -> None:
    side, kind, count = arguments()
    meter = Meter(count)

    async def job(_context: Any, kind: str, sent: float) -> None:
        await meter.run(kind, sent)

    if side == "produce":
        pool = await create_pool(SETTINGS)

        async def one() -> None:
            await pool.enqueue_job("job", kind, time.time())

        await produce(kind, count, one_by_one(one))
    else:
        jobs = [func(job, name="job", keep_result=0)]
        await Worker(jobs, redis_settings=SETTINGS, max_jobs=CONCURRENCY, handle_signals=False, keep_result=0).main()


if __name__ == "__main__":
    uvloop.run(main())
