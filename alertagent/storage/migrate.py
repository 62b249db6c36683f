"""Migrations: numbered SQL files that only go forward, each in a transaction of its own.

Any process may run them at start: an advisory lock lets one go first and the others find nothing left to do.
A database that knows *more* migrations than this release is fine, because every migration keeps the release
before it running; one whose applied files differ from ours is refused.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

import asyncpg
import structlog

from alertagent.kernel.errors import Fatal
from alertagent.storage.database import AWAY, translated
from alertagent.storage.outage import Outage

LOCK = 0x616C657274  # "alert": one lock of its own for migrations

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Status:
    """What a database has and what this release would add."""

    applied: tuple[int, ...]
    pending: tuple[Migration, ...]


def migrations() -> list[Migration]:
    """The migrations of this release, in order."""
    folder = files("alertagent.storage") / "migrations"
    found = [(match, entry) for entry in folder.iterdir() if (match := _FILE.fullmatch(entry.name))]
    return sorted(
        (Migration(int(match[1]), match[2], entry.read_text("utf-8")) for match, entry in found),
        key=lambda migration: migration.number,
    )


async def migrate(url: str) -> list[Migration]:
    """Apply what is missing and return it. Raises Fatal when an applied migration was changed afterwards."""
    with translated(Outage()):
        connection = await asyncpg.connect(url, timeout=10)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
            status = await _status(connection)
            for migration in status.pending:
                await _apply(connection, migration)
            return list(status.pending)
        finally:
            await connection.close(timeout=5)


async def status(url: str) -> Status:
    """Compare without changing anything."""
    with translated(Outage()):
        connection = await asyncpg.connect(url, timeout=10)
        try:
            return await _status(connection)
        finally:
            await connection.close(timeout=5)


async def _status(connection: asyncpg.Connection) -> Status:
    known = migrations()
    applied = await _applied(connection)
    for migration in known:
        if applied.get(migration.number, migration.checksum) != migration.checksum:
            raise Fatal(
                f"migration {migration.number:04d}_{migration.name} was applied with another content: "
                "this database belongs to a build that was never released, or the file was edited"
            )
    return Status(tuple(sorted(applied)), tuple(m for m in known if m.number not in applied))


async def _applied(connection: asyncpg.Connection) -> dict[int, str]:
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return {}
    rows = await connection.fetch("SELECT number, checksum FROM schema_migrations")
    return {row["number"]: row["checksum"] for row in rows}


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    try:
        await _run(connection, migration)
    except asyncpg.PostgresError as error:
        if isinstance(error, AWAY):
            raise
        raise Fatal(f"migration {migration.number:04d}_{migration.name} failed: {error}") from error
    log.info("migration.applied", number=migration.number, name=migration.name)


async def _run(connection: asyncpg.Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            " number int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.checksum,
        )
