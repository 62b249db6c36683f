"""A real Prometheus, a server that speaks the contract, and a sidecar between them."""

import asyncio
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alertagent.sidecar.main import Options, run
from tests.sidecar.stands import Stand, stand
from tests.support.config_server import TOKEN, ConfigServer, config_server
from tests.support.prometheus import Prometheus, running

Sidecar = Callable[..., AbstractAsyncContextManager["asyncio.Task[int]"]]


@pytest.fixture
async def server() -> AsyncIterator[ConfigServer]:
    async with config_server() as server:
        yield server


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[Prometheus]:
    async with running(Prometheus(tmp_path)) as prometheus:
        yield prometheus


@pytest.fixture(params=["prometheus", "vmalert", "alertmanager"])
def idle(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    """A target of each type that does not run yet."""
    return stand(request.param, tmp_path)


@pytest.fixture
async def up(idle: Stand) -> AsyncIterator[Stand]:
    """A target of each type."""
    async with running(idle.target):
        yield idle


@pytest.fixture
def live(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir(exist_ok=True)
    return tmp_path / "rules" / "alertagent.yml"


@pytest.fixture
def options(server: ConfigServer, live: Path) -> Options:
    """Without a target: add its `reload_url`."""
    return Options(
        endpoint=server.url,
        cluster_id="c1",
        config_type="prometheus",
        config_path=live,
        reload_url="http://127.0.0.1:1/-/reload",
        sync_interval=timedelta(seconds=2),
        token=TOKEN,
        instance="test-1",
        proof=timedelta(seconds=1),
    )


@pytest.fixture
def sidecar(options: Options) -> Sidecar:
    """Runs a sidecar while the block runs, for a stand if one is given; keyword arguments change the options."""

    @asynccontextmanager
    async def start(stand: Stand | None = None, **changes: Any) -> AsyncIterator["asyncio.Task[int]"]:
        if stand:
            where = {"config_path": stand.live, "reload_url": stand.target.reload_url}
            changes = {"config_type": stand.config_type, "proof": timedelta(seconds=3), **where, **changes}
        task = asyncio.create_task(run(replace(options, **changes)))
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return start


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """While the block runs, no file may grow beyond so many bytes: a write fails as on a full disk."""

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        # Python ignores SIGXFSZ, so the write is what fails.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
