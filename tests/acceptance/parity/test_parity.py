"""The same alerts and silences to a real Alertmanager and to AlertAgent: what each sink gets.

The table in `table/` says what Alertmanager does, and it is held to that too. Whoever knows Alertmanager knows
AlertAgent, up to the differences that the table names.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.parity.gateway import Gateway
from tests.acceptance.parity.message import Message
from tests.acceptance.parity.player import Player
from tests.acceptance.parity.scenario import Scenario
from tests.acceptance.parity.stage import alertagent, alertmanager
from tests.acceptance.parity.table import calendars, ends, grouping, inhibition, routing, silences, timing

SCENARIOS: Sequence[Scenario] = [
    scenario
    for part in (grouping, routing, timing, ends, inhibition, silences, calendars)
    for scenario in part.SCENARIOS
]

MOMENT = 0.03


async def test_each_sink_gets_the_same(
    database_url: str, redis_url: str, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        alertmanager(SCENARIOS, session, tmp_path) as theirs,
        alertagent(SCENARIOS, session, database_url, redis_url) as ours,
    ):
        expected, heard = await asyncio.gather(played(theirs), played(ours, is_alertagent=True))

    for scenario, by_alertmanager, by_alertagent in zip(SCENARIOS, expected, heard, strict=True):
        with subtests.test(f"Alertmanager: {scenario.name}"):
            told_of(by_alertmanager)
        with subtests.test(f"AlertAgent: {scenario.name}"):
            assert told_of(by_alertagent) == told_of(by_alertmanager)


async def played(gateway: Gateway, *, is_alertagent: bool = False) -> list[Sequence[Message] | BaseException]:
    """All scenarios, each begun a moment after the one before it, so that a busy machine keeps up with their times."""

    async def play(number: int, scenario: Scenario) -> Sequence[Message]:
        await asyncio.sleep(number * MOMENT)
        return await Player(scenario, gateway, is_alertagent=is_alertagent).play()

    return await asyncio.gather(*map(play, count(), SCENARIOS), return_exceptions=True)


def told_of(outcome: Sequence[Message] | BaseException) -> dict[tuple[str, str], list[Message]]:
    """The messages by group, for between groups there is no order. Raises what went wrong."""
    if isinstance(outcome, BaseException):
        raise outcome
    groups = defaultdict(list)
    for message in outcome:
        groups[message.group].append(message)
    return groups
