"""What fires, told from real engines: in order, in slices, with what holds it back."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from alertagent.core.audit.model import SYSTEM
from alertagent.core.gateway import reading
from alertagent.core.gateway.model import Question, read_filter
from alertagent.core.gateway.places import AT_ONCE, SMALL
from alertagent.core.gateway.reading import AT_A_TIME
from alertagent.core.gateway.render import moment
from alertagent.core.gateway.service import Gateway
from alertagent.core.gateway.telling import STRETCH, in_order
from alertagent.core.routing.document import read_yaml
from alertagent.kernel.errors import Unavailable
from alertagent.kernel.labels import fingerprint
from alertagent.kernel.matchers import compile_pattern
from alertagent.storage.migrate import migrate
from alertagent.storage.pages import PageRequest
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


async def test_an_alert_has_everything_that_clients_read(house: House) -> None:
    """What is asked of PostgreSQL here, and not of Python: times in UTC, cut off after the milliseconds, and JSON."""
    labels = {"alertname": "DiskFull", "team": '运维 "a\\b"\n\t\x01é'}
    ends_at = house.clock.now() + timedelta(days=1)
    await house.post(
        {
            "labels": labels,
            "annotations": {"summary": "the disk is 100% full: {{ $labels }} \u2028"},
            "generatorURL": 'http://prometheus/graph?a="b"&c=运',
            "startsAt": "2026-11-28T11:42:41.308999+08:00",
            "endsAt": ends_at.isoformat(),
        },
        {"labels": {"alertname": "HostDown"}, "startsAt": "2026-01-01T00:00:00Z", "endsAt": ends_at.isoformat()},
    )

    found = {alert["labels"]["alertname"]: alert for alert in await told(house)}

    assert found["DiskFull"] == {
        "annotations": {"summary": "the disk is 100% full: {{ $labels }} \u2028"},
        "endsAt": moment(ends_at),
        "fingerprint": fingerprint(labels),
        "generatorURL": 'http://prometheus/graph?a="b"&c=运',
        "labels": labels,
        "receivers": [{"name": "default"}],
        "startsAt": "2026-11-28T03:42:41.308Z",
        "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"},
        "updatedAt": moment(house.clock.now()),
    }
    assert found["HostDown"]["startsAt"] == "2026-01-01T00:00:00.000Z"
    assert found["HostDown"]["annotations"] == {}
    assert "generatorURL" not in found["HostDown"]
    groups = [alert for group in await grouped(house) for alert in group["alerts"]]
    assert sorted(groups, key=str) == sorted(found.values(), key=str)


FILTERS = [
    *('host=~"h1.*"', 'host!~"h1.*"', 'host=~""', 'host=~".*"', 'host!~".+"', 'host=~"(?i)H1|"', "host!=h1", "host="),
    *("host!=", "team=~we.", "team!~we.", "team!=web", "other=~.+", "other!~.+", "other=~"),
]


async def test_a_filter_finds_the_same_by_the_values_of_a_label_and_alert_by_alert(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = [{"host": host, "team": team} for host in ("h1", "h12", "h2", "") for team in ("web", "")]
    end = (house.clock.now() + timedelta(days=1)).isoformat()
    await house.post(*({"labels": {"alertname": "A", **labels}, "endsAt": end} for labels in sets))
    fired, _, _ = await house.parts.alerts.page(PageRequest())

    for filter in FILTERS:
        matchers = read_filter([filter])
        expected = sorted(alert.fingerprint for alert in fired if matchers[0].matches(alert.labels))
        monkeypatch.setattr(reading, "FEW_VALUES", 100)
        by_values = await told(house, filter, "alertname=A")
        groups_by_values = await grouped(house, matchers=matchers)
        monkeypatch.setattr(reading, "FEW_VALUES", 0)
        one_by_one = await told(house, filter)
        groups_one_by_one = await grouped(house, matchers=matchers)

        assert [alert["fingerprint"] for alert in by_values] == expected, filter
        assert one_by_one == by_values, filter
        assert groups_one_by_one == groups_by_values, filter
        assert sorted(alert["fingerprint"] for group in groups_by_values for alert in group["alerts"]) == expected


async def test_of_what_ended_while_an_answer_was_made_nothing_is_told(house: House) -> None:
    await fire_many(house, 2 * AT_A_TIME)
    answer = house.parts.gateway.alerts(Question(matchers=read_filter(["alertname=A"])))
    first = await anext(answer)
    await house.database.execute("UPDATE alerts SET status = 'resolved'")

    rest = await whole(answer)

    assert AT_A_TIME <= len(orjson.loads(first + rest)) <= 2 * AT_A_TIME
    assert await told(house) == await grouped(house) == []


async def test_alerts_that_agree_in_what_an_inhibition_looks_at_are_held_back_alike(house: House) -> None:
    rules = [{"source_matchers": ['severity="critical"'], "target_matchers": ['severity="warning"'], "equal": ["host"]}]
    document = f"{{route: {{receiver: ops}}, inhibit_rules: {orjson.dumps(rules).decode()}}}"
    await store(house, document, "ops")
    source = await house.fire("HostDown", severity="critical", host="a")
    for name in ("Slow", "Late"):
        await house.fire(name, severity="warning", host="a")
        await house.fire(name, severity="warning", host="b")
        await house.fire(name, severity="warning")
    await house.work("dispatch")

    found = await told(house)

    assert {alert["labels"]["alertname"] for alert in found if alert["status"]["inhibitedBy"]} == {"Slow", "Late"}
    assert [alert["status"]["inhibitedBy"] for alert in found if alert["labels"].get("host") == "a"].count(
        [source.fingerprint]
    ) == 2
    assert len(await told(house, inhibited=False)) == 5


async def test_a_group_larger_than_what_is_read_at_once_is_in_order(house: House) -> None:
    await fire_many(house, 2 * AT_A_TIME + 1)
    await house.fire("B", job="j")

    many, one = await grouped(house)

    assert [alert["labels"]["instance"] for alert in many["alerts"]] == sorted(map(str, range(2 * AT_A_TIME + 1)))
    assert [alert["labels"] for alert in one["alerts"]] == [{"alertname": "B", "job": "j"}]


async def test_more_alerts_than_are_read_at_a_time_are_all_told_once(house: House) -> None:
    count = 2 * AT_A_TIME + 3
    end = (house.clock.now() + timedelta(days=1)).isoformat()
    await house.post(
        *({"labels": {"alertname": "A", "instance": str(number)}, "endsAt": end} for number in range(count))
    )

    for filter in ([], ["alertname=A"], ["instance!="]):
        keys = [alert["fingerprint"] for alert in await told(house, *filter)]
        assert (len(set(keys)), keys) == (count, sorted(keys))
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
    groups = {group["receiver"]["name"]: group["alerts"] for group in await grouped(house)}
    assert groups["web"][0]["receivers"] == groups["on-call"][0]["receivers"] == [{"name": "on-call"}, {"name": "web"}]
    [alone] = await grouped(house, receiver=compile_pattern("web"))
    assert alone["alerts"][0]["receivers"] == [{"name": "web"}]
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
            await whole(answer)  # a part that was read before comes first
