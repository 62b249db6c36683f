"""Channels below HTTP: what is masked, audited and forgotten."""

import pytest

from alertagent.core.audit.model import Actor
from alertagent.kernel.errors import Invalid
from tests.core.alerts.house import House

ANNA = Actor(name="anna")
VALUES = {
    "name": "ops",
    "plugin_name": "console",
    "config": {},
    "enabled": True,
    "is_default": True,
    "fallback": (),
    "user_id": None,
}


async def test_every_change_of_a_channel_has_the_groups_looked_at(house: House) -> None:
    channel = await house.parts.channels.add(ANNA, VALUES)
    await house.parts.channels.revise(ANNA, channel.id, {"name": "night"}, None)
    await house.parts.channels.revise(ANNA, channel.id, {"name": "night"}, None)

    assert await house.database.fetchval("SELECT count(*) FROM task_queue WHERE task_type = 'regroup'") == 2


async def test_a_change_lifts_the_block_of_a_channel(house: House) -> None:
    channel = await house.parts.channels.add(ANNA, VALUES)
    await house.database.execute("UPDATE user_notification_configs SET paused_until = now() + interval '1 hour'")

    changed = await house.parts.channels.revise(ANNA, channel.id, {"name": "night"}, None)

    assert changed.paused_until is None


async def test_of_a_plugin_that_is_gone_every_setting_is_masked(house: House) -> None:
    channel = await house.parts.channels.add(ANNA, VALUES)
    await house.database.execute("UPDATE user_notification_configs SET plugin_name = 'lost', config = '{\"key\": 7}'")

    found = await house.parts.channels.get(channel.id)

    assert house.parts.channels.masked(found) == {"key": "***"}


async def test_a_channel_of_a_plugin_that_is_gone_can_still_be_switched_off(house: House) -> None:
    channel = await house.parts.channels.add(ANNA, VALUES)
    await house.database.execute("UPDATE user_notification_configs SET plugin_name = 'lost', config = '{\"key\": 7}'")

    off = await house.parts.channels.revise(ANNA, channel.id, {"enabled": False}, None)

    assert not off.enabled
    with pytest.raises(Invalid):
        await house.parts.channels.revise(ANNA, channel.id, {"config": {"key": 8}}, None)


async def test_a_deleted_channel_takes_its_memory_along(house: House) -> None:
    channel = await house.parts.channels.add(ANNA, VALUES)
    await house.fire("A", ago=60)
    await house.work()
    assert await house.database.fetchval("SELECT count(*) FROM notification_log") == 1

    await house.parts.channels.remove(ANNA, channel.id, None)

    for table in ("notification_log", "notification_deliveries"):
        assert await house.database.fetchval(f"SELECT count(*) FROM {table}") == 0
