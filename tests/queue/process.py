"""A worker in a process of its own, to be killed. Prints the id of each task that it starts and never ends it."""

import asyncio
import sys

from alertagent.queue.task import Task
from tests.queue.bench import open_bench


async def hang(task: Task) -> None:
    print(task.id, flush=True)  # noqa: T201 - the parent reads it
    await asyncio.Event().wait()


async def main(database_url: str, redis_url: str) -> None:
    async with open_bench(database_url, redis_url) as bench, bench.workers({"note": hang}):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
