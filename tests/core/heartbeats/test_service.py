"""Heartbeats over time: the clock is moved by hand, and the test says when somebody looks."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import GRACE_AFTER_START
from alertagent.core.audit.model import Actor
from alertagent.core.heartbeats.model import Heartbeat, State
from alertagent.core.heartbeats.service import Heartbeats
from alertagent.kernel.errors import Conflict, NotFound, Stale
from tests.core.alerts.house import House, open_house

ANNA = Actor(name="anna")
WATCHDOG = 'alertname="Watchdog"'


async def add(house: House, name: str = "prod", **values: Any) -> Heartbeat:
    defaults = {"name": name, "matchers": (WATCHDOG,), "interval": timedelta(minutes=10), "labels": {}}
    return await house.parts.heartbeats.add(ANNA, {**defaults, **values})


async def look(house: House, **after: float) -> None:
    house.clock.move(**after)
    await house.parts.heartbeats.look()


async def alarms(house: House, *, firing: bool = True) -> list[str]:
    alerts = await house.database.fetch(
        "SELECT labels ->> 'heartbeat' AS name FROM alerts WHERE source = 'heartbeat' AND (status = 'firing') = $1"
        " ORDER BY 1",
        firing,
    )
    return [row["name"] for row in alerts]


async def alarm_of(house: House, heartbeat: Heartbeat) -> Alert:
    return await house.parts.alerts.get(heartbeat.fingerprint)


async def test_what_keeps_coming_raises_nothing(house: House) -> None:
    heartbeat = await add(house)
    for _ in range(5):
        await house.fire("Watchdog")
        await look(house, minutes=8)

    found = await house.parts.heartbeats.get(heartbeat.id)
    assert await alarms(house) == await alarms(house, firing=False) == []
    assert (found.state(house.clock.now()), found.last_seen_at) == (
        State.BEATING,
        house.clock.now() - timedelta(minutes=8),
    )


async def test_what_stays_away_raises_one_alert_that_ends_when_it_is_back(house: House) -> None:
    heartbeat = await add(house, labels={"team": "platform"})
    await house.fire("Watchdog")
    await look(house, minutes=10)
    patient = await alarms(house)
    for _ in range(3):
        await look(house, minutes=1)
    missing = await alarm_of(house, heartbeat)
    await house.fire("Watchdog")
    await look(house)
    back = await alarm_of(house, heartbeat)

    assert (patient, missing.is_firing, back.is_firing) == ([], True, False)
    assert missing.labels["team"] == "platform"
    events = await house.parts.alerts.timeline(missing.fingerprint, before=None, limit=10)
    assert [event.kind for event in events] == ["resolved", "firing"]


async def test_it_may_go_missing_again(house: House) -> None:
    heartbeat = await add(house)
    for _ in range(2):
        await house.fire("Watchdog")
        await look(house)
        await look(house, minutes=11)

    alarm = await alarm_of(house, heartbeat)
    assert (alarm.is_firing, alarm.episode) == (True, 2)


async def test_what_never_came_is_missing_after_its_interval(house: House) -> None:
    await add(house)
    await look(house, minutes=10)
    patient = await alarms(house)
    await look(house, seconds=1)

    assert (patient, await alarms(house)) == ([], ["prod"])


async def test_only_what_all_matchers_fit_is_a_beat(house: House) -> None:
    await add(house, "one", matchers=(WATCHDOG, 'cluster="c1"'))
    await add(house, "two", matchers=(WATCHDOG, 'cluster=~"c2|c3"'))

    house.clock.move(minutes=11)
    await house.fire("Watchdog", cluster="c3")
    await look(house)

    assert await alarms(house) == ["one"]


async def test_an_end_of_the_watchdog_is_no_beat_for_ever(house: House) -> None:
    await add(house)
    await house.fire("Watchdog")
    await look(house)
    await house.resolve("Watchdog")

    await look(house, minutes=11)

    assert await alarms(house) == ["prod"]


async def test_an_alarm_is_never_taken_for_a_beat(house: House) -> None:
    await add(house, "all critical", matchers=('severity="critical"',))

    for _ in range(4):
        await look(house, minutes=11)

    assert await alarms(house) == ["all critical"]


async def test_the_alarm_of_a_heartbeat_that_is_gone_falls_silent(house: House) -> None:
    heartbeat = await add(house)
    await look(house, minutes=11)

    await house.parts.heartbeats.remove(ANNA, heartbeat.id, None)
    await look(house, minutes=6)
    await house.parts.alerts._sweep()

    assert (await alarms(house), await alarms(house, firing=False)) == ([], ["prod"])
    with pytest.raises(NotFound):
        await house.parts.heartbeats.get(heartbeat.id)


async def test_after_a_start_nobody_is_blamed_for_the_time_before_it(database_url: str, redis_url: str) -> None:
    async with open_house(database_url, redis_url) as house:
        await add(house)
        later = house.clock.move(hours=1)
    async with open_house(database_url, redis_url) as house:
        house.clock.time = later
        parts = house.parts
        heartbeats = Heartbeats(house.database, parts.alerts, parts.audit, house.clock)

        await heartbeats.look()
        in_grace = await alarms(house)
        house.clock.time = later + GRACE_AFTER_START
        await heartbeats.look()

        assert (in_grace, await alarms(house)) == ([], ["prod"])


async def test_several_processes_that_look_at_once_raise_one_alert(house: House) -> None:
    heartbeat = await add(house)
    house.clock.move(minutes=11)

    await asyncio.gather(*(house.parts.heartbeats.look() for _ in range(4)))

    assert (await alarm_of(house, heartbeat)).episode == 1
    assert await house.database.fetchval("SELECT count(*) FROM alert_events") == 1


async def test_a_change_is_counted_audited_and_guarded(house: House) -> None:
    heartbeats = house.parts.heartbeats
    heartbeat = await add(house)
    await add(house, "other")

    revised = await heartbeats.revise(ANNA, heartbeat.id, {"interval": timedelta(hours=1)}, frozenset({1}))
    same = await heartbeats.revise(ANNA, heartbeat.id, {"interval": timedelta(hours=1)}, None)

    assert (revised.revision, same.revision, revised.interval) == (2, 2, timedelta(hours=1))
    with pytest.raises(Stale):
        await heartbeats.remove(ANNA, heartbeat.id, frozenset({1}))
    with pytest.raises(Conflict):
        await heartbeats.revise(ANNA, heartbeat.id, {"name": "other"}, None)
    with pytest.raises(Conflict):
        await add(house)
    rows = await house.database.fetch("SELECT action, after FROM audit_log ORDER BY id")
    assert [row["action"] for row in rows] == ["heartbeat.created"] * 2 + ["heartbeat.updated"]
    assert rows[-1]["after"]["interval"] == "1h"
