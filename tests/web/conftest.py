"""An application of a few routes of this folder's own, served for real."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from alertagent.web.server import application, collect
from tests.support.serving import serving
from tests.web.small import Door, Memory, SmallApi


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def small() -> SmallApi:
    return SmallApi()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def address(small: SmallApi, memory: Memory, registry: CollectorRegistry) -> AsyncIterator[str]:
    app = application(collect([small]), authenticator=Door(), replies=memory, registry=registry)
    async with serving(app) as origin:
        yield origin


@pytest.fixture
async def client(address: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(address, headers={"Authorization": "Bearer ann"}) as session:
        yield session
