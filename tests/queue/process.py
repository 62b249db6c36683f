"""A worker in a process of its own, to be killed or stopped.

    python -m tests.queue.process HANDLER DATABASE REDIS [GRACE]

Prints the id of each task that it starts. The grace is in seconds.
"""

import asyncio
import signal
import sys
from dataclasses import replace
from datetime import timedelta

from alertagent.queue.task import Task
from tests.queue.bench import OPTIONS, open_bench


async def hang(_: Task) -> None:
    await asyncio.Event().wait()


async def nothing(_: Task) -> None:
    pass


async def linger(task: Task) -> None:
    """For as long as the task says; in seconds."""
    await asyncio.sleep(task.payload["seconds"])


HANDLERS = {"hang": hang, "nothing": nothing, "linger": linger}


async def main(handler: str, database_url: str, redis_url: str, grace: str = "1") -> None:
    async def handle(task: Task) -> None:
        print(task.id, flush=True)  # noqa: T201 - the parent reads it
        await HANDLERS[handler](task)

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    options = replace(OPTIONS, default_concurrency=50, grace=timedelta(seconds=float(grace)))
    async with open_bench(database_url, redis_url) as bench, bench.workers({"note": handle}, options=options):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
