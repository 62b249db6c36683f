from collections.abc import AsyncIterator

import pytest

from tests.core.alerts.house import House, open_house


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    """Everything that happens to alerts, with a clock that is moved by hand."""
    async with open_house(database_url, redis_url) as open_one:
        yield open_one
