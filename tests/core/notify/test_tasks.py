"""Tasks that come at the same moment: what they share, and who waits for whom."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from alertagent.core.alerts.model import Alert
from alertagent.core.notify import groups
from alertagent.core.notify import tasks as tasks_of_telling
from alertagent.core.notify.groups import Changed
from alertagent.core.notify.prompt import IN_HAND
from alertagent.core.notify.tasks import DISPATCHES, FEW
from alertagent.kernel.ids import new_id
from alertagent.queue.ledger import entry
from alertagent.queue.task import Task
from tests.core.alerts.house import House, open_house, until
from tests.core.notify.routed import route
from tests.core.notify.test_groups import add_channel, firing, messages
from tests.core.notify.test_prompt import EACH
from tests.support.sink import Answer, Sink

LOCK_ALL = "SELECT FROM notification_groups FOR UPDATE"
LOCK_ONE = "SELECT FROM notification_groups WHERE labels @> $1 FOR UPDATE"


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    async with open_house(database_url, redis_url) as house:
        house.parts.prompt.most = IN_HAND
        yield house


async def tasks(house: House, type: str) -> list[Task]:
    found = await house.database.fetch(
        "SELECT * FROM task_queue WHERE task_type = $1 AND status = 'pending' ORDER BY scheduled_at, id", type
    )
    return [entry(row).as_task() for row in found]


async def look_at(house: House, *names: str) -> Task:
    """One look at all these groups."""
    rows = await house.database.fetch(
        "SELECT key, generation FROM notification_groups WHERE labels ->> 'alertname' = ANY ($1)", list(names)
    )
    generations = {row["key"]: row["generation"] for row in rows}
    return (await tasks(house, "flush"))[0]._replace(payload={"groups": generations})


async def fire(house: House, name: str, **labels: str) -> Alert:
    return await house.fire(name, ago=60, severity="info", **labels)


async def test_dispatches_that_come_together_share_a_transaction(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await fire(house, "A", instance="first")
    await house.work("dispatch")
    for number in range(DISPATCHES + 1):
        await fire(house, "A", instance=str(number))
    handle = house.parts.notification_handlers()["dispatch"]

    await asyncio.gather(*map(handle, await tasks(house, "dispatch")))

    rows = await house.database.fetch("SELECT count(*) FROM notification_group_alerts GROUP BY xmin::text ORDER BY 1")
    assert [row["count"] for row in rows] == [1, 1, DISPATCHES]


async def test_each_of_them_tells_what_it_has_begun(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await route(house, EACH)
    for name in "ABC":
        await fire(house, name)
    handle = house.parts.notification_handlers()["dispatch"]
    dispatches = await tasks(house, "dispatch")

    await asyncio.gather(*map(handle, dispatches))

    assert sorted(messages(sink), key=str) == [firing("A"), firing("B"), firing("C")]
    rows = await house.database.fetch("SELECT * FROM notification_deliveries ORDER BY group_labels ->> 'alertname'")
    assert [str(row["begun_by"]) for row in rows] == [task.id for task in dispatches]
    assert {row["status"] for row in rows} == {"sent"}


async def test_one_that_runs_again_takes_up_what_it_began_and_nothing_of_its_neighbours(
    house: House, sink: Sink
) -> None:
    await add_channel(house, sink)
    await route(house, EACH)
    again, others = await fire(house, "A"), await fire(house, "B")
    first, second = new_id(), new_id()
    changes = [
        Changed(fingerprints=[again.fingerprint], by=first),
        Changed(fingerprints=[others.fingerprint], by=second),
    ]
    begun = await house.parts.groups.dispatch(changes)
    assert [len(some) for some in begun] == [1, 1]

    assert await house.parts.groups.dispatch([changes[0], Changed(fingerprints=[others.fingerprint])]) == [[], []]

    [taken_up] = await tasks(house, "deliver")
    assert taken_up.id == begun[0][0].delivery.id


async def test_an_old_change_hastens_no_newer_one(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    old, new = await house.fire("Old"), await house.fire("New")
    now = house.clock.now()

    await house.parts.groups.dispatch(
        [
            Changed(fingerprints=[old.fingerprint], since=now - timedelta(seconds=8)),
            Changed(fingerprints=[new.fingerprint]),
        ]
    )

    rows = await house.database.fetch("SELECT flush_at FROM notification_groups ORDER BY flush_at")
    assert [row["flush_at"] - now for row in rows] == [timedelta(seconds=2), timedelta(seconds=10)]


@pytest.mark.parametrize("order", [1, -1])
async def test_of_two_changes_of_one_alert_the_older_one_counts(house: House, sink: Sink, order: int) -> None:
    await add_channel(house, sink)
    alert, now = await house.fire("A"), house.clock.now()
    changes = [
        Changed(fingerprints=[alert.fingerprint], since=now - timedelta(seconds=8)),
        Changed(fingerprints=[alert.fingerprint], since=now),
    ]

    await house.parts.groups.dispatch(changes[::order])

    [row] = await house.database.fetch("SELECT flush_at FROM notification_groups")
    assert row["flush_at"] - now == timedelta(seconds=2)


async def test_a_large_change_is_put_into_its_groups_by_itself(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await fire(house, "A", instance="first")
    await house.work("dispatch")
    for post in range(2):
        names = [f"{post}-{number}" for number in range(FEW + 1)]
        await house.post(*({"labels": {"alertname": "A", "instance": name, "severity": "info"}} for name in names))
    handle = house.parts.notification_handlers()["dispatch"]
    dispatches = await tasks(house, "dispatch")

    async with house.database.transaction() as transaction:
        await transaction.execute(LOCK_ALL)
        running = [asyncio.ensure_future(handle(task)) for task in dispatches]
        count = await house.waiting()
    await asyncio.gather(*running)

    assert count == 2
    assert await house.database.fetchval("SELECT count(*) FROM notification_group_alerts") == 2 * (FEW + 1) + 1


async def test_a_look_waits_until_what_has_come_is_in_its_groups(house: House, sink: Sink) -> None:
    await add_channel(house, sink)
    await fire(house, "A", instance="0")
    await house.work("dispatch")
    await fire(house, "A", instance="1")
    handlers = house.parts.notification_handlers()
    [dispatch], [look] = await tasks(house, "dispatch"), await tasks(house, "flush")

    async with house.database.transaction() as transaction:
        await transaction.execute(LOCK_ALL)
        running = [
            asyncio.ensure_future(handlers["dispatch"](dispatch)),
            asyncio.ensure_future(handlers["flush"](look)),
        ]
        count = await house.waiting()
    await asyncio.gather(*running)

    assert count == 1
    assert messages(sink) == [firing("0", "1")]


async def test_a_look_does_not_wait_for_ever(house: House, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks_of_telling, "PATIENCE", timedelta(milliseconds=20))
    await add_channel(house, sink)
    await fire(house, "A")
    await fire(house, "B")
    await house.work("dispatch")
    await fire(house, "A", instance="1")
    handlers = house.parts.notification_handlers()
    [dispatch], look = await tasks(house, "dispatch"), await look_at(house, "B")

    async with house.database.transaction() as transaction:
        await transaction.execute(LOCK_ONE, {"alertname": "A"})
        running = asyncio.ensure_future(handlers["dispatch"](dispatch))
        await house.waiting()
        looking = asyncio.ensure_future(handlers["flush"](look))
        await until(lambda: told(sink))
        assert not running.done()
    await asyncio.gather(running, looking)

    assert messages(sink) == [firing("B")]


async def told(sink: Sink) -> bool:
    return bool(sink.requests)


async def look_in_parts(
    house: House, sink: Sink, monkeypatch: pytest.MonkeyPatch, *names: str
) -> tuple[Task, list[str]]:
    """One look at these groups, each a part of its own, and their keys in the order of the parts."""
    monkeypatch.setattr(groups, "ALERTS_A_LOOK", 1)
    await add_channel(house, sink)
    for name in names:
        await fire(house, name)
    await house.work("dispatch")
    rows = await house.database.fetch("SELECT key FROM notification_groups ORDER BY key")
    return await look_at(house, *names), [row["key"] for row in rows]


async def test_who_is_looked_at_first_is_told_before_the_next_ones_are_looked_at(
    house: House, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, keys = await look_in_parts(house, sink, monkeypatch, *"ABC")
    handle = house.parts.notification_handlers()["flush"]

    async with house.database.transaction() as transaction:
        await transaction.execute("SELECT FROM notification_groups WHERE key = $1 FOR UPDATE", keys[-1])
        looking = asyncio.ensure_future(handle(look))
        await until(lambda: both(sink))
        assert not looking.done()
    await looking

    assert len(messages(sink)) == 3


async def both(sink: Sink) -> bool:
    return len(sink.requests) == 2


async def test_who_is_cancelled_waits_for_no_answer(house: House, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    look, keys = await look_in_parts(house, sink, monkeypatch, *"AB")
    sink.answer_always(Answer(hold=True))

    async with house.database.transaction() as transaction:
        await transaction.execute("SELECT FROM notification_groups WHERE key = $1 FOR UPDATE", keys[-1])
        looking = asyncio.ensure_future(house.parts.notification_handlers()["flush"](look))
        await until(lambda: told(sink))
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking

    # Nobody has waited for the answer that never comes: that would have made the attempt a task.
    assert not await tasks(house, "deliver")


async def test_what_was_planned_is_told_though_the_next_look_fails(
    house: House, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, keys = await look_in_parts(house, sink, monkeypatch, *"AB")
    handle = house.parts.notification_handlers()["flush"]
    broken = f"CHECK (generation = 1 OR key <> '{keys[1]}')"
    await house.database.execute(f"ALTER TABLE notification_groups ADD CONSTRAINT broken {broken}")

    with pytest.raises(Exception, match="broken"):
        await handle(look)

    assert len(messages(sink)) == 1
    await house.database.execute("ALTER TABLE notification_groups DROP CONSTRAINT broken")
    await handle(look)
    assert sorted(messages(sink), key=str) == [firing("A"), firing("B")]
