"""Which alerts are analysed, by one run for a group, and how long their notifications wait."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from alertagent.core.alerts.model import Alert
from alertagent.core.analysis.planning import RECENT_RUNS, RUNS_AT_ONCE
from alertagent.core.audit.model import Actor
from alertagent.kernel.labels import fingerprint
from tests.core.alerts.house import House
from tests.core.analysis.provided import alert_of, analyzer, events, policy, runs
from tests.support.dify import KEY, DifyApp
from tests.support.sink import Sink

ANNA = Actor(name="anna")
HOLD = timedelta(seconds=30)


@pytest.fixture
async def app() -> AsyncIterator[DifyApp]:
    async with DifyApp() as app:
        yield app


async def watch(house: House, sink: Sink) -> None:
    """Somebody hears of everything."""
    values = await house.parts.channels.webhook("hook", sink.url)
    await house.parts.channels.add(ANNA, {**values, "is_default": True})


async def use_dify(house: House, app: DifyApp) -> None:
    await analyzer(house, "dify", base_url=app.url, api_key=KEY)


@pytest.mark.parametrize(
    ("labels", "is_wanted"),
    [
        ({"severity": "critical"}, True),
        ({"severity": "warning"}, True),
        ({"severity": "info"}, False),
        ({"severity": "Critical"}, False),
        ({"severity": "warnings"}, False),
        ({}, False),
    ],
)
async def test_only_serious_alerts_are_analysed_unless_the_policy_says_otherwise(
    house: House, labels: dict[str, str], is_wanted: bool
) -> None:
    alert = await house.fire("A", 0, **labels)

    await house.work()

    after = await alert_of(house, alert)
    assert after.analysis_status == ("analyzed" if is_wanted else "pending")
    assert (after.task_id is not None) is is_wanted


async def test_the_policy_decides_which(house: House) -> None:
    await policy(house, filter=('team="db"', 'env!="test"'))
    chosen = await house.fire("A", team="db")
    others = [await house.fire("B", team="db", env="test"), await house.fire("C", severity="critical")]

    await house.work()

    assert (await alert_of(house, chosen)).analysis_status == "analyzed"
    assert {(await alert_of(house, alert)).analysis_status for alert in others} == {"pending"}


async def test_a_repeated_alert_is_not_analysed_again_and_a_new_episode_is(house: House) -> None:
    for _ in range(2):
        for _ in range(3):
            alert = await house.fire("A", 60, severity="critical")
            await house.work()
        house.clock.move(minutes=2)
        await house.resolve("A", severity="critical")
        await house.work()
        house.clock.move(minutes=2)

    assert (await events(house, alert)).count("analyzed") == 2


async def test_one_run_stands_for_a_group_and_for_what_joins_it_meanwhile(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    early = [await house.fire("A", severity="critical", instance=str(number)) for number in range(3)]
    await house.work("dispatch")
    late = await house.fire("A", severity="critical", instance="late")
    other = await house.fire("B", severity="critical")
    await house.work("dispatch")
    await house.work()

    assert app.runs == 2
    ids = {(await alert_of(house, alert)).task_id for alert in (*early, late)}
    assert len(ids) == 1
    assert {(await alert_of(house, alert)).analysis_status for alert in (*early, late, other)} == {"analyzed"}


async def test_what_comes_after_the_run_has_ended_gets_a_run_of_its_own(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    await house.fire("A", severity="critical", instance="1")
    await house.work()
    await house.fire("A", severity="critical", instance="2")
    await house.work()

    assert app.runs == 2


async def test_the_budget_holds_for_an_hour_and_survives_a_restart(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    await policy(house, max_per_hour=2)
    alerts = [await house.fire(f"A{number}", severity="critical") for number in range(4)]
    await house.work()
    refused = [alert for alert in alerts if (await alert_of(house, alert)).analysis_status == "pending"]
    house.clock.move(minutes=59)
    await house.fire("B", severity="critical")
    await house.work()
    before = app.runs
    house.clock.move(minutes=2)
    await house.fire("C", severity="critical")
    await house.work()

    assert (before, app.runs) == (2, 3)
    assert [await events(house, alert) for alert in refused] == [["firing", "analysis.skipped"]] * 2


async def test_what_is_free_has_no_budget(house: House) -> None:
    await policy(house, max_per_hour=0)
    alert = await house.fire("A", severity="critical")

    await house.work()

    assert (await alert_of(house, alert)).analysis_status == "analyzed"


async def test_of_what_began_together_the_most_urgent_leads(house: House) -> None:
    both = [{"alertname": "I", "severity": severity} for severity in ("warning", "critical")]
    warning, critical = map(fingerprint, both)
    assert warning < critical
    await house.post(*({"labels": labels} for labels in both))

    await house.work()

    (alert,) = await house.parts.alerts.find([warning])
    assert alert.analysis_result is not None
    assert alert.analysis_result["summary"].startswith("I（critical）")


async def test_a_storm_of_groups_is_not_answered_with_a_storm_of_questions(house: House) -> None:
    alerts = [{"labels": {"alertname": f"A{number}", "severity": "critical"}} for number in range(RUNS_AT_ONCE + 5)]
    await house.post(*alerts)

    await house.work("dispatch")

    assert len(await runs(house)) == RUNS_AT_ONCE


async def storm(house: House, *types: str) -> Alert:
    """As many runs as there may be, and the alert that came after them."""
    for post in range(RECENT_RUNS // RUNS_AT_ONCE):
        names = [f"{post}-{number}" for number in range(RUNS_AT_ONCE)]
        await house.post(*({"labels": {"alertname": name, "severity": "critical"}} for name in names))
        await house.work(*types)
    late = await house.fire("late", severity="critical")
    await house.work(*types)
    return late


async def test_while_many_runs_are_open_no_other_begins(house: House) -> None:
    late = await storm(house, "dispatch")
    assert await runs(house) == ["open"] * RECENT_RUNS
    house.clock.move(seconds=10)
    later = await house.fire("later", severity="critical")
    await house.work("dispatch")

    for alert in (late, later):
        assert await events(house, alert) == ["firing", "analysis.skipped"]
    await house.work("ai_analysis")
    after = await house.fire("after", severity="critical")
    await house.work("dispatch", "ai_analysis")
    assert (await alert_of(house, after)).analysis_status == "analyzed"


async def test_where_many_runs_began_lately_no_other_begins_though_they_have_ended(house: House) -> None:
    late = await storm(house, "dispatch", "ai_analysis")

    assert await runs(house) == ["analyzed"] * RECENT_RUNS
    assert await events(house, late) == ["firing", "analysis.skipped"]
    house.clock.move(seconds=10)
    after = await house.fire("after", severity="critical")
    await house.work("dispatch", "ai_analysis")
    assert (await alert_of(house, after)).analysis_status == "analyzed"


def told(sink: Sink) -> list[Any]:
    return [json.loads(request.body) for request in sink.requests]


async def test_without_a_hold_nothing_waits_and_the_message_has_what_is_there(house: House, sink: Sink) -> None:
    await watch(house, sink)
    await house.fire("A", severity="critical")
    await house.work("dispatch")
    house.clock.move(seconds=10)
    await house.work("flush", "deliver")

    [message] = told(sink)
    assert "analysis" not in message


async def test_a_notification_carries_the_analysis(house: House, sink: Sink, app: DifyApp) -> None:
    await watch(house, sink)
    await use_dify(house, app)
    await house.fire("A", severity="critical")
    await house.work()
    house.clock.move(seconds=10)
    await house.work()

    [message] = told(sink)
    assert message["analysis"]["root_cause"] == "logs grew"


async def test_a_notification_waits_for_an_analysis_that_runs_and_goes_out_when_it_ends(
    house: House, sink: Sink, app: DifyApp
) -> None:
    await watch(house, sink)
    await use_dify(house, app)
    await policy(house, hold=HOLD)
    await house.fire("A", severity="critical")
    await house.work("dispatch")
    house.clock.move(seconds=15)
    await house.work("flush", "deliver")
    waited = len(sink.requests)
    house.clock.move(seconds=5)
    await house.work("ai_analysis")
    await house.work("flush", "deliver")

    [message] = told(sink)
    assert (waited, message["analysis"]["root_cause"]) == (0, "logs grew")


async def test_an_analysis_that_hangs_adds_the_hold_and_no_more(house: House, sink: Sink, app: DifyApp) -> None:
    await watch(house, sink)
    await use_dify(house, app)
    await policy(house, hold=HOLD)
    await house.fire("A", severity="critical")
    await house.work("dispatch")
    delays: list[int] = []
    for second in range(45):
        await house.work("flush", "deliver")
        delays += [second] * (len(sink.requests) - len(delays))
        house.clock.move(seconds=1)

    [message] = told(sink)
    assert delays == [10 + 30]
    assert "analysis" not in message


async def test_runs_that_follow_one_another_do_not_add_up(house: House, sink: Sink, app: DifyApp) -> None:
    await watch(house, sink)
    await use_dify(house, app)
    await policy(house, hold=HOLD)
    delays: list[int] = []
    for second in range(45):
        if second % 8 == 0:
            await house.work("ai_analysis")
            await house.fire("A", severity="critical", instance=str(second))
            await house.work("dispatch")
        await house.work("flush", "deliver")
        delays += [second] * (len(sink.requests) - len(delays))
        house.clock.move(seconds=1)

    assert app.runs >= 4
    assert delays[0] <= 10 + 30


async def test_an_analysis_that_fails_lets_the_notification_go_at_once(house: House, sink: Sink, app: DifyApp) -> None:
    await watch(house, sink)
    await use_dify(house, app)
    await policy(house, hold=HOLD)
    app.refuse_next("unauthorized")
    await house.fire("A", severity="critical")
    await house.work("dispatch")
    house.clock.move(seconds=15)
    await house.work("flush", "deliver")
    await house.work("ai_analysis")
    await house.work("flush", "deliver")

    [message] = told(sink)
    assert "analysis" not in message


async def test_a_group_that_nobody_analyses_waits_for_nothing(house: House, sink: Sink) -> None:
    await watch(house, sink)
    await policy(house, hold=HOLD)
    await house.fire("A", severity="info")
    await house.work("dispatch")
    house.clock.move(seconds=10)
    await house.work("flush", "deliver")

    assert len(sink.requests) == 1
    assert await house.database.fetchval("SELECT count(*) FROM analysis_holds") == 0
