"""Loops that never end by an error.

Redis or PostgreSQL may be away at any moment, and a defect in one loop must not take the others with it: so each
step is repeated after a short wait with full jitter. The wait stays below a second, that work goes on soon after
the outage. An outage is told once when it begins and once when it is over.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta

import structlog
from redis.exceptions import RedisError

from alertagent.kernel.backoff import full_jitter
from alertagent.kernel.errors import Delayed

BASE = timedelta(milliseconds=50)
CAP = timedelta(seconds=1)

_OUTAGES = (RedisError, OSError, Delayed)

log = structlog.get_logger()


async def forever(
    name: str,
    step: Callable[[], Awaitable[None]],
    *,
    queue: str,
) -> None:
    """Repeat `step` until cancelled."""
    failures = 0
    while not _cancelled():
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - see above: whatever it is, the loop goes on
            _report(name, queue, error, failures)
            wait = full_jitter(failures, base=BASE, cap=CAP, random=random.random())
            await asyncio.sleep(wait.total_seconds())
            failures += 1
        else:
            if failures:
                log.info("queue.recovered", queue=queue, loop=name, failures=failures)
            failures = 0
    raise asyncio.CancelledError


async def cancel(loops: Collection[asyncio.Task[None]]) -> None:
    """Cancel and wait until they have ended."""
    running = set(loops)
    while running:
        for loop in running:
            loop.cancel()
        # Once may not be enough, see _cancelled.
        _, running = await asyncio.wait(running, timeout=0.5)


def _cancelled() -> bool:
    # Before Python 3.12, asyncio.wait_for may swallow a cancellation, and redis-py sends through it.
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0


def _report(name: str, queue: str, error: Exception, failures: int) -> None:
    if not isinstance(error, _OUTAGES):
        log.error("queue.defective", queue=queue, loop=name, exc_info=error)
    elif not failures:
        log.warning("queue.disturbed", queue=queue, loop=name, error=f"{type(error).__name__}: {error}")
