"""What fires, told from real engines: in order, in slices, with what holds it back."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from alertagent.core.alerts.service import AT_A_TIME
from alertagent.core.audit.model import SYSTEM
from alertagent.core.gateway.model import Question, read_filter
from alertagent.core.gateway.service import AT_ONCE, SMALL, STRETCH, Gateway, in_order
from alertagent.core.routing.document import read_yaml
from alertagent.kernel.errors import Unavailable
from alertagent.kernel.matchers import compile_pattern
from alertagent.storage.migrate import migrate
from tests.core.alerts.house import House, open_house
from tests.core.gateway.samples import ROUTES
from tests.core.silences.samples import draft
from tests.support.engines import PrivatePostgres


async def told(house: House, *filter: str, **asked: Any) -> Any:
    return orjson.loads(await whole(house.parts.gateway.alerts(Question(matchers=read_filter(filter), **asked))))


async def grouped(house: House, **asked: Any) -> Any:
    return orjson.loads(await whole(house.parts.gateway.groups(Question(**asked))))


async def whole(parts: AsyncGenerator[bytes, None]) -> bytes:
    return b"".join([part async for part in parts])


async def add_channel(house: House, name: str, *, is_default: bool = False) -> None:
    values = {"plugin_name": "console", "config": {}, "enabled": True, "fallback": [], "user_id": None}
    await house.parts.channels.add(SYSTEM, {**values, "name": name, "is_default": is_default})


async def store(house: House, document: str, *channels: str) -> None:
    for name in channels:
        await add_channel(house, name)
    await house.parts.routing.put(SYSTEM, read_yaml(document.encode()), None)


async def test_what_fires_is_told_by_fingerprint_and_what_is_over_is_not(house: House) -> None:
    fired = [await house.fire("DiskFull", instance=name) for name in "abc"]
    await house.fire("Over")
    await house.resolve("Over")

    found = await told(house)

    assert [alert["fingerprint"] for alert in found] == sorted(alert.fingerprint for alert in fired)
    assert {alert["status"]["state"] for alert in found} == {"active"}
    assert [alert["receivers"] for alert in found] == [[{"name": "default"}]] * 3


async def test_more_alerts_than_are_read_at_a_time_are_all_told_once(house: House) -> None:
    count = 2 * AT_A_TIME + 3
    end = (house.clock.now() + timedelta(days=1)).isoformat()
    await house.post(
        *({"labels": {"alertname": "A", "instance": str(number)}, "endsAt": end} for number in range(count))
    )

    assert len({alert["fingerprint"] for alert in await told(house)}) == count
    [group] = await grouped(house)
    assert [alert["labels"]["instance"] for alert in group["alerts"]] == sorted(map(str, range(count)))


async def test_a_label_may_be_named_like_a_field_of_ours(house: House) -> None:
    meant = await house.fire("A", status="degraded", id="7")
    await house.fire("A", status="firing")

    found = await told(house, 'status="degraded"', "id=~\\d")

    assert [alert["fingerprint"] for alert in found] == [meant.fingerprint]


async def test_a_filter_may_ask_for_a_label_that_is_not_there(house: House) -> None:
    await house.fire("A", team="web")
    await house.fire("B")

    assert [alert["labels"]["alertname"] for alert in await told(house, "team=")] == ["B"]
    assert [alert["labels"]["alertname"] for alert in await told(house, 'team!=""')] == ["A"]
    assert await told(house, "team=web", "team=db") == []


async def test_silences_in_force_are_named(house: House) -> None:
    silent, loud = await house.fire("DiskFull"), await house.fire("HostDown")
    silence = await house.parts.silences.create(SYSTEM, draft('alertname="DiskFull"'))
    later = draft('alertname="HostDown"', starts_at=house.clock.now() + timedelta(hours=1))
    await house.parts.silences.create(SYSTEM, later)

    by_id = {alert["fingerprint"]: alert["status"] for alert in await told(house)}

    assert by_id[silent.fingerprint] == {
        "state": "suppressed",
        "silencedBy": [silence.id],
        "inhibitedBy": [],
        "mutedBy": [],
    }
    assert by_id[loud.fingerprint]["state"] == "active"
    assert [alert["fingerprint"] for alert in await told(house, silenced=False)] == [loud.fingerprint]


async def test_whoever_inhibits_an_alert_is_named(house: House) -> None:
    rules = [{"source_matchers": ['severity="critical"'], "target_matchers": ['severity="warning"'], "equal": ["host"]}]
    await store(
        house, ROUTES + f"inhibit_rules: {orjson.dumps(rules).decode()}\n", "everyone", "on-call", "web", "shop"
    )
    source = await house.fire("HostDown", severity="critical", host="a")
    target = await house.fire("Slow", severity="warning", host="a")
    await house.fire("Slow", severity="warning", host="b")
    await house.work("dispatch")

    by_id = {alert["fingerprint"]: alert["status"] for alert in await told(house)}

    assert by_id[target.fingerprint] == {
        "state": "suppressed",
        "silencedBy": [],
        "inhibitedBy": [source.fingerprint],
        "mutedBy": [],
    }
    assert [status["state"] for status in by_id.values()].count("active") == 2
    assert len(await told(house, inhibited=False)) == 2
    assert [alert["fingerprint"] for alert in await told(house, active=False)] == [target.fingerprint]
    groups = await grouped(house, active=False)
    assert [alert["status"]["inhibitedBy"] for group in groups for alert in group["alerts"]] == [[source.fingerprint]]


async def test_a_stored_document_says_who_hears(house: House) -> None:
    await store(house, ROUTES, "everyone", "on-call", "web", "shop")
    critical = await house.fire("A", severity="critical", team="web")
    await house.fire("A", team="db")

    found = await told(house, receiver=compile_pattern("web|on-call"))
    assert [(alert["fingerprint"], alert["receivers"]) for alert in found] == [
        (critical.fingerprint, [{"name": "on-call"}, {"name": "web"}])
    ]
    assert [(group["receiver"]["name"], group["labels"]) for group in await grouped(house)] == [
        ("everyone", {"alertname": "A"}),
        ("web", {"alertname": "A"}),
        ("on-call", {"alertname": "A", "severity": "critical", "team": "web"}),
    ]
    assert await house.parts.gateway.receivers() == ["everyone", "on-call", "web", "shop"]
    assert "- name: shop\n" in await house.parts.gateway.configuration()


async def test_until_a_document_is_stored_the_default_channels_stand_behind_the_default_receiver(house: House) -> None:
    await add_channel(house, "ops", is_default=True)
    await add_channel(house, "other")

    assert await house.parts.gateway.receivers() == ["default", "ops"]
    assert (await house.parts.gateway.configuration()).endswith("receivers:\n- name: default\n- name: ops\n")


async def test_sorting_gives_others_their_turn() -> None:
    items = [(number * 7919) % (4 * STRETCH) for number in range(4 * STRETCH)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(others())
        found = [item async for item in in_order(items, lambda item: item)]
        task.cancel()

    assert found == sorted(items)
    assert turns >= 8


async def test_large_answers_are_made_two_at_a_time_and_a_small_one_waits_for_nobody(house: House) -> None:
    await fire_many(house, SMALL + 1)
    begun = [house.parts.gateway.alerts(Question()) for _ in range(AT_ONCE)]
    for answer in begun:
        await up_to_the_last(answer)
    third = asyncio.create_task(whole(house.parts.gateway.alerts(Question())))

    small = await told(house, 'instance="7"')
    done, _ = await asyncio.wait([third], timeout=0.2)
    await begun[0].aclose()

    assert len(small) == 1
    assert not done
    assert len(orjson.loads(await third)) == SMALL + 1
    await begun[1].aclose()


async def test_who_finds_no_place_in_time_is_told_so(house: House) -> None:
    parts = house.parts
    gateway = Gateway(
        house.database,
        parts.alerts,
        parts.silences,
        parts.routing,
        house.clock,
        patience=timedelta(milliseconds=50),
    )
    await fire_many(house, SMALL)
    begun = [gateway.alerts(Question()) for _ in range(AT_ONCE)]
    for answer in begun:
        await up_to_the_last(answer)

    with pytest.raises(Unavailable, match="2 answers of thousands of alerts"):
        await whole(gateway.alerts(Question()))
    for answer in begun:
        await answer.aclose()
    assert len(orjson.loads(await whole(gateway.alerts(Question())))) == SMALL


async def fire_many(house: House, count: int) -> None:
    end = (house.clock.now() + timedelta(days=1)).isoformat()
    labels = ({"alertname": "A", "instance": str(number)} for number in range(count))
    await house.post(*({"labels": each, "endsAt": end} for each in labels))


async def up_to_the_last(answer: AsyncGenerator[bytes, None]) -> None:
    """Read on until a place was taken."""
    for _ in range(SMALL // AT_A_TIME):
        await anext(answer)


async def test_a_database_that_dies_in_the_midst_of_an_answer_breaks_it_off(
    private_postgres: PrivatePostgres, redis_url: str
) -> None:
    await migrate(private_postgres.url)
    async with open_house(private_postgres.url, redis_url) as house:
        await fire_many(house, 3 * AT_A_TIME)
        answer = house.parts.gateway.alerts(Question())
        await anext(answer)
        await private_postgres.kill()

        with pytest.raises(Unavailable):
            await anext(answer)
