"""Real servers on loopback, and a transport that may call them."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.transport import Transport
from tests.support.dingtalk import DingTalkRobot


@pytest.fixture
async def robot() -> AsyncIterator[DingTalkRobot]:
    async with DingTalkRobot() as robot:
        yield robot


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """May call loopback, and gives up soon."""
    async with Transport(AddressGuard(["127.0.0.0/8"]), timeout=timedelta(seconds=1)) as transport:
        yield transport
