"""What a task does, and how the process that runs it is metered. Needs nothing but the standard library.

Kinds: `noop` does nothing, `io` waits for 10 ms, `paced` does nothing but is enqueued 200 times a second.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable

REDIS_PORT = int(os.environ.get("REDIS_PORT", "6379"))
REDIS_URL = f"redis://127.0.0.1:{REDIS_PORT}/0"
DATABASE_URL = os.environ.get("DATABASE_URL", "")
CONCURRENCY = 100
BATCH = 100
PACE = 200
WAIT = 0.01


class Meter:
    """Counts tasks; once all have ended it prints what it has seen and ends the process."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = 0
        self._ended = 0
        self._waits: list[float] = []

    async def run(self, kind: str, sent: float) -> None:
        self._begin()
        if kind == "paced":
            self._waits.append(time.time() - sent)
        elif kind == "io":
            await asyncio.sleep(WAIT)
        self._ended += 1
        if self._ended == self._count:
            self._report()

    def _begin(self) -> None:
        if not self._started:
            self._began, self._cpu = time.perf_counter(), _cpu()
        self._started += 1
        if self._started == self._count // 10:
            self._early = _resident()

    def _report(self) -> None:
        seconds, cpu, waits = time.perf_counter() - self._began, _cpu() - self._cpu, sorted(self._waits) or [0.0]
        _print(
            rate=self._count / seconds,
            cpu=cpu / self._count * 1e6,
            p50=waits[len(waits) // 2] * 1e3,
            p99=waits[int(len(waits) * 0.99)] * 1e3,
            grown=_resident() - self._early,
        )
        os._exit(0)


async def produce(kind: str, count: int, many: Callable[[int], Awaitable[None]], batch: int = BATCH) -> None:
    """Enqueue by `many(how_many)`: as fast as it goes, or one at a time at a pace."""
    began = time.perf_counter()
    if kind == "paced":
        for number in range(count):
            await many(1)
            await asyncio.sleep(max(0.0, began + (number + 1) / PACE - time.perf_counter()))
    else:
        for first in range(0, count, batch):
            await many(min(batch, count - first))
    _print(rate=count / (time.perf_counter() - began))


def one_by_one(one: Callable[[], Awaitable[None]]) -> Callable[[int], Awaitable[None]]:
    """For queues that have no call for many: all at once."""

    async def many(count: int) -> None:
        await asyncio.gather(*(one() for _ in range(count)))

    return many


def arguments() -> tuple[str, str, int]:
    """The side (produce or work), the kind and the count."""
    side, kind, count = sys.argv[1:4]
    if side == "work":
        print("ready", flush=True)  # noqa: T201
    return side, kind, int(count)


def _print(**figures: float) -> None:
    print(json.dumps(figures), flush=True)  # noqa: T201


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _resident() -> float:
    """MiB."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
