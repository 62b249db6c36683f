"""PostgreSQL and Valkey without an installation: real servers that `serve` runs in its data directory.

They listen on Unix sockets in a private directory, run as an unprivileged user and in a session of their own. When
`serve` is killed they live on; the next start on the same directory takes them over and stops them at its end.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from alertagent.engines import postgres as postgres_engine
from alertagent.engines import valkey as valkey_engine
from alertagent.engines.carriers import EVERYWHERE, SYSTEM, WHEELS, Carriers
from alertagent.engines.place import claim
from alertagent.kernel.errors import Fatal

__all__ = ["EVERYWHERE", "SYSTEM", "WHEELS", "Carriers", "Engines", "embedded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """Where the engines answer; None for one that was not asked for. `database_url` holds a password."""

    database_url: str | None
    redis_url: str | None


@asynccontextmanager
async def embedded(
    data_dir: Path, *, postgres: bool, redis: bool, carriers: Carriers = EVERYWHERE
) -> AsyncIterator[Engines]:
    """Run the engines asked for in `data_dir` until the end of the block.

    Raises Fatal, in one line with the remedy, when one cannot be had; the other is stopped then, too.
    """
    async with AsyncExitStack() as stack:
        database = queue = None
        with _failing_plainly(data_dir):
            place = await stack.enter_async_context(claim(data_dir))
            async with asyncio.TaskGroup() as starts:
                if postgres:
                    server = postgres_engine.serving(place, carriers.postgres)
                    database = starts.create_task(stack.enter_async_context(server))
                if redis:
                    server = valkey_engine.serving(place, carriers.redis)
                    queue = starts.create_task(stack.enter_async_context(server))
        yield Engines(
            database_url=database.result().url if database else None,
            redis_url=queue.result().url if queue else None,
        )


@contextmanager
def _failing_plainly(data_dir: Path) -> Iterator[None]:
    """Turn what a start may raise into one exception; the system's own says which directory it is about."""
    try:
        yield
    except OSError as error:
        raise _unusable(data_dir, error) from error
    except ExceptionGroup as failures:
        first = failures.exceptions[0]
        if isinstance(first, OSError):
            raise _unusable(data_dir, first) from first
        raise first from first.__cause__


def _unusable(data_dir: Path, error: OSError) -> Fatal:
    return Fatal(f"the embedded engines cannot use {data_dir}: {error}; mend that or choose another data_dir")
