"""The connection pool and transactions.

Anything that means "PostgreSQL is away or cannot take this now" leaves here as `Unavailable`, so that an API
answers 503 and a task is tried again; a statement's own errors (a unique violation, say) pass through unchanged.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

import asyncpg
import orjson

from alertagent.kernel.errors import Unavailable
from alertagent.storage.outage import Outage, reason_of

ACQUIRE_TIMEOUT = timedelta(seconds=2)
COMMAND_TIMEOUT = timedelta(seconds=10)

# A listener whose server has vanished without a word would wait for ever.
PING_EVERY = timedelta(seconds=5)
RETRY_AFTER = timedelta(seconds=5)

AWAY = (
    OSError,  # includes TimeoutError: no free connection, or a statement over its limit
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection whose server died in the middle of a message
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, terminated by an administrator, crash recovery
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.ReadOnlySQLTransactionError,  # connected to a standby during a fail-over
    asyncpg.TransactionRollbackError,  # deadlock: nothing was changed, another try may pass
    asyncpg.InvalidAuthorizationSpecificationError,  # password rotated, role not made yet
    asyncpg.InvalidCatalogNameError,  # database not made yet
)


class Executor(Protocol):
    """What runs a statement: the database (each statement its own transaction) or an open transaction."""

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]: ...

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None: ...

    async def fetchval(self, sql: str, *args: object) -> Any: ...

    async def execute(self, sql: str, *args: object) -> str: ...

    def after_commit(self, callback: Callable[[], None]) -> None: ...


class Transaction:
    """An open transaction on one connection."""

    def __init__(self, connection: Any, tell: Callable[[str, str], None]) -> None:
        self._connection = connection
        self._tell = tell
        self._committed: list[Callable[[], None]] = []

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self._connection.fetch(sql, *args)
        return rows

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        row: asyncpg.Record | None = await self._connection.fetchrow(sql, *args)
        return row

    async def fetchval(self, sql: str, *args: object) -> Any:
        return await self._connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> str:
        status: str = await self._connection.execute(sql, *args)
        return status

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call this once the transaction is durable; never called when it rolls back."""
        self._committed.append(callback)

    def tell(self, channel: str, payload: str) -> None:
        """Let the listeners of this process hear at the commit what NOTIFY tells all of them a little later."""
        self.after_commit(partial(self._tell, channel, payload))

    def ring(self) -> None:
        """Run what waited for the commit."""
        for callback in self._committed:
            callback()


class Database:
    """A pool of connections to one PostgreSQL database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._outage = Outage()
        self._listeners: list[tuple[Sequence[str], Callable[[str, str], None]]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, url: str, *, connections: int = 10) -> AsyncIterator["Database"]:
        """Open a pool of at most `connections`. Raises Unavailable when the server does not answer."""
        with translated(Outage()):
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=connections,
                timeout=10,
                command_timeout=COMMAND_TIMEOUT.total_seconds(),
                init=prepare,
                reset=_leave,
                server_settings={"application_name": "alertagent", "timezone": "UTC"},
            )
        try:
            yield cls(pool)
        finally:
            await _close(pool)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit at the end of the block, roll back on an exception, then run what waits for the commit."""
        async with self._acquired() as connection:
            transaction = Transaction(connection, self.tell)
            async with connection.transaction():
                try:
                    yield transaction
                except asyncio.CancelledError:
                    # The server rolls back by itself; a frozen one would be waited for.
                    connection.terminate()
                    raise
        transaction.ring()

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        async with self._acquired() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *args)
            return rows

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        async with self._acquired() as connection:
            row: asyncpg.Record | None = await connection.fetchrow(sql, *args)
            return row

    async def fetchval(self, sql: str, *args: object) -> Any:
        async with self._acquired() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> str:
        async with self._acquired() as connection:
            status: str = await connection.execute(sql, *args)
            return status

    def after_commit(self, callback: Callable[[], None]) -> None:
        """At once: what went before is committed."""
        callback()

    def tell(self, channel: str, payload: str) -> None:
        """Let the listeners of this process hear this now."""
        for channels, heard in self._listeners:
            if channel in channels:
                heard(channel, payload)

    async def listen(self, channels: Sequence[str], heard: Callable[[str, str], None]) -> None:
        """Hold one connection and call `heard(channel, payload)` for each NOTIFY, until that connection is lost.

        Raises Unavailable then: notifications may have been missed, so the caller must look for itself once it
        listens again.
        """
        async with self._acquired() as connection:
            gone = asyncio.Event()

            def ended(_connection: object) -> None:
                gone.set()

            def notified(_connection: object, _pid: int, channel: str, payload: object) -> None:
                heard(channel, str(payload))

            connection.add_termination_listener(ended)
            listener = (channels, heard)
            try:
                for channel in channels:
                    await connection.add_listener(channel, notified)
                self._listeners.append(listener)
                heard("", "")
                while not await _within(PING_EVERY, gone.wait()):
                    await connection.execute("SELECT", timeout=PING_EVERY.total_seconds())
            finally:
                if listener in self._listeners:
                    self._listeners.remove(listener)
                with contextlib.suppress(asyncpg.InterfaceError):  # it was lost, and then has none any more
                    connection.remove_termination_listener(ended)
                # Not UNLISTEN: a server that is frozen would hold up the end of the process.
                connection.terminate()
        raise Unavailable("the database connection that listens for changes was lost", retry_after=RETRY_AFTER)

    @contextlib.asynccontextmanager
    async def _acquired(self) -> AsyncIterator[Any]:
        with translated(self._outage):
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT.total_seconds()) as connection:
                yield connection


async def _within(span: timedelta, event: Awaitable[object]) -> bool:
    """Whether it happened within this time."""
    try:
        async with asyncio.timeout(span.total_seconds()):
            await event
    except TimeoutError:
        return False
    return True


async def prepare(connection: asyncpg.Connection) -> None:
    """Teach a new connection to read and write jsonb with orjson, and to compile nothing: it never pays for our small
    statements, and wrong guesses about their rows make a server compile them anew each time."""
    await connection.execute("SET jit = off")
    # The binary form of jsonb is a version byte (1) and the text.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda value: orjson.loads(value[1:]),
    )


async def _leave(_connection: object) -> None:
    """Nothing to undo: no statement of ours changes its session, and asyncpg itself ends an open transaction.

    Its own reset is a round trip after every statement, a third of the cost of a delivery.
    """


@contextlib.contextmanager
def translated(outage: Outage) -> Iterator[None]:
    """Turn "the server is away" in all its forms into Unavailable."""
    try:
        yield
    except AWAY as error:
        if isinstance(error, ValueError):
            raise  # asyncpg's word for an argument of the wrong type: a defect of ours, not an outage
        if _is_cancelled():
            raise asyncio.CancelledError from error
        reason = reason_of(error)
        outage.note(reason)
        raise Unavailable(
            f"the database is not available: {reason}", code="database.unavailable", retry_after=RETRY_AFTER
        ) from error


def _is_cancelled() -> bool:
    """Giving a connection of a frozen server back times out, and that would hide why it is given back."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _close(pool: asyncpg.Pool) -> None:
    try:
        async with asyncio.timeout(5):
            await pool.close()
    except TimeoutError:
        pool.terminate()
