from collections.abc import AsyncIterator

import pytest

from alertagent.core.templates.renderer import Renderer
from tests.core.alerts.house import House, open_house


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    async with open_house(database_url, redis_url) as house, house.parts.renderer.running():
        yield house


@pytest.fixture
async def renderer() -> AsyncIterator[Renderer]:
    renderer = Renderer()
    async with renderer.running():
        yield renderer
