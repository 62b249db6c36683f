"""More than a robot bears: nothing is dropped, and no window is overdrawn. The clock is moved by hand."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from alertagent.kernel.clock import rfc3339
from alertagent.plugins.notifiers.slack import MAX_ALERTS
from tests.core.alerts.house import House
from tests.core.notify.test_digests import ANNA, add_channel, plan, statuses
from tests.support.chats import SlackApi
from tests.support.dingtalk import DingTalkRobot

LIMIT, WINDOW = 20, timedelta(minutes=1)


class Watched:
    """What a robot got and when, by the clock of the house."""

    def __init__(self, house: House, robot: DingTalkRobot) -> None:
        self._house = house
        self._robot = robot
        self.times: list[datetime] = []

    async def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            await plan(self._house)
            while await self._house.work("deliver"):
                await plan(self._house)
            self.times += [self._house.clock.now()] * (len(self._robot.messages) - len(self.times))
            self._house.clock.move(seconds=1)

    @property
    def busiest(self) -> int:
        return max(sum(start <= each < start + WINDOW for each in self.times) for start in self.times)

    def named(self, count: int) -> Counter[str]:
        """How often each of so many instances stands in what the robot got."""
        texts = [str(message) for message in self._robot.messages]
        return Counter({name: sum(name in text for text in texts) for name in instances(count)})


def robot_of(house: House) -> DingTalkRobot:
    """One that blocks whoever sends more than it bears, by the clock of the house."""
    return DingTalkRobot(secret=None, clock=lambda: house.clock.now().timestamp())


def instances(count: int) -> list[str]:
    return [f"host-{number:03}x" for number in range(count)]


async def fire(house: House, names: list[str]) -> None:
    for name in names:
        await house.fire(f"Group of {name}", ago=3600, instance=name, severity="info")


async def test_a_storm_at_once_arrives_in_few_messages_with_nothing_missing(house: House) -> None:
    async with robot_of(house) as robot:
        await add_channel(house, "dingtalk", {"webhook_url": robot.url})
        await fire(house, instances(200))
        watched = Watched(house, robot)

        await watched.pass_time(90)

    assert len(robot.messages) <= LIMIT
    assert watched.named(200) == Counter(dict.fromkeys(instances(200), 1))
    assert all(status == "sent" for _, status in await statuses(house))


async def test_a_storm_over_a_minute_arrives_in_few_messages_with_nothing_missing(house: House) -> None:
    async with robot_of(house) as robot:
        await add_channel(house, "dingtalk", {"webhook_url": robot.url})
        watched = Watched(house, robot)
        for second in range(50):
            await fire(house, instances(200)[second * 4 : second * 4 + 4])
            await watched.pass_time(1)

        await watched.pass_time(60)

    assert len(robot.messages) <= LIMIT
    assert watched.busiest <= LIMIT
    assert watched.named(200) == Counter(dict.fromkeys(instances(200), 1))


async def test_two_channels_of_one_robot_share_what_it_bears(house: House) -> None:
    async with robot_of(house) as robot:
        await add_channel(house, "dingtalk", {"webhook_url": robot.url})
        values: dict[str, Any] = {
            "name": "second",
            "plugin_name": "dingtalk",
            "config": {"webhook_url": robot.url},
            "enabled": True,
            "is_default": True,
            "fallback": (),
            "user_id": None,
        }
        await house.parts.channels.add(ANNA, values)
        await house.work()
        await fire(house, instances(60))
        watched = Watched(house, robot)

        await watched.pass_time(150)

    assert watched.busiest <= LIMIT
    assert watched.named(60) == Counter(dict.fromkeys(instances(60), 2))


async def test_what_waits_for_room_spends_no_attempt_and_asks_no_fallback(house: House) -> None:
    async with SlackApi() as slack:
        config = {"bot_token": SlackApi.TOKEN, "channel": "#alerts", "base_url": slack.origin}
        channel = await add_channel(house, "slack", config)
        await house.parts.channels.revise(ANNA, channel.id, {"fallback": ("another",)}, None)
        parts = [{"alertname": "Parts", "instance": name} for name in instances(MAX_ALERTS + 1)]
        begun, over = rfc3339(house.clock.now() - WINDOW), rfc3339(house.clock.now() + timedelta(days=1))
        await house.post(*({"labels": labels, "startsAt": begun, "endsAt": over} for labels in parts))
        await fire(house, instances(2))
        await plan(house)
        late = "UPDATE notification_deliveries SET due_at = due_at - interval '15 minutes'"
        await house.database.execute(late)

        for _ in range(15):
            await house.work("deliver")
            house.clock.move(seconds=0.5)

    assert len(slack.posts) == 4
    tasks = await house.database.fetch("SELECT * FROM task_queue WHERE task_type = 'deliver'")
    assert sum(task["retry_count"] for task in tasks) > 2
    assert {(task["status"], task["max_retry"] - task["retry_count"]) for task in tasks} == {("completed", 60)}


async def test_a_few_more_than_there_is_room_for_wait_or_come_together(house: House) -> None:
    async with robot_of(house) as robot:
        await add_channel(house, "dingtalk", {"webhook_url": robot.url})
        await fire(house, instances(11))
        watched = Watched(house, robot)

        await watched.pass_time(70)

    assert len(robot.messages) == 11
    assert watched.named(11) == Counter(dict.fromkeys(instances(11), 1))
