"""A bench on the engines that all tests share."""

from collections.abc import AsyncIterator

import pytest

from tests.queue.bench import Bench, open_bench


@pytest.fixture
async def bench(database_url: str, redis_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url, redis_url) as bench:
        yield bench
