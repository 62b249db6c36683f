"""A real Prometheus, a server that speaks the contract, and a sidecar between them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alertagent.sidecar.main import Options, run
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
    """Runs a sidecar while the block runs; keyword arguments change the options."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator["asyncio.Task[int]"]:
        task = asyncio.create_task(run(replace(options, **changes)))
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return start
