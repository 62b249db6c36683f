"""What waits for a provider goes out when that is back, whichever process finds out and whichever sends."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from alertagent.core.alerts.kinds import DISPATCH
from alertagent.core.notify.model import Channel
from alertagent.core.notify.waking import Waking
from alertagent.plugins.outcome import Delivered
from alertagent.process import background
from alertagent.queue.ledger import entry
from alertagent.queue.tasks import Tasks
from tests.core.alerts.house import House, open_house, until
from tests.core.notify.routed import ANNA
from tests.core.notify.test_circuits import DOWN, plan
from tests.core.notify.test_crowds import fire, instances, robot_of
from tests.core.notify.test_groups import add_channel
from tests.core.notify.test_pools import add_pool, send
from tests.support.sink import Answer, Sink

NONE_PUT_OFF = (
    "SELECT count(*) = 0 FROM task_queue WHERE task_type = 'deliver' AND scheduled_at > now() + interval '10 seconds'"
)


@pytest.fixture
async def channel(house: House, sink: Sink) -> Channel:
    return await add_channel(house, sink, "ops")


async def by_a_test_message(house: House, channel: Channel) -> None:
    await house.parts.circuits.note(house.parts.circuits.circuit_of(channel), Delivered())


async def by_a_person(house: House, channel: Channel) -> None:
    await house.parts.circuits.reset(ANNA, channel)


@pytest.mark.parametrize("close", [by_a_test_message, by_a_person])
async def test_what_waits_is_woken_when_the_breaker_closes_and_no_process_puts_it_off_again(
    house: House,
    sink: Sink,
    channel: Channel,
    database_url: str,
    redis_url: str,
    close: Callable[[House, Channel], Awaitable[None]],
) -> None:
    await plan(house, 8)
    sink.answer_always(DOWN)
    await house.work("deliver")
    async with open_house(database_url, redis_url) as other:
        other.clock.time = house.clock.time
        assert await other.parts.circuits.shut(other.parts.circuits.circuit_of(channel)) is not None
        asked = len(sink.requests)
        assert not await other.work("deliver")
        sink.answer_always(Answer())

        await close(house, channel)
        other.clock.move(seconds=1)
        tasks = await other.database.fetch("SELECT * FROM task_queue WHERE task_type = 'deliver' AND retry_count > 1")
        await asyncio.gather(*(other.run(entry(row).as_task()) for row in tasks))

    assert len(tasks) == len(sink.requests) - asked == 8
    assert await house.database.fetchval("SELECT count(*) FROM notification_deliveries WHERE status <> 'sent'") == 0


async def test_what_waits_is_woken_when_a_robot_that_may_say_it_is_back(house: House) -> None:
    async with robot_of(house) as robot, robot_of(house) as other:
        robots = [robot, other]
        channels = await add_pool(house, robots)
        for each in channels:
            circuit = house.parts.circuits.circuit_of(each)
            assert circuit is not None
            await house.parts.breakers.record(circuit, [True] * 5)
        house.clock.move(seconds=1)
        await fire(house, instances(3))
        await send(house)
        assert not any(robot.attempts for robot in robots)

        await house.parts.circuits.reset(ANNA, channels[1])
        house.clock.move(seconds=1)
        await send(house)

    assert [len(robot.messages) for robot in robots] == [0, 3]


async def test_what_a_process_that_has_not_heard_puts_off_is_woken_by_a_second_look(
    house: House, sink: Sink, channel: Channel, database_url: str, redis_url: str
) -> None:
    parts = house.parts
    circuit = parts.circuits.circuit_of(channel)
    assert circuit is not None
    tasks = Tasks([DISPATCH.queue], redis=parts.redis, ledger=parts.ledger)
    waking = Waking(house.database, parts.channels, parts.circuits, tasks, look_again_after=timedelta())
    parts.circuits.on_close(waking.wake)
    await plan(house, 3)
    for _ in range(3):
        await parts.breakers.record(circuit, [True] * 5)
        opened = (await parts.breakers.look([circuit]))[circuit].open_until
        assert opened is not None
        house.clock.time = opened
    await parts.breakers.record(circuit, [True])
    async with open_house(database_url, redis_url) as other:
        other.clock.time = house.clock.time
        assert await other.parts.circuits.shut(circuit) is not None
        await parts.circuits.reset(ANNA, channel)
        await other.work("deliver")
        late = not await house.database.fetchval(NONE_PUT_OFF)

        async with background(waking.looking_again()):
            await until(lambda: house.database.fetchval(NONE_PUT_OFF))

    assert late
