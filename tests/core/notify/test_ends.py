"""Who was told of a beginning without being asked for by a route hears of the end, too, and once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from alertagent.core.audit.model import Actor
from alertagent.core.escalation.model import EscalationRule
from alertagent.kernel.clock import rfc3339
from tests.core.alerts.house import House
from tests.core.notify.routed import route
from tests.core.notify.test_groups import add_channel, firing, messages, pass_time, resolved
from tests.support.chats import SlackApi
from tests.support.pagers import API_KEY, ROUTING_KEY, OpsgenieAlerts, Pager, PagerDutyEvents
from tests.support.sink import Answer, Sink

ANNA = Actor(name="anna")
GONE = Answer(status=400, body=b"no")
SETTINGS: dict[str, dict[str, Any]] = {"pagerduty": {"routing_key": ROUTING_KEY}, "opsgenie": {"api_key": API_KEY}}


@pytest.fixture(params=SETTINGS)
async def pager(request: pytest.FixtureRequest, house: House, sink: Sink) -> AsyncIterator[Pager]:
    """One that is no default channel."""
    async with PagerDutyEvents() if request.param == "pagerduty" else OpsgenieAlerts() as pager:
        config = {**SETTINGS[request.param], "base_url": pager.origin}
        await add_channel(house, sink, "pager", plugin_name=request.param, config=config, is_default=False)
        yield pager


async def escalating(house: House, *channels: str) -> None:
    rule = EscalationRule(matchers=('severity="critical"',), after=timedelta(minutes=5), channels=channels)
    await house.parts.escalations.replace(ANNA, [rule], None)


async def minutes(house: House, count: int) -> None:
    await pass_time(house, timedelta(minutes=count), timedelta(seconds=30))


async def statuses(house: House, channel: str) -> list[str]:
    rows = await house.database.fetch(
        "SELECT status FROM notification_deliveries WHERE channel_id = (SELECT id FROM user_notification_configs"
        " WHERE name = $1) ORDER BY created_at, id",
        channel,
    )
    return [row["status"] for row in rows]


async def awaited(house: House) -> int:
    count: int = await house.database.fetchval("SELECT count(*) FROM awaited_ends")
    return count


async def test_an_incident_that_an_escalation_opened_is_closed(house: House, sink: Sink, pager: Pager) -> None:
    await add_channel(house, sink, "hook")
    await escalating(house, "pager")
    now, labels = house.clock.now(), {"severity": "critical"}
    ends_at = rfc3339(now + timedelta(days=1))
    await house.post(*({"labels": {"alertname": name, **labels}, "endsAt": ends_at} for name in "AB"))
    await minutes(house, 6)
    assert len(pager.incidents) == 1

    await house.resolve("A", **labels)
    await minutes(house, 1)
    assert len(pager.incidents) == 1
    await house.resolve("B", **labels)
    await minutes(house, 30)

    assert pager.incidents == {}
    assert await statuses(house, "pager") == ["sent", "sent"]
    assert await awaited(house) == 0


async def test_an_alert_that_ends_while_its_escalation_is_on_its_way_leaves_no_incident(
    house: House, sink: Sink, pager: Pager
) -> None:
    await escalating(house, "pager")
    await house.fire("A", severity="critical")
    pager.next.extend([(503, {})] * 3)
    await minutes(house, 5)
    await house.work()
    assert pager.attempts >= 1
    await house.resolve("A", severity="critical")
    await house.work("dispatch")

    await minutes(house, 10)

    assert pager.incidents == {}
    assert await statuses(house, "pager") == ["sent", "sent"]


async def test_an_escalation_that_nobody_heard_has_no_end(house: House, sink: Sink, pager: Pager) -> None:
    await escalating(house, "pager")
    await house.fire("A", severity="critical")
    pager.next.append((400, {"status": "invalid event"}))
    await minutes(house, 6)
    await house.resolve("A", severity="critical")
    await minutes(house, 10)

    assert await statuses(house, "pager") == ["failed"]
    assert await awaited(house) == 0


async def test_who_stood_in_is_told_of_the_end_though_the_first_channel_is_well_again(
    house: House, sink: Sink, pager: Pager
) -> None:
    await add_channel(house, sink, "hook", fallback=("pager",))
    sink.answer_next(GONE)
    await house.fire("A", ago=60)
    await minutes(house, 1)
    assert len(pager.incidents) == 1

    await house.resolve("A")
    await minutes(house, 10)

    assert pager.incidents == {}
    assert messages(sink) == [firing("A"), resolved("A")]
    assert await statuses(house, "pager") == ["sent", "sent"]


async def test_who_stood_in_is_told_of_the_end_once_though_the_first_channel_fails_again(
    house: House, sink: Sink
) -> None:
    await add_channel(house, sink, "second", is_default=False)
    await add_channel(house, sink, "first", config={"url": f"{sink.origin}/first"}, fallback=("second",))
    async with Sink() as broken:
        broken.answer_always(GONE)
        first = (await house.parts.channels.named(["first"]))["first"]
        await house.parts.channels.revise(ANNA, first.id, {"config": {"url": f"{broken.origin}/first"}}, None)
        await house.work()
        await house.fire("A", ago=60)
        await minutes(house, 1)
        await house.resolve("A")
        await minutes(house, 10)

    assert messages(sink, "second") == [firing("A"), resolved("A")]


async def test_an_end_waits_for_the_last_alert_that_was_told_last(house: House, sink: Sink, pager: Pager) -> None:
    await add_channel(house, sink, "hook", fallback=("pager",))
    sink.answer_next(GONE, GONE)
    await house.fire("A", ago=60, instance="1")
    await minutes(house, 1)
    await house.fire("A", ago=60, instance="2")
    await minutes(house, 6)
    await house.resolve("A", instance="1")
    await minutes(house, 6)
    assert len(pager.incidents) == 1

    await house.resolve("A", instance="2")
    await minutes(house, 6)

    assert pager.incidents == {}
    assert await statuses(house, "pager") == ["sent", "sent", "sent"]
    assert await awaited(house) == 0


async def test_who_hears_of_the_group_anyway_is_told_of_the_end_by_it(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "broken", fallback=("hook",), config={"url": f"{sink.origin}/broken"})
    await add_channel(house, sink, "hook")
    await house.fire("A", ago=60)
    await house.work("dispatch", "flush")
    sink.answer_next(GONE, GONE)
    await minutes(house, 1)
    await house.resolve("A")
    await minutes(house, 10)

    assert messages(sink).count(resolved("A")) == 1


async def test_a_receiver_that_wants_no_ends_has_them_kept_from_who_stands_in(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "first", is_default=False, fallback=("second",))
    await add_channel(house, sink, "second", is_default=False)
    receivers = [{"name": "quiet", "channels": ["first"], "send_resolved": False}]
    await route(house, {"receiver": "quiet", "group_by": ["alertname"]}, receivers=receivers)
    sink.answer_next(GONE)
    await house.fire("A", ago=60)
    await minutes(house, 1)
    await house.resolve("A")
    await minutes(house, 10)

    assert messages(sink, "second") == [firing("A")]
    assert await awaited(house) == 0


async def test_two_that_find_the_end_at_once_plan_it_once(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "hook", is_default=False)
    await escalating(house, "hook")
    await house.fire("A", severity="critical")
    await minutes(house, 6)
    alert = await house.resolve("A", severity="critical")

    await asyncio.gather(*(house.parts.ends.dispatch([alert.fingerprint]) for _ in range(5)))
    await minutes(house, 10)

    assert messages(sink) == [firing("A"), resolved("A")]


async def test_the_end_of_an_escalation_goes_into_its_thread(house: House, sink: Sink) -> None:
    async with SlackApi() as slack:
        config = {"bot_token": SlackApi.TOKEN, "channel": "#alerts", "base_url": slack.origin}
        await add_channel(house, sink, "slack", plugin_name="slack", config=config, is_default=False)
        await escalating(house, "slack")
        await house.fire("A", severity="critical")
        await minutes(house, 6)
        await house.resolve("A", severity="critical")
        await minutes(house, 1)

        first = "1503435956.000247"
        assert [(post["text"], post.get("thread_ts")) for post in slack.posts] == [
            ("[FIRING] Escalated: A", None),
            ("[RESOLVED] Escalated: A", first),
        ]
        assert slack.shown[first]["text"] == "[RESOLVED] Escalated: A"


async def test_what_failed_and_is_tried_again_has_its_end(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "hook", is_default=False)
    await escalating(house, "hook")
    sink.answer_next(GONE)
    await house.fire("A", severity="critical")
    await minutes(house, 6)
    id = await house.database.fetchval("SELECT id FROM notification_deliveries WHERE status = 'failed'")
    await house.resolve("A", severity="critical")
    await minutes(house, 1)

    await house.parts.retries.retry(ANNA, id)
    await minutes(house, 1)

    assert messages(sink)[1:] == [firing("A"), resolved("A")]


async def test_who_stood_in_for_what_is_below_its_own_minimum_is_told_of_the_end(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "first", fallback=("second",))
    await add_channel(house, sink, "second", min_severity="critical")
    sink.answer_next(GONE)
    await house.fire("A", ago=60, severity="warning")
    await minutes(house, 1)
    await house.resolve("A", severity="warning")
    await minutes(house, 10)

    assert messages(sink, "second") == [firing("A"), resolved("A")]
