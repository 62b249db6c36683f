"""The real `alertagent` command, as an operator starts it: processes of its own, real signals, both its outputs."""

import asyncio
import os
import random
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp

from tests.support.prometheus import eventually
from tests.support.service import ADMIN_TOKEN, KEY
from tests.support.waiting import Inbox

COMMAND = Path(sys.executable).with_name("alertagent")
LOOPBACK = {"ALERTAGENT_OUTGOING__ALLOW_NETWORKS": '["127.0.0.0/8"]'}
TOKEN = {"ALERTAGENT_AUTH__ADMIN_TOKEN": ADMIN_TOKEN}

_ADDRESS = re.compile(r"AlertAgent is ready at (http://\S+)")
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that ran to its end."""

    status: int
    stdout: str
    stderr: str


def beside(database_url: str, redis_url: str) -> dict[str, str]:
    """The settings of a process on engines that run already, with the key that all of them share."""
    return {
        "ALERTAGENT_DATABASE__URL": database_url,
        "ALERTAGENT_REDIS__URL": redis_url,
        "ALERTAGENT_SECRETS__KEY": KEY,
    }


async def run(*arguments: str, environment: Mapping[str, str] | None = None, within: float = 20) -> Ended:
    """Run `alertagent` with these arguments to its end. Raises TimeoutError, and kills it, when that takes longer."""
    process = await _spawn(arguments, environment or {})
    try:
        async with asyncio.timeout(within):
            stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode is not None
    return Ended(status=process.returncode, stdout=stdout.decode(), stderr=stderr.decode())


def steady_port() -> int:
    """A free port that stays free between a kill and the next start: the kernel gives it to no outgoing connection."""
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, lowest_ephemeral)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Running:
    """A long-lived subcommand. Both outputs are read all the time, so that a full pipe never holds it up."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._arguments = arguments
        self._environment = dict(environment or {})
        self._process: Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self.stdout: Inbox[str] = Inbox()
        self.stderr: Inbox[str] = Inbox()

    @property
    def process(self) -> Process:
        assert self._process, "start it first"
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def spawn(self) -> None:
        """Start it, with empty outputs, and do not wait for anything."""
        self.stdout, self.stderr = Inbox(), Inbox()
        self._process = process = await _spawn(self._arguments, self._environment)
        assert process.stdout
        assert process.stderr
        self._readers = [
            asyncio.create_task(_collect(stream, inbox))
            for stream, inbox in ((process.stdout, self.stdout), (process.stderr, self.stderr))
        ]

    async def said(self, text: str, *, within: float = 10) -> str:
        """The first line on stderr that holds `text`."""
        lines = await self.stderr.wait_for(lambda lines: any(text in line for line in lines), within)
        return next(line for line in lines if text in line)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, *, within: float = 20) -> int:
        """Its exit status, once it has ended and all its output is read."""
        async with asyncio.timeout(within):
            status = await self.process.wait()
            await asyncio.gather(*self._readers)
        sys.stderr.write("\n".join([f"--- alertagent {' '.join(self._arguments)}", *self.stderr.items, ""]))
        return status

    async def terminate(self, *, within: float = 20) -> int:
        self.send(signal.SIGTERM)
        return await self.ended(within=within)

    async def kill(self) -> None:
        """kill -9. What it started lives on."""
        self.send(signal.SIGKILL)
        await self.ended()

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    async def __aenter__(self) -> Self:
        await self.spawn()
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.is_running:
            return
        self.thaw()
        try:
            await self.terminate()
        except TimeoutError:
            await self.kill()
            raise


class Serve(Running):
    """`alertagent serve` on a port of its own, the same one at every start; ready once the block is entered.

    It knows the administrator's token of `tests.support.service` and may call this machine, unless `environment`,
    which replaces all settings given here, says otherwise.
    """

    def __init__(self, *flags: str, environment: Mapping[str, str] | None = None) -> None:
        self.address = f"http://127.0.0.1:{(port := steady_port())}"
        settings = {**LOOPBACK, **TOKEN} if environment is None else environment
        super().__init__("serve", "--port", str(port), *flags, environment=settings)

    @classmethod
    def on(cls, database_url: str, redis_url: str, **environment: str) -> Self:
        """On engines that run already; `environment` are more settings."""
        return cls(environment={**LOOPBACK, **TOKEN, **beside(database_url, redis_url), **environment})

    @classmethod
    def in_(cls, data_dir: Path) -> Self:
        """On embedded engines."""
        return cls("--data-dir", str(data_dir))

    async def start(self, *, within: float = 30) -> None:
        await self.spawn()
        await eventually(self.is_ready, within=within)

    async def is_ready(self) -> bool:
        assert self.is_running, "\n".join(self.stderr.items)
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.address}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def greeted(self, *, within: float = 30) -> str:
        """The address that it shows on the terminal."""
        found = _ADDRESS.search(await self.said("AlertAgent is ready at", within=within))
        assert found
        return found[1]

    async def __aenter__(self) -> Self:
        await self.start()
        return self


async def _spawn(arguments: tuple[str, ...], environment: Mapping[str, str]) -> Process:
    """Nothing of the caller's own settings reaches it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ALERTAGENT_")}
    return await asyncio.create_subprocess_exec(
        COMMAND, *arguments, env={**inherited, **environment}, stdout=PIPE, stderr=PIPE, limit=_LONGEST_LINE
    )


async def _collect(stream: asyncio.StreamReader, inbox: Inbox[str]) -> None:
    async for line in stream:
        inbox.add(line.decode().rstrip("\n"))
