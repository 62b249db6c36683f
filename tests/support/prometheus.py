"""A real Prometheus or vmalert on a free port, for tests that need one to judge their rules."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiohttp

Kind = TypeVar("Kind", bound="RuleServer")


async def eventually(holds: Callable[[], Awaitable[bool] | bool], *, within: float = 10) -> None:
    """Wait until a condition of another process holds. Raises TimeoutError."""
    async with asyncio.timeout(within):
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RuleServer:
    """What the two have in common: a process, and rules to look at over HTTP."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.reload_url = f"{self.url}/-/reload"
        self.log = directory / "target.log"

    def command(self) -> list[str]:
        raise NotImplementedError

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*self.command(), stdout=log, stderr=log)
        await eventually(self.is_ready, within=30)

    async def stop(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, self.log.read_text()
        try:
            status, _ = await self._get("/api/v1/rules")
        except aiohttp.ClientError:
            return False
        return status == 200

    async def alerts(self) -> set[str]:
        """The names of the alerting rules that run."""
        _, body = await self._get("/api/v1/rules")
        return {rule["name"] for group in json.loads(body)["data"]["groups"] or () for rule in group["rules"]}

    async def _get(self, path: str) -> tuple[int, bytes]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return response.status, await response.read()


class Prometheus(RuleServer):
    """Loads `rule_files` (a glob; by default every `*.yml` in the directory's `rules`)."""

    def __init__(self, directory: Path, *, rule_files: str | None = None, lifecycle: bool = True) -> None:
        super().__init__(directory)
        self.rules = directory / "rules"
        self.rules.mkdir(exist_ok=True)
        self._lifecycle = lifecycle
        self._config = directory / "prometheus.yml"
        self._config.write_text(f"rule_files: ['{rule_files or self.rules / '*.yml'}']\n")

    def command(self) -> list[str]:
        command = [
            "prometheus",
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        return [*command, "--web.enable-lifecycle"] if self._lifecycle else command


_NOBODY = "http://127.0.0.1:1"


class Vmalert(RuleServer):
    """Loads one file. Its data source and notifier need not answer for it to load rules."""

    def __init__(self, directory: Path, live: Path, *, datasource: str = _NOBODY, notifier: str = _NOBODY) -> None:
        super().__init__(directory)
        self._live = live
        self._datasource = datasource
        self._notifier = notifier

    def command(self) -> list[str]:
        return [
            "vmalert",
            f"-rule={self._live}",
            f"-datasource.url={self._datasource}",
            f"-notifier.url={self._notifier}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            # Until a group's first evaluation, up to an interval after the start, vmalert takes no reload.
            "-evaluationInterval=1s",
        ]


@asynccontextmanager
async def running(server: Kind) -> AsyncIterator[Kind]:
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
