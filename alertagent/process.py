"""What a process stands on: engines, a database that answers, work in the background, and a port.

None of it knows a feature.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from aiohttp import web
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alertagent.engines import embedded
from alertagent.kernel.errors import Fatal, Unavailable
from alertagent.settings import Settings
from alertagent.storage.database import Database
from alertagent.storage.migrate import migrate
from alertagent.web.protocol import Runner

DATABASE_PATIENCE = timedelta(seconds=30)
KEEP_ALIVE_SECONDS = 75.0
SHUTDOWN_SECONDS = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """Where the data lives, once engines that had to be started run."""

    database: str
    redis: str


@contextlib.asynccontextmanager
async def engines(settings: Settings) -> AsyncIterator[Urls]:
    """The URLs of the settings, or of engines of our own for what they leave out."""
    database, redis = secret(settings.database.url), secret(settings.redis.url)
    if database is not None and redis is not None:
        yield Urls(database=database, redis=redis)
        return
    async with embedded(settings.data_dir, postgres=database is None, redis=redis is None) as started:
        yield Urls(database=database or started.database_url or "", redis=redis or started.redis_url or "")


async def connected(url: str, connections: int) -> contextlib.AbstractAsyncContextManager[Database]:
    """A migrated database, waited for with a line of log a try."""
    deadline = asyncio.get_running_loop().time() + DATABASE_PATIENCE.total_seconds()
    while True:
        try:
            await migrate(url)
            return Database.connect(url, connections=connections)
        except Unavailable as problem:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise Fatal(
                    f"{problem.message}; gave up after {DATABASE_PATIENCE.total_seconds():.0f} s. "
                    "Check database.url and that PostgreSQL takes connections"
                ) from problem
            log.warning("database.awaited", seconds_left=round(left))
            await asyncio.sleep(min(2.0, left))


async def ask(redis: Redis) -> None:
    """Raises Unavailable when Redis does not answer."""
    try:
        await redis.ping()
    except (RedisError, OSError) as error:
        raise Unavailable(f"Redis does not answer: {error}") from error


async def announce_redis(redis: Redis) -> None:
    """Say so when Redis is away at the start: that is no reason not to start."""
    try:
        await ask(redis)
    except Unavailable as problem:
        log.warning("redis.unavailable", reason=problem.message, effect="alerts are accepted, tasks wait")


@contextlib.asynccontextmanager
async def background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these beside the block and cancel them at its end; a crash of one ends the service."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


@contextlib.asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Take requests for as long as the block lasts; yields the address. Raises Fatal when the port is taken."""
    runner = Runner(app, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, reuse_address=True, backlog=1024).start()
    except OSError as error:
        await runner.cleanup()
        raise Fatal(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with --port or server.port, "
            "or another address with --host or server.host"
        ) from error
    try:
        yield _address(runner.addresses[0])
    finally:
        await runner.cleanup()


def _address(bound: Any) -> str:
    host = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    return f"http://{host}:{bound[1]}"


def secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value is not None else None
