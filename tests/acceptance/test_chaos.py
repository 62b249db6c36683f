"""Everything breaks again and again under load, and a ledger knows each alert that was accepted."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import orjson
import pytest
from redis.asyncio import Redis

from alertagent.kernel.clock import rfc3339
from tests.support.engines import PrivatePostgres, PrivateServer, PrivateValkey
from tests.support.link import Link, linked
from tests.support.prometheus import eventually
from tests.support.serve import Serve
from tests.support.service import Api
from tests.support.sink import Answer, Received, Sink

SECONDS = 120
A_SECOND = 60
A_POST = 5

# So long after the last trouble everything must have been told: what failed again and again waits for minutes.
AFTERWARDS = 300

ROUTING = {
    "route": {
        "receiver": "steady",
        "group_by": ["alertname"],
        "group_wait": "1s",
        "group_interval": "2s",
        "routes": [
            {"receiver": "steady", "matchers": ["kind=alone"], "group_by": ["..."], "group_wait": "0s"},
            {"receiver": "shaky", "matchers": ["kind=shaky"], "group_by": ["alertname"], "group_wait": "0s"},
        ],
    }
}
KINDS = ("alone", "grouped", "shaky")


@dataclass(frozen=True, kw_only=True)
class Replica:
    serve: Serve
    links: Sequence[Link]


@dataclass(frozen=True, kw_only=True)
class World:
    """Two processes on the same engines, each with links of its own to them, and who is told."""

    dice: random.Random
    postgres: PrivatePostgres
    valkey: PrivateValkey
    replicas: Sequence[Replica]
    shaky: Sink

    @property
    def engine(self) -> PrivateServer:
        return self.dice.choice([self.postgres, self.valkey])

    @property
    def replica(self) -> Replica:
        return self.dice.choice(self.replicas)

    async def a_while(self, *seconds: float) -> None:
        await asyncio.sleep(self.dice.choice(seconds))


class Ledger:
    """What was accepted, and what the channels took of it. Each message is read once."""

    def __init__(self, *sinks: Sink) -> None:
        self.began: set[str] = set()
        self.ended: set[str] = set()
        self._heard: set[tuple[str, str]] = set()
        self._read = dict.fromkeys(sinks, 0)

    def is_told(self) -> bool:
        """Of an alert that ended the end must have been told, since it fired for long; of any other that it fires."""
        for sink, read in self._read.items():
            new = sink.requests[read:]
            taken = said([request for request in new if request.is_taken])
            self._heard.update((labels["name"], status) for _, labels, status in taken)
            self._read[sink] = read + len(new)
        return {(name, "resolved" if name in self.ended else "firing") for name in self.began} <= self._heard


def said(requests: Sequence[Received]) -> list[tuple[str, Mapping[str, str], str]]:
    """The delivery, the labels and the state of each alert in each message."""
    return [
        (request.headers["webhook-id"], alert["labels"], alert["status"])
        for request in requests
        for alert in orjson.loads(request.body)["alerts"]
    ]


@asynccontextmanager
async def replica(postgres_url: str, valkey_url: str) -> AsyncIterator[Replica]:
    async with AsyncExitStack() as stack:
        database = urlsplit(postgres_url)
        folder = parse_qs(database.query)["host"][0]
        port, to_postgres = await stack.enter_async_context(linked(f"{folder}/.s.PGSQL.5432"))
        place = f"{database.username}:{database.password}@127.0.0.1:{port}{database.path}"
        valkey_port, to_valkey = await stack.enter_async_context(linked(urlsplit(valkey_url).path))
        own = Serve.on(f"postgresql://{place}", f"redis://127.0.0.1:{valkey_port}")
        serve = await stack.enter_async_context(own)
        yield Replica(serve=serve, links=(to_postgres, to_valkey))


async def freeze_an_engine(world: World) -> None:
    engine = world.engine
    engine.freeze()
    await world.a_while(1, 5, 15)
    engine.thaw()


async def kill_an_engine(world: World) -> None:
    engine = world.engine
    await engine.kill()
    await world.a_while(0, 3, 10)
    await engine.start()


async def flush_valkey(world: World) -> None:
    async with Redis.from_url(world.valkey.url) as client:
        await client.flushall()


async def kill_a_process(world: World) -> None:
    serve = world.replica.serve
    await serve.kill()
    await world.a_while(0, 5)
    await serve.start(within=60)


async def end_a_process(world: World) -> None:
    serve = world.replica.serve
    await serve.terminate(within=60)
    await serve.start(within=60)


async def freeze_a_process(world: World) -> None:
    serve = world.replica.serve
    serve.freeze()
    await world.a_while(2, 20, 45)
    serve.thaw()


async def cut_a_link(world: World) -> None:
    link = world.dice.choice(world.replica.links)
    link.cut()
    await world.a_while(1, 8, 20)
    link.heal()


async def cut_a_process_off(world: World) -> None:
    links = world.replica.links
    for link in links:
        link.cut()
    await world.a_while(3, 20)
    for link in links:
        link.heal()


async def shake_a_channel(world: World) -> None:
    answers = [Answer(status=500), Answer(status=429), Answer(fault="hang_up"), Answer(fault="break_off")]
    world.shaky.answer_always(world.dice.choice(answers))
    await world.a_while(3, 15)
    world.shaky.answer_always(Answer())


TROUBLES: Sequence[Callable[[World], Awaitable[None]]] = (
    freeze_an_engine,
    kill_an_engine,
    flush_valkey,
    kill_a_process,
    end_a_process,
    freeze_a_process,
    cut_a_link,
    cut_a_process_off,
    shake_a_channel,
)


class Client:
    """Sends as Alertmanager does: again and again, to one after the other, until it is accepted."""

    def __init__(self, world: World, session: aiohttp.ClientSession, ledger: Ledger) -> None:
        self._world = world
        self._doors = [Api(session, replica.serve.address) for replica in world.replicas]
        self._ledger = ledger

    async def tell(self, names: Sequence[str], kind: str, dice: random.Random) -> None:
        began = datetime.now(UTC) - timedelta(seconds=dice.choice([0, 60]))
        alerts = [
            {"labels": {"alertname": f"N{dice.randrange(10)}", "name": name, "kind": kind}, "startsAt": rfc3339(began)}
            for name in names
        ]
        is_webhook = dice.random() < 0.5
        await self._send(alerts, "firing", is_webhook=is_webhook, dice=dice)
        self._ledger.began.update(names)
        if dice.random() < 0.5:
            await asyncio.sleep(dice.uniform(10, 40))
            ended = [{**alert, "endsAt": rfc3339(datetime.now(UTC))} for alert in alerts]
            self._ledger.ended.update(names)
            await self._send(ended, "resolved", is_webhook=is_webhook, dice=dice)

    async def _send(
        self, alerts: Sequence[Mapping[str, Any]], status: str, *, is_webhook: bool, dice: random.Random
    ) -> None:
        door, body = (
            "//api/v2/alerts",
            [{"endsAt": rfc3339(datetime.now(UTC) + timedelta(hours=1)), **a} for a in alerts],
        )
        whole: Any = body
        if is_webhook:
            door = "/alerts/webhook"
            whole = {"version": "4", "status": status, "alerts": [{**alert, "status": status} for alert in alerts]}
        for attempt in count(dice.randrange(2)):
            try:
                answer = await self._doors[attempt % 2].post(door, whole)
            except (aiohttp.ClientError, TimeoutError):
                pass
            else:
                if answer.status == 200:
                    return
                assert answer.status == 503, answer.body
            await asyncio.sleep(0.5)


async def keep_telling(client: Client, dice: random.Random, group: asyncio.TaskGroup, over: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in count():
        if over.is_set():
            return
        names = [f"{number}-{index}" for index in range(A_POST)]
        group.create_task(client.tell(names, dice.choice(KINDS), random.Random(dice.random())))
        await asyncio.sleep(began + (number + 1) * A_POST / A_SECOND - loop.time())


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + AFTERWARDS + 120)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_what_was_accepted_is_told_whatever_breaks(
    seed: int, private_postgres: PrivatePostgres, private_valkey: PrivateValkey
) -> None:
    dice, over = random.Random(seed), asyncio.Event()
    async with (
        Sink() as steady,
        Sink() as shaky,
        replica(private_postgres.url, private_valkey.url) as first,
        replica(private_postgres.url, private_valkey.url) as second,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session,
    ):
        world = World(
            dice=dice, postgres=private_postgres, valkey=private_valkey, replicas=(first, second), shaky=shaky
        )
        api = Api(session, first.serve.address)
        for name, sink in (("steady", steady), ("shaky", shaky)):
            made = await api.post("/channels", {"name": name, "plugin_name": "webhook", "config": {"url": sink.url}})
            assert made.status == 201, made.body
        ledger = Ledger(steady, shaky)
        stored = await api.put("/routing", ROUTING)
        assert stored.status == 200, stored.body

        troubles = 0
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_telling(Client(world, session, ledger), random.Random(seed), group, over))
            end = loop.time() + SECONDS
            while loop.time() < end:
                await world.a_while(1, 3, 6)
                await dice.choice(TROUBLES)(world)
                troubles += 1
            over.set()
        await eventually(ledger.is_told, within=AFTERWARDS)
        assert len(ledger.began) > SECONDS * A_SECOND / 2, "the load did not get through"
    assert_told_once(steady.requests, troubles=troubles)


def assert_told_once(requests: Sequence[Received], *, troubles: int) -> None:
    """Each state of an alert in a group of its own is one delivery, attempted no oftener than troubles excuse."""
    deliveries: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for id, labels, status in said(requests):
        if labels["kind"] == "alone":
            deliveries[labels["name"], status][id] += 1
    assert {len(ids) for ids in deliveries.values()} == {1}
    assert max(max(ids.values()) for ids in deliveries.values()) <= 1 + troubles
