"""Many deliveries at the same moment: they share statements, and nothing else."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from alertagent.core.audit.model import Actor
from alertagent.core.notify.channels import sql
from alertagent.core.notify.model import DeliveryStatus
from alertagent.core.notify.records import Ending, Planned, Records
from alertagent.plugins.outcome import Delivered, Outcome, Refused
from tests.core.alerts.house import House


@pytest.fixture
async def records(house: House) -> Records:
    channel = {"name": "ops", "plugin_name": "console", "config": {}, "enabled": True, "is_default": True}
    await house.parts.channels.add(Actor(name="anna"), {**channel, "fallback": (), "user_id": None})
    await house.work()
    return records_of(house)


def records_of(house: House) -> Records:
    parts = house.parts
    return Records(house.database, parts.alerts, parts.producer, house.clock, parts.seals, ends=parts.ends)


async def plan(house: House, *names: str) -> list[str]:
    """The ids of deliveries about one alert each, in the order of the names."""
    for name in names:
        await house.fire(name, ago=60, severity="info")
    await house.work("dispatch", "flush")
    rows = await house.database.fetch("SELECT id FROM notification_deliveries ORDER BY group_key")
    return [row["id"] for row in rows]


async def find(records: Records, ids: Sequence[str]) -> list[Planned]:
    found = await asyncio.gather(*(records.find(id) for id in ids))
    return [planned for planned in found if planned is not None]


def ending(planned: Planned, outcome: Outcome, status: DeliveryStatus = DeliveryStatus.SENT) -> Ending:
    return Ending(delivery=planned.delivery, status=status, outcome=outcome, latency=timedelta(milliseconds=7))


async def statuses(house: House) -> list[str]:
    rows = await house.database.fetch("SELECT status FROM notification_deliveries ORDER BY group_key")
    return [row["status"] for row in rows]


async def test_each_is_found_with_its_own_alerts(house: House, records: Records) -> None:
    ids = await plan(house, "A", "B", "C")

    found = await asyncio.gather(*(records.find(id) for id in [*ids, "0192f0c1-aaaa-7000-8000-000000000001"]))

    assert found[-1] is None
    named = [(each.delivery.id, [alert.labels["alertname"] for alert in each.alerts]) for each in found if each]
    assert named == list(zip(ids, [["A"], ["B"], ["C"]], strict=True))


async def test_deliveries_that_end_at_once_share_a_commit_and_end_each_in_its_own_way(
    house: House, records: Records
) -> None:
    one, two, three = await find(records, await plan(house, "A", "B", "C"))

    ended = await asyncio.gather(
        records.end(ending(one, Delivered(code="http.200", text="ok", message_id="m1"))),
        records.end(ending(two, Refused(code="http.400", text="no"), DeliveryStatus.FAILED)),
        records.end(ending(three, Refused(code="", text="off"), DeliveryStatus.CANCELLED)),
    )

    rows = await house.database.fetch(
        "SELECT status, message_id, provider_code, latency_ms, xmin FROM notification_deliveries ORDER BY group_key"
    )
    told = await house.database.fetch("SELECT firing, failed FROM notification_log ORDER BY group_key")
    alerts = await house.database.fetch("SELECT notification_status FROM alerts ORDER BY labels ->> 'alertname'")
    lines = await house.database.fetch("SELECT kind FROM alert_events WHERE kind LIKE 'notification%' ORDER BY kind")
    assert list(ended) == [True] * 3
    assert [tuple(row)[:4] for row in rows] == [
        ("sent", "m1", "http.200", 7),
        ("failed", None, "http.400", 7),
        ("cancelled", None, "", 7),
    ]
    assert len({row["xmin"] for row in rows}) == 1
    assert [tuple(row) for row in told] == [
        ([one.alerts[0].key], False),
        ([two.alerts[0].key], True),
    ]
    assert [row["notification_status"] for row in alerts] == ["sent", "failed", "pending"]
    assert [row["kind"] for row in lines] == [f"notification.{kind}" for kind in ("cancelled", "failed", "sent")]


async def test_one_that_the_database_does_not_take_does_not_hold_up_the_others(house: House, records: Records) -> None:
    one, two, three = await find(records, await plan(house, "A", "B", "C"))

    ended = await asyncio.gather(
        records.end(ending(one, Delivered())),
        records.end(ending(two, Delivered(text="\x00"))),
        records.end(ending(three, Delivered())),
        return_exceptions=True,
    )

    assert [ended[0], ended[2]] == [True, True]
    assert isinstance(ended[1], asyncpg.CharacterNotInRepertoireError)
    assert await statuses(house) == ["sent", "pending", "sent"]


async def test_of_two_runs_one_ends_a_delivery(house: House, records: Records) -> None:
    (planned,) = await find(records, await plan(house, "A"))
    elsewhere = records_of(house)

    ended = await asyncio.gather(records.end(ending(planned, Delivered())), elsewhere.end(ending(planned, Delivered())))

    lines = await house.database.fetchval("SELECT count(*) FROM alert_events WHERE kind = 'notification.sent'")
    assert sorted(ended) == [False, True]
    assert lines == 1


async def test_two_processes_that_end_deliveries_in_any_order_do_not_wait_for_each_other_in_a_circle(
    house: House, records: Records
) -> None:
    found = await find(records, await plan(house, *(f"A{number:02}" for number in range(40))))
    elsewhere = records_of(house)

    await asyncio.gather(
        *(records.end(ending(planned, Delivered())) for planned in found),
        *(elsewhere.end(ending(planned, Delivered())) for planned in reversed(found)),
    )

    assert await statuses(house) == ["sent"] * 40


async def test_a_digest_begins_no_thread_for_the_groups_that_it_tells_of(house: House, records: Records) -> None:
    (planned,) = await find(records, await plan(house, "A"))
    told = Delivered(message_id="7", thread="7")
    member = replace(planned.delivery, digest_id="0192f0c1-aaaa-7000-8000-000000000001")

    await records.end(replace(ending(planned, told), delivery=member))

    assert await house.database.fetchval("SELECT count(*) FROM notification_log WHERE thread IS NULL") == 1


async def test_a_storm_finds_and_ends_deliveries_by_their_ids_while_statistics_know_of_none(
    house: House, records: Records
) -> None:
    (planned,) = await find(records, await plan(house, "A"))
    await house.database.execute(
        "INSERT INTO notification_deliveries (id, channel_id, group_key, receiver, group_labels, alerts, status)"
        " SELECT 'sent-' || number, $1, 'group-' || number, 'ops', '{}', '[]', 'sent'"
        "   FROM generate_series(1, 5000) AS number",
        planned.delivery.channel_id,
    )
    await records.end(ending(planned, Delivered()))
    await house.database.execute("ANALYZE notification_deliveries")

    found = await house.database.fetch(f"EXPLAIN {sql.find_deliveries}", [planned.delivery.id])
    columns = [[planned.delivery.id], ["sent"], [""], [""], [None], [7]]
    ended = await house.database.fetch(f"EXPLAIN {sql.end_deliveries}", *columns, house.clock.now(), [None], [None])

    assert "notification_deliveries_pkey" in str(found)
    assert "notification_log_pkey" in str(found)
    assert "notification_deliveries_pkey" in str(ended)
