"""Robots that speak for a channel when it has no room. The clock is moved by hand."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest

from alertagent.core.notify.model import Channel
from alertagent.kernel.errors import External
from tests.core.alerts.house import House
from tests.core.notify.routed import ANNA
from tests.core.notify.test_api import add, dingtalk
from tests.core.notify.test_crowds import LIMIT, WINDOW, fire, instances, robot_of
from tests.core.notify.test_digests import plan, statuses
from tests.support.dingtalk import DingTalkRobot
from tests.support.service import Api
from tests.support.sink import Sink

GROUPS = LIMIT // 2
"""So many messages about one group each a robot sends in a window."""


@pytest.fixture
async def robots(house: House) -> AsyncIterator[list[DingTalkRobot]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(robot_of(house)) for _ in range(3)]


async def add_pool(house: House, robots: Sequence[DingTalkRobot], **values: Any) -> list[Channel]:
    """A channel, and after it the robots of its pool."""
    names = [f"robot-{number}" for number in range(len(robots))]
    common = {"plugin_name": "dingtalk", "enabled": True, "fallback": (), "user_id": None}
    members = [
        await house.parts.channels.add(
            ANNA, {"name": name, "config": {"webhook_url": robot.url}, "is_default": False, **common}
        )
        for name, robot in zip(names[1:], robots[1:], strict=True)
    ]
    config = {"webhook_url": robots[0].url}
    own = {"name": names[0], "config": config, "is_default": True, **common, "pool": names[1:], **values}
    channel = await house.parts.channels.add(ANNA, own)
    await house.work()
    return [channel, *members]


async def rows(house: House) -> list[Any]:
    return await house.database.fetch("SELECT * FROM notification_deliveries WHERE receiver <> 'digest'")


async def send(house: House) -> None:
    await plan(house)
    while await house.work("deliver"):
        await plan(house)


class Watch:
    """When each robot got its messages, by the clock of the house."""

    def __init__(self, house: House, robots: Sequence[DingTalkRobot]) -> None:
        self._house = house
        self._robots = robots
        self.times: list[list[datetime]] = [[] for _ in robots]

    async def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            await send(self._house)
            for robot, times in zip(self._robots, self.times, strict=True):
                times += [self._house.clock.now()] * (len(robot.messages) - len(times))
            self._house.clock.move(seconds=1)

    @property
    def busiest(self) -> int:
        return max(sum(start <= each < start + WINDOW for each in times) for times in self.times for start in times)


async def test_a_storm_over_a_minute_goes_by_two_robots_with_nothing_missing(
    house: House, robots: list[DingTalkRobot]
) -> None:
    two = robots[:2]
    await add_pool(house, two)
    watch = Watch(house, two)
    for second in range(50):
        await fire(house, instances(200)[second * 4 : second * 4 + 4])
        await watch.pass_time(1)

    await watch.pass_time(60)

    texts = [message for robot in two for message in robot.messages]
    named = Counter({name: sum(name in text for text in texts) for name in instances(200)})
    assert named == Counter(dict.fromkeys(instances(200), 1))
    assert all(len(robot.messages) > GROUPS for robot in two)
    assert len(texts) <= 2 * LIMIT
    assert watch.busiest <= LIMIT
    assert all(status == "sent" for _, status in await statuses(house))


async def test_a_robot_sends_before_anything_is_merged_and_the_delivery_says_which(
    house: House, robots: list[DingTalkRobot]
) -> None:
    channel, second, third = await add_pool(house, robots)
    await fire(house, instances(3 * GROUPS))

    await send(house)

    assert [len(robot.messages) for robot in robots] == [GROUPS] * 3
    sent = Counter(row["sent_by"] for row in await rows(house))
    assert sent == Counter({None: GROUPS, second.id: GROUPS, third.id: GROUPS})
    assert {(row["channel_id"], row["status"], row["digest_id"]) for row in await rows(house)} == {
        (channel.id, "sent", None)
    }


@pytest.mark.parametrize("fault", ["disabled", "paused", "open", "moved", "renamed"])
async def test_a_robot_that_may_not_send_is_passed_over(house: House, robots: list[DingTalkRobot], fault: str) -> None:
    _, second, third = await add_pool(house, robots)
    channels, circuits = house.parts.channels, house.parts.circuits
    match fault:
        case "disabled":
            await channels.revise(ANNA, second.id, {"enabled": False}, None)
        case "renamed":
            await channels.revise(ANNA, second.id, {"name": "other"}, None)
        case "moved":
            await channels.revise(ANNA, second.id, {"plugin_name": "console", "config": {}}, None)
        case "paused":
            until = house.clock.now() + timedelta(minutes=10)
            await house.database.execute(
                "UPDATE user_notification_configs SET paused_until = $2 WHERE id = $1", second.id, until
            )
        case "open":
            circuit = circuits.circuit_of(second)
            assert circuit is not None
            await house.parts.breakers.record(circuit, [True] * 5)
    await fire(house, instances(2 * GROUPS))

    await send(house)

    assert [len(robot.messages) for robot in robots] == [GROUPS, 0, GROUPS]
    assert Counter(row["sent_by"] for row in await rows(house)) == Counter({None: GROUPS, third.id: GROUPS})


async def test_a_robot_speaks_for_a_channel_that_its_provider_blocks(house: House, robots: list[DingTalkRobot]) -> None:
    _, second = await add_pool(house, robots[:2])
    robots[0].refuse_next(130101)
    await fire(house, instances(1))

    await send(house)
    house.clock.move(seconds=2)
    await fire(house, [*instances(2)[1:]])
    await send(house)

    assert (len(robots[0].messages), len(robots[1].messages)) == (0, 1)
    assert Counter(row["sent_by"] for row in await rows(house) if row["status"] == "sent") == Counter({second.id: 1})


async def test_what_one_robot_refuses_another_says(house: House, robots: list[DingTalkRobot]) -> None:
    _, _, third = await add_pool(house, robots)
    robots[1].refuse_next(300001)
    await fire(house, instances(GROUPS + 1))

    await send(house)
    house.clock.move(seconds=5)
    await send(house)

    assert [len(robot.messages) for robot in robots] == [GROUPS, 0, 1]
    sent = [row for row in await rows(house) if row["sent_by"] is not None]
    assert [(row["sent_by"], row["status"], row["attempts"]) for row in sent] == [(third.id, "sent", 2)]


async def test_every_attempt_goes_by_the_same_id_whoever_makes_it(house: House, robots: list[DingTalkRobot]) -> None:
    await add_pool(house, robots[:2])
    await fire(house, instances(GROUPS))
    await send(house)
    await fire(house, ["late"])
    await plan(house)
    id = await house.database.fetchval("SELECT id FROM notification_deliveries WHERE status = 'pending'")
    robots[1].answer_next(status=200, body=b"<html>")

    with pytest.raises(External):
        await house.parts.deliveries.deliver(id, is_last_attempt=False)
    await house.parts.deliveries.deliver(id, is_last_attempt=False)

    row = await house.database.fetchrow("SELECT * FROM notification_deliveries WHERE id = $1", id)
    assert row is not None
    assert (row["status"], row["attempts"], row["is_ambiguous"]) == ("sent", 2, True)


@pytest.fixture
async def robot() -> AsyncIterator[DingTalkRobot]:
    async with DingTalkRobot() as robot:
        yield robot


async def test_a_bad_pool_is_refused_with_its_place(api: Api, robot: DingTalkRobot, sink: Sink) -> None:
    made = dingtalk(robot, secret=robot.secret)
    for name in ("one", "two"):
        await add(api, name, **made)
    await add(api, "leader", **made, pool=["one", "two"])
    await add(api, "hook", plugin="webhook", config={"url": sink.url})
    body = {"name": "new", "plugin_name": "dingtalk", "config": made["config"]}
    pager = {
        "plugin_name": "pagerduty",
        "config": {"routing_key": "0" * 32, "base_url": sink.origin},
        "pool": ["hook"],
    }
    bad: list[tuple[dict[str, Any], list[Any]]] = [
        ({"pool": "one"}, ["pool"]),
        ({"pool": ["one"] * 21}, ["pool"]),
        ({"pool": [""]}, ["pool", 0]),
        ({"pool": ["one", 2]}, ["pool", 1]),
        ({"pool": ["one", "one"]}, ["pool", 1]),
        ({"pool": ["one", "new"]}, ["pool", 1]),
        ({"pool": ["nobody"]}, ["pool", 0]),
        ({"pool": ["hook"]}, ["pool", 0]),
        ({"pool": ["leader"]}, ["pool", 0]),
        ({"name": "h", "plugin_name": "webhook", "config": {"url": sink.url}, "pool": ["hook"]}, ["pool"]),
        (
            {**body, **pager},
            ["pool"],
        ),
    ]
    for change, loc in bad:
        answer = await api.post("/channels", {**body, **change})

        assert answer.status == 400, (change, answer.body)
        assert answer.error["details"][0]["loc"] == loc, (change, answer.error)
    one = next(channel for channel in (await api.get("/channels")).data if channel["name"] == "one")
    nested = await api.put(f"/channels/{one['id']}", {"pool": ["two"]})
    assert (nested.status, nested.error["code"]) == (400, "channel.pool_invalid")
    assert nested.error["message"].startswith(
        f"the pool cannot be used as it is: {nested.error['details'][0]['message']}"
    )


async def test_a_robot_of_a_pool_may_go_and_be_renamed(api: Api, robot: DingTalkRobot) -> None:
    one = await add(api, "one", **dingtalk(robot))
    leader = await add(api, "leader", **dingtalk(robot), pool=["one"])

    removed = await api.delete(f"/channels/{one['id']}")
    changed = await api.put(f"/channels/{leader['id']}", {"enabled": False})
    named = await api.put(f"/channels/{leader['id']}", {"pool": ["one"]})

    assert (removed.status, changed.status, changed.data["pool"]) == (204, 200, ["one"])
    assert (named.status, named.error["details"][0]["loc"]) == (400, ["pool", 0])
