"""The engines that tests run on: one pair for the whole run, and private ones for tests that break them.

From the environment:

    ALERTAGENT_TEST_DATABASE_URL    a PostgreSQL to use instead; its role must be allowed to create databases
    ALERTAGENT_TEST_REDIS_URL       a Redis to use instead; its numbered databases are FLUSHED
    ALERTAGENT_TEST_POSTGRES        "system" runs the machine's PostgreSQL instead of the wheel's
    ALERTAGENT_TEST_REDIS           the Redis or Valkey to run instead of the wheel's, such as /usr/bin/redis-server
"""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from structlog.testing import capture_logs

from alertagent.engines import EVERYWHERE, SYSTEM, postgres, valkey
from alertagent.engines.carriers import Carrier, System
from alertagent.engines.engine import Serving
from alertagent.engines.place import Place, claim
from alertagent.engines.process import Process
from alertagent.storage.migrate import migrate
from tests.support.directories import open_directory

# A test's data need not survive a power cut.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def postgres_carriers() -> Sequence[Carrier]:
    """Where this run takes PostgreSQL from."""
    return SYSTEM.postgres if os.environ.get("ALERTAGENT_TEST_POSTGRES") == "system" else EVERYWHERE.postgres


def redis_carriers() -> Sequence[Carrier]:
    """Where this run takes Redis from."""
    program = os.environ.get("ALERTAGENT_TEST_REDIS")
    return [System(programs=(program,))] if program else EVERYWHERE.redis


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the shared engines answer. `template` is the name of a database that has every migration."""

    database_url: str
    redis_url: str
    template: str

    def as_workerinput(self) -> dict[str, str]:
        """What xdist can carry to a worker; `Addresses(**that)` is the way back."""
        return asdict(self)


class SharedEngines:
    """The engines of one test run: started when first asked for, stopped with the run.

    Its event loop only turns to start and to stop them; in between, tests use loops of their own.
    """

    def __init__(self) -> None:
        # A factory keeps the runner from making its loop the thread's current one.
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._stack = AsyncExitStack()
        self._addresses: Addresses | None = None

    @property
    def addresses(self) -> Addresses:
        if self._addresses is None:
            with capture_logs():
                self._addresses = self._runner.run(self._start())
        return self._addresses

    def stop(self) -> None:
        with capture_logs():
            self._runner.run(self._stack.aclose())
        self._runner.close()

    async def _start(self) -> Addresses:
        place = await self._stack.enter_async_context(claim(self._stack.enter_context(open_directory())))
        database_url = os.environ.get("ALERTAGENT_TEST_DATABASE_URL")
        redis_url = os.environ.get("ALERTAGENT_TEST_REDIS_URL")
        if not database_url:
            server = postgres.serving(place, postgres_carriers(), settings=_FAST)
            database_url = (await self._stack.enter_async_context(server)).url
        if not redis_url:
            redis_url = (await self._stack.enter_async_context(valkey.serving(place, redis_carriers()))).url
        template = await self._stack.enter_async_context(fresh_database(database_url))
        await migrate(template)
        return Addresses(database_url=database_url, redis_url=redis_url, template=urlsplit(template).path[1:])


@asynccontextmanager
async def fresh_database(server_url: str, *, template: str = "template0") -> AsyncIterator[str]:
    """The URL of a new database on the server, a copy of `template`; dropped afterwards with whoever is connected."""
    name = f"test_{secrets.token_hex(6)}"
    await _execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        await _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


class PrivateServer:
    """A server of one test's own, to be killed, frozen and started again; it keeps its data and its URL."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._stack = AsyncExitStack()
        self._server: Serving | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        return self._running.url

    async def start(self) -> None:
        async with AsyncExitStack() as stack:
            place = await stack.enter_async_context(claim(self._data_dir))
            self._server = await stack.enter_async_context(self._serving(place))
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """Stop it in an orderly way; one that does not run stays as it is."""
        self.thaw()
        await self._stack.aclose()

    async def kill(self) -> None:
        """End it with SIGKILL, and wait until it is gone: an orphaned backend may answer for a moment longer."""
        family = list(self._family())
        for process in family:
            process.send(signal.SIGKILL)
        for process in family:
            await process.ended()
        await self._stack.aclose()

    def freeze(self) -> None:
        """Hold it: connections stay open and are accepted, but nothing answers."""
        self._signal_family(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_family(signal.SIGCONT)

    @property
    def _running(self) -> Serving:
        assert self._server, "start it first"
        return self._server

    def _signal_family(self, signal_: signal.Signals) -> None:
        for process in self._family():
            process.send(signal_)

    def _family(self) -> Iterator[Process]:
        """PostgreSQL has a process per connection: the postmaster first, so that it makes no more of them."""
        process = self._running.process
        yield process
        if process.is_running:
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                with suppress(ProcessLookupError):
                    yield Process(int(child))

    def _serving(self, place: Place) -> AbstractAsyncContextManager[Serving]:
        raise NotImplementedError


class PrivateValkey(PrivateServer):
    def _serving(self, place: Place) -> AbstractAsyncContextManager[Serving]:
        return valkey.serving(place, redis_carriers())


class PrivatePostgres(PrivateServer):
    """Unlike the shared one it really syncs, as embedded ones do. `settings` override the usual ones."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        super().__init__(data_dir)
        self._settings = settings

    def _serving(self, place: Place) -> AbstractAsyncContextManager[Serving]:
        return postgres.serving(place, postgres_carriers(), settings=self._settings)
