"""Real engines for every test: one PostgreSQL and one Valkey per run, a fresh database per test."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from alertagent.app import Service, running
from alertagent.storage.database import Database
from tests.support.connections import noting_further_ones
from tests.support.directories import open_directory
from tests.support.engines import Addresses, PrivatePostgres, PrivateValkey, SharedEngines, fresh_database
from tests.support.processes import running_in
from tests.support.service import Api, make_settings
from tests.support.sink import Sink

_SHARED = pytest.StashKey[SharedEngines]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[_SHARED] = SharedEngines()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Start the engines in xdist's controller, which outlives its workers, and tell each worker where they are."""
    node.workerinput["engines"] = node.config.stash[_SHARED].addresses.as_workerinput()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SHARED in config.stash:
        config.stash[_SHARED].stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where real Prometheus, vmalert and Alertmanager processes take part."""
    for item in items:
        if {"acceptance", "sidecar"} & set(item.path.parts):
            item.add_marker("monitoring")


@pytest.fixture(scope="session")
def engines(request: pytest.FixtureRequest) -> Addresses:
    """Where this run's engines answer. Most tests want `database_url` and `redis_url` instead."""
    if workerinput := getattr(request.config, "workerinput", None):
        return Addresses(**workerinput["engines"])
    return request.config.stash[_SHARED].addresses


@pytest.fixture
async def database_url(engines: Addresses) -> AsyncIterator[str]:
    """A database of this test's own with every migration applied."""
    async with fresh_database(engines.database_url, template=engines.template) as url:
        yield url


@pytest.fixture
async def empty_database_url(engines: Addresses) -> AsyncIterator[str]:
    """A database of this test's own without any table."""
    async with fresh_database(engines.database_url) as url:
        yield url


@pytest.fixture
async def redis_url(engines: Addresses, worker_id: str) -> str:
    """An empty Redis database that no other test uses meanwhile."""
    number = 0 if worker_id == "master" else int(worker_id.removeprefix("gw"))
    url = f"{engines.redis_url.partition('?')[0]}?db={number}"
    async with Redis.from_url(url) as client:
        await client.flushdb()
    return url


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory for engines of the test's own; other than in `tmp_path`, their user can reach it when we are root."""
    with open_directory() as path:
        yield path
        left = running_in(path)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, "the test, or what it tests, left engines running"


@pytest.fixture
async def private_postgres() -> AsyncIterator[PrivatePostgres]:
    """A PostgreSQL for one test to kill, freeze and restart."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(PrivatePostgres(stack.enter_context(open_directory())))


@pytest.fixture
async def private_valkey() -> AsyncIterator[PrivateValkey]:
    """A Valkey for one test to kill, freeze and restart."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(PrivateValkey(stack.enter_context(open_directory())))


@pytest.fixture(autouse=True)
def nobody_takes_a_second_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Under load each would wait for one that another holds."""
    places: list[str] = []
    monkeypatch.setattr(Database, "_acquired", noting_further_ones(Database._acquired, places.append))
    yield
    assert not places


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    """Takes what channels send."""
    async with Sink() as running_sink:
        yield running_sink


@pytest.fixture
async def service(database_url: str, redis_url: str) -> AsyncIterator[Service]:
    """A running AlertAgent on fresh engines."""
    async with running(make_settings(database_url, redis_url)) as running_service:
        yield running_service


@pytest.fixture
async def api(service: Service) -> AsyncIterator[Api]:
    """A client with the administrator's token."""
    async with aiohttp.ClientSession() as session:
        yield Api(session, service.address)
