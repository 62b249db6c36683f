"""What is free in the heap, as the kernel counts it."""

import asyncio
from datetime import timedelta
from pathlib import Path

from alertagent.memory import giving_back

BLOCK = 100_000  # larger ones are no part of the heap
BLOCKS = 400


async def test_what_became_free_below_something_in_use_is_given_back_again_and_again() -> None:
    task = asyncio.create_task(giving_back(timedelta(0)))
    await asyncio.sleep(0)  # one turn of its loop

    for _ in range(2):
        blocks = [b"x" * BLOCK for _ in range(BLOCKS)]
        del blocks[:-1]
        torn = resident()
        await asyncio.sleep(0)
        assert resident() < torn - BLOCKS * BLOCK // 2
        assert blocks == [b"x" * BLOCK]

    task.cancel()


def resident() -> int:
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))
