"""kill -9 of `serve` between the acceptance of an alert and its delivery loses nothing."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from alertagent.kernel.clock import rfc3339
from tests.support.serve import Serve
from tests.support.service import Api
from tests.support.sink import Received, Sink
from tests.support.waiting import Inbox

KILLS = 6
KILLS_UNDER_LOAD = 4
NOTIFICATION_WORKERS = 32  # the default: so many deliveries may be under way at the moment of a kill


def posts(names: list[str]) -> list[tuple[str, Any]]:
    """The same batch for each door: alerts that have been firing for long, so that they are told at once."""
    began = rfc3339(datetime.now(UTC) - timedelta(minutes=1))
    alerts = [{"labels": {"alertname": name}, "startsAt": began} for name in names]
    webhook = {"version": "4", "status": "firing", "alerts": [{**alert, "status": "firing"} for alert in alerts]}
    return [("//api/v2/alerts", alerts), ("/alerts/webhook", webhook)]


async def keep_posting_at_pace(api: Api, accepted: Inbox[str]) -> None:
    """A hundred alerts a second, however long the answers take."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as batches:
        for number in count():
            batches.create_task(post_one(api, [f"Tick{number}Alert{index}" for index in range(10)], accepted))
            await asyncio.sleep(began + (number + 1) / 10 - loop.time())


async def post_one(api: Api, names: list[str], accepted: Inbox[str]) -> None:
    """A batch without an answer is given up, accepted or not."""
    with suppress(aiohttp.ClientError):
        answer = await api.post(*posts(names)[0])
        if answer.status == 200:
            for name in names:
                accepted.add(name)


async def keep_posting(api: Api, dice: random.Random, accepted: Inbox[str]) -> None:
    """Post batch after batch and note what was accepted. A batch without an answer is given up, accepted or not."""
    for number in count():
        names = [f"Batch{number}Alert{index}" for index in range(dice.randint(1, 5))]
        door, body = dice.choice(posts(names))
        try:
            answer = await api.post(door, body)
        except aiohttp.ClientError:
            await asyncio.sleep(0.05)  # nobody listens until the next start
            continue
        if answer.status == 200:
            for name in names:
                accepted.add(name)


def all_of(names: set[str]) -> Callable[[list[Received]], bool]:
    """Whether a sink has heard of all of these. Each request is read once."""
    missing, read = set(names), 0

    def holds(requests: list[Received]) -> bool:
        nonlocal read
        missing.difference_update(name for name, _ in deliveries(requests[read:]))
        read = len(requests)
        return not missing

    return holds


def deliveries(requests: Iterable[Received]) -> list[tuple[str, str]]:
    """What the channel got: each alert with the id of the delivery that named it, attempt by attempt."""
    return [
        (alert["labels"]["alertname"], request.headers["webhook-id"])
        for request in requests
        for alert in orjson.loads(request.body)["alerts"]
    ]


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_accepted_alert_is_delivered_through_any_kills(seed: int, data_dir: Path) -> None:
    accepted = Inbox[str]()
    async with Serve.in_(data_dir) as serve, Sink() as sink, aiohttp.ClientSession() as session:
        api = Api(session, serve.address)
        channel = {"name": "sink", "plugin_name": "webhook", "config": {"url": sink.url}, "default": True}
        assert (await api.post("/channels", channel)).status == 201

        posting = keep_posting(api, random.Random(seed), accepted)
        await through_kills(serve, sink, accepted, posting, dice=random.Random(seed), kills=KILLS, most=60)


async def test_alerts_that_are_groups_of_their_own_survive_kills_under_steady_load(data_dir: Path) -> None:
    accepted = Inbox[str]()
    async with Serve.in_(data_dir) as serve, Sink() as sink, aiohttp.ClientSession() as session:
        api = Api(session, serve.address)
        channel = {"name": "sink", "plugin_name": "webhook", "config": {"url": sink.url}}
        assert (await api.post("/channels", channel)).status == 201
        route = {"receiver": "sink", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
        stored = await api.put("/routing", {"route": route})
        assert stored.status == 200, stored.body

        posting = keep_posting_at_pace(api, accepted)
        await through_kills(serve, sink, accepted, posting, dice=random.Random(3), kills=KILLS_UNDER_LOAD, most=250)
    assert max(map(len, named(sink.requests))) == 1


async def through_kills(
    serve: Serve,
    sink: Sink,
    accepted: Inbox[str],
    posting: Coroutine[None, None, None],
    *,
    dice: random.Random,
    kills: int,
    most: int,
) -> None:
    """Kill it while it is posted to, at any moments with at most so many alerts between two.

    All that was accepted arrives, and nothing oftener than the kills excuse.
    """
    caught = 0
    async with asyncio.TaskGroup() as group:
        client = group.create_task(posting)
        for _ in range(kills):
            await some_more(dice, accepted, sink, most=most)
            await serve.kill()
            caught += len({*accepted.items} - {name for name, _ in deliveries(sink.requests)})
            await serve.start()
        await some_more(dice, accepted, sink, most=most)
        client.cancel()
    await sink.wait_for(all_of({*accepted.items}), 40)

    assert caught, "no kill fell between an acceptance and its delivery"
    heard = deliveries(sink.requests)
    attempts = Counter(heard)
    assert max(Counter(name for name, _ in attempts).values()) == 1, "an alert was planned for delivery twice"
    assert max(attempts.values()) <= 1 + kills
    assert len(heard) - len(attempts) <= kills * NOTIFICATION_WORKERS


def named(requests: Iterable[Received]) -> list[list[str]]:
    """The alerts of each message."""
    return [[alert["labels"]["alertname"] for alert in orjson.loads(request.body)["alerts"]] for request in requests]


async def some_more(dice: random.Random, accepted: Inbox[str], sink: Sink, *, most: int) -> None:
    """A moment that falls anywhere between an acceptance and a delivery: after so many more of one or the other."""
    more = dice.randint(1, most)
    if dice.random() < 0.5:
        await accepted.wait_for(len(accepted.items) + more, 20)
    else:
        await sink.wait_for(len(sink.requests) + more, 20)
