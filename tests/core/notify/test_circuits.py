"""A provider that keeps failing is left alone by all processes, and one message tries whether it is back."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alertagent.core.notify.circuits import PATIENCE, UNTIL_FALLBACK, is_given_up
from alertagent.core.notify.model import Channel
from alertagent.kernel.breaker import State
from alertagent.kernel.errors import Conflict, External, Invalid, Permanent, Postponed
from alertagent.plugins.notifiers.email import Email
from tests.core.alerts.house import House, open_house
from tests.core.notify.routed import ANNA
from tests.core.notify.test_groups import add_channel, firing, messages
from tests.core.notify.test_plugins import EXAMPLE
from tests.support.sink import Answer, Sink

DOWN = Answer(status=503)


@pytest.fixture
async def channel(house: House, sink: Sink) -> Channel:
    return await add_channel(house, sink, "ops")


async def plan(house: House, count: int) -> list[str]:
    """The ids of deliveries about so many groups that nobody has attempted yet."""
    for number in range(count):
        await house.fire(f"A{number:02}", ago=60)
    await house.work("dispatch", "flush")
    rows = await house.database.fetch("SELECT id FROM notification_deliveries WHERE status = 'pending' ORDER BY id")
    return [row["id"] for row in rows]


async def attempt(house: House, id: str, *, is_last: bool = False) -> Exception | None:
    """What it raised."""
    try:
        await house.parts.deliveries.deliver(id, is_last_attempt=is_last)
    except (External, Permanent) as problem:
        return problem
    return None


async def storm(house: House, ids: list[str]) -> None:
    """Five failures open the breaker."""
    for id in ids[:5]:
        assert isinstance(await attempt(house, id), External)


async def state(house: House, channel: Channel) -> State:
    return (await house.parts.circuits.look([channel]))[channel.id].state(house.clock.now())


async def test_a_storm_of_errors_opens_and_one_message_of_two_processes_tries(
    house: House, sink: Sink, channel: Channel, database_url: str, redis_url: str
) -> None:
    ids = await plan(house, 12)
    sink.answer_always(DOWN)
    await storm(house, ids)
    async with open_house(database_url, redis_url) as other:
        other.clock.time = house.clock.time
        held = [await attempt(each, id) for each in (house, other) for id in ids[5:8]]
        assert len(sink.requests) == 5
        sink.answer_always(Answer(hold=True))
        house.clock.move(seconds=31)
        other.clock.time = house.clock.time
        probes = [asyncio.create_task(attempt(each, id)) for id in ids[5:12] for each in (house, other)]
        _, waiting = await asyncio.wait(probes, return_when="FIRST_COMPLETED")
        while len(waiting) > 1:
            _, waiting = await asyncio.wait(waiting, return_when="FIRST_COMPLETED")
        asked = len(sink.requests)
        sink.release()
        results = await asyncio.gather(*probes)
        sink.answer_always(Answer())
        house.clock.move(seconds=1)
        after = [await attempt(each, id) for id in ids[8:10] for each in (house, other)]

    assert all(isinstance(problem, Postponed) for problem in held)
    assert asked == 6
    assert sum(problem is None for problem in results) == 1
    assert await state(house, channel) is State.CLOSED
    assert after == [None] * 4


async def test_what_is_held_back_spends_no_attempt_and_is_told_when_the_provider_is_back(
    house: House, sink: Sink, channel: Channel
) -> None:
    ids = await plan(house, 6)
    sink.answer_always(DOWN)
    for _ in range(40):
        await house.work("deliver")
        house.clock.move(minutes=2)
    spent = await house.database.fetch(
        "SELECT max_retry - retry_count AS left FROM task_queue WHERE task_type = 'deliver'"
    )
    tried = len(sink.requests)
    sink.answer_always(Answer())

    for _ in range(6):
        house.clock.move(minutes=1)
        await house.work("deliver")

    assert len(ids) == 6
    assert min(row["left"] for row in spent) >= 55
    assert tried < 40
    assert await house.database.fetchval("SELECT count(*) FROM notification_deliveries WHERE status <> 'sent'") == 0
    assert await state(house, channel) is State.CLOSED


async def test_a_channel_with_a_fallback_gives_up_once_the_provider_is_known_to_be_away(
    house: House, sink: Sink
) -> None:
    async with Sink() as second:
        await add_channel(house, sink, "ops", fallback=("night",))
        await add_channel(house, second, "night", is_default=False)
        sink.answer_always(DOWN)
        await house.fire("A", ago=60)

        for _ in range(8):
            await house.work()
            house.clock.move(seconds=15)

        assert messages(second, "night") == [firing("A")]
    row = await house.database.fetchrow("SELECT * FROM notification_deliveries WHERE stands_in_for IS NULL")
    assert row is not None
    assert (row["status"], row["provider_code"]) == ("failed", "http.503")


async def test_nobody_gives_up_while_one_message_tries_whether_the_provider_is_back(house: House, sink: Sink) -> None:
    async with Sink() as second:
        channel = await add_channel(house, sink, "ops", fallback=("night",))
        await add_channel(house, second, "night", is_default=False)
        circuit = house.parts.circuits.circuit_of(channel)
        assert circuit is not None
        await house.parts.breakers.record(circuit, [True] * 5)
        house.clock.move(seconds=31)
        await house.parts.breakers.record(circuit, [True])  # the second opening, of a minute
        house.clock.move(seconds=61)
        first, other = await plan(house, 2)
        sink.answer_always(Answer(hold=True))
        probe = asyncio.create_task(attempt(house, first))
        await sink.wait_for(1)

        held = await attempt(house, other)

        sink.release()
        assert isinstance(held, Postponed)
        assert held.retry_after == timedelta(seconds=15)
        assert await probe is None
        assert await attempt(house, other) is None
        assert not second.requests


async def test_a_probe_whose_process_dies_holds_the_next_one_back_for_as_long_as_it_may_take(
    house: House, sink: Sink, channel: Channel, database_url: str, redis_url: str
) -> None:
    (id,) = await plan(house, 1)
    circuit = house.parts.circuits.circuit_of(channel)
    assert circuit is not None
    await house.parts.breakers.record(circuit, [True] * 5)
    house.clock.move(seconds=31)
    async with open_house(database_url, redis_url) as dying:
        dying.clock.time = house.clock.time
        assert await dying.parts.circuits.admit(circuit, takes_up_to=timedelta()) is None

    house.clock.move(seconds=34)
    held = await attempt(house, id)
    asked = len(sink.requests)
    house.clock.move(seconds=1)

    assert isinstance(held, Postponed)
    assert asked == 0
    assert await attempt(house, id) is None


async def test_a_mail_may_take_longer_and_is_the_only_one_for_as_long(house: House) -> None:
    mail = Email(patience=timedelta(minutes=1))
    await house.parts.breakers.record("k", [True] * 5)
    house.clock.move(seconds=31)
    assert await house.parts.circuits.admit("k", takes_up_to=mail.takes_up_to) is None

    house.clock.move(seconds=120)
    shut = await house.parts.circuits.admit("k", takes_up_to=mail.takes_up_to)
    house.clock.move(seconds=17)

    assert shut is not None
    assert await house.parts.circuits.admit("k", takes_up_to=mail.takes_up_to) is None


async def test_a_message_that_cannot_be_made_lets_the_next_one_try(house: House, sink: Sink, tmp_path: Path) -> None:
    file = tmp_path / "parrot.py"
    tmp_path.chmod(0o755)

    def put(text: str) -> None:
        file.write_text(text)
        file.chmod(0o644)
        house.parts.registry.reload(tmp_path)
        assert not house.parts.registry.broken

    put(EXAMPLE)
    channel = await add_channel(house, sink, "ops", plugin_name="parrot", config={"webhook_url": sink.url})
    ids = await plan(house, 7)
    sink.answer_always(DOWN)
    await storm(house, ids)
    house.clock.move(seconds=31)
    sink.answer_always(Answer())

    put(EXAMPLE.replace("    webhook_url:", "    room: str\n    webhook_url:"))
    with pytest.raises(Invalid, match="room"):
        await house.parts.deliveries.deliver(ids[5], is_last_attempt=False)
    put(EXAMPLE)

    assert await attempt(house, ids[6]) is None
    assert await state(house, channel) is State.CLOSED


async def test_settings_that_are_refused_open_nothing(house: House, sink: Sink, channel: Channel) -> None:
    ids = await plan(house, 8)
    sink.answer_always(Answer(status=404))

    problems = [await attempt(house, id) for id in ids]

    assert all(isinstance(problem, Permanent) for problem in problems)
    assert await house.database.fetchval("SELECT count(*) FROM breakers") == 0
    assert await state(house, channel) is State.CLOSED


@pytest.mark.usefixtures("channel")
async def test_too_many_requests_pause_all_that_share_the_credential(house: House, sink: Sink) -> None:
    first, second = await plan(house, 2)
    sink.answer_next(Answer(status=429, headers={"Retry-After": "20"}))

    assert isinstance(await attempt(house, first), Postponed)
    held = await attempt(house, second)
    house.clock.move(seconds=20)
    after = [await attempt(house, id) for id in (first, second)]

    assert isinstance(held, Postponed)
    assert (held.code, held.retry_after) == ("channel.asked_too_much", timedelta(seconds=20))
    assert after == [None, None]
    document = await house.database.fetchval("SELECT document FROM breakers")
    assert not any(document["recent"])


async def test_what_passes_costs_no_statement_about_breakers(house: House, channel: Channel) -> None:
    ids = await plan(house, 30)

    assert [await attempt(house, id) for id in ids] == [None] * 30

    assert await house.database.fetchval("SELECT count(*) FROM breakers") == 0
    assert channel.enabled


async def test_a_person_closes_a_breaker(house: House, sink: Sink, channel: Channel) -> None:
    ids = await plan(house, 6)
    sink.answer_always(DOWN)
    await storm(house, ids)
    assert await state(house, channel) is State.OPEN
    sink.answer_always(Answer())

    await house.parts.circuits.reset(ANNA, channel)

    assert [await attempt(house, id) for id in ids] == [None] * 6
    audit = await house.database.fetchval("SELECT subject_id FROM audit_log WHERE action = 'channel.breaker_reset'")
    assert audit == channel.id


async def test_a_channel_that_calls_nobody_has_no_breaker(house: House) -> None:
    values: dict[str, Any] = {"plugin_name": "console", "config": {}, "enabled": True, "is_default": False}
    made = await house.parts.channels.add(ANNA, {"name": "out", "fallback": (), "user_id": None, **values})

    assert await house.parts.circuits.look([made]) == {}
    with pytest.raises(Conflict, match="no breaker"):
        await house.parts.circuits.reset(ANNA, made)


async def test_nothing_secret_is_in_a_key(house: House, sink: Sink) -> None:
    values: dict[str, Any] = {"plugin_name": "webhook", "enabled": True, "is_default": False}
    config = {"url": f"{sink.origin}/secret-path?token=hidden"}
    made = await house.parts.channels.add(
        ANNA, {"name": "out", "fallback": (), "user_id": None, "config": config, **values}
    )

    key = house.parts.circuits.circuit_of(made)

    assert key is not None
    assert key.startswith(f"webhook {sink.origin} ")
    assert "secret" not in key
    assert "hidden" not in key


@pytest.mark.parametrize(
    ("waiting", "has_fallback", "is_down", "expected"),
    [
        (timedelta(), True, True, True),
        (timedelta(), True, False, False),
        (UNTIL_FALLBACK, True, False, True),
        (UNTIL_FALLBACK, False, True, False),
        (PATIENCE - timedelta(seconds=1), False, True, False),
        (PATIENCE, False, False, True),
    ],
)
def test_how_long_a_message_waits(waiting: timedelta, has_fallback: bool, is_down: bool, expected: bool) -> None:
    assert is_given_up(waiting, has_fallback=has_fallback, is_down=is_down) is expected
