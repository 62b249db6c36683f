from collections.abc import AsyncIterator

import pytest

from tests.core.alerts.house import House, open_house


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    async with open_house(database_url, redis_url) as house:
        yield house
