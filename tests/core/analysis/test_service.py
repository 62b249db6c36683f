"""An analysis belongs to the episode that it was about."""

from datetime import timedelta

import pytest

from alertagent.core.alerts.model import Alert
from alertagent.core.analysis.service import MAX_ALERTS, wanted
from alertagent.core.audit.model import Actor
from alertagent.core.rules.model import RuleContent
from tests.core.alerts.house import House

ANNA = Actor(name="anna")


async def analyses(house: House) -> int:
    count: int = await house.database.fetchval("SELECT count(*) FROM task_queue WHERE task_type = 'ai_analysis'")
    return count


async def events(house: House, alert: Alert) -> list[str]:
    found = await house.parts.alerts.timeline(alert.fingerprint, before=None, limit=100)
    return [event.kind for event in reversed(found)]


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
async def test_only_serious_alerts_are_analysed(house: House, labels: dict[str, str], is_wanted: bool) -> None:
    alert = await house.fire("A", 0, **labels)

    await house.work()

    after = await house.parts.alerts.get(alert.fingerprint)
    assert after.analysis_status == ("analyzed" if is_wanted else "pending")
    assert (after.task_id is not None) is is_wanted
    assert await analyses(house) == int(is_wanted)


async def test_the_result_is_kept_with_the_episode(house: House) -> None:
    alert = await house.fire("A", severity="critical")
    await house.work()

    after = await house.parts.alerts.get(alert.fingerprint)

    assert after.analysis_result is not None
    assert after.analysis_result["provider"] == "heuristic"
    assert after.analysis_result["duration"] >= 0
    assert await events(house, alert) == ["firing", "analyzed"]


async def test_an_analysis_that_runs_again_changes_nothing(house: House) -> None:
    alert = await house.fire("A", severity="critical")
    await house.work()
    before = await house.parts.alerts.get(alert.fingerprint)

    await house.parts.analyses.analyze(alert.fingerprint, 1)

    assert await house.parts.alerts.get(alert.fingerprint) == before
    assert await events(house, alert) == ["firing", "analyzed"]


async def test_an_analysis_of_an_episode_that_is_past_is_dropped(house: House) -> None:
    alert = await house.fire("A", severity="critical")
    await house.resolve("A", severity="critical")
    house.clock.move(minutes=1)
    await house.fire("A", severity="critical")

    await house.parts.analyses.analyze(alert.fingerprint, 1)
    await house.parts.analyses.fail(alert.fingerprint, 1, "too late")

    after = await house.parts.alerts.get(alert.fingerprint)
    assert (after.episode, after.analysis_status) == (2, "pending")


async def test_a_new_episode_is_analysed_anew(house: House) -> None:
    for _ in range(2):
        alert = await house.fire("A", severity="critical")
        await house.work()
        house.clock.move(minutes=2)
        await house.resolve("A", severity="critical")
        await house.work()

    assert (await events(house, alert)).count("analyzed") == 2


async def test_recent_changes_of_the_rule_are_named(house: House) -> None:
    rule = await house.parts.rules.add(ANNA, RuleContent(name="A", expression="up == 0", labels={}, annotations={}))
    await house.parts.rules.revise(ANNA, rule.id, {"expression": "up < 2"}, None, "lower the bar")
    await house.database.execute("UPDATE alert_rule_versions SET at = at - interval '50 minutes' WHERE revision = 2")
    await house.database.execute("UPDATE alert_rule_versions SET at = at - interval '61 minutes' WHERE revision = 1")
    alert = await house.fire("A", severity="critical")

    await house.work()

    result = (await house.parts.alerts.get(alert.fingerprint)).analysis_result
    assert "v1.0.1" in str(result)
    assert "anna" in str(result)
    assert "v1.0.0" not in str(result)


async def test_what_cannot_be_analysed_says_so(house: House) -> None:
    alert = await house.fire("A", severity="critical")

    await house.parts.analyses.fail(alert.fingerprint, 1, "x" * 1000)

    after = await house.parts.alerts.get(alert.fingerprint)
    assert (after.analysis_status, after.analysis_result) == ("failed", {"error": "x" * 500})


async def test_a_storm_does_not_ask_for_more_than_it_may(house: House) -> None:
    alerts = [await house.fire(f"A{number}", severity="critical") for number in range(MAX_ALERTS + 5)]

    assert len(wanted(alerts)) == MAX_ALERTS


async def test_an_alert_that_comes_back_often_is_said_to_flap(house: House) -> None:
    for _ in range(6):
        alert = await house.fire("A", severity="critical")
        house.clock.move(minutes=2)
        await house.resolve("A", severity="critical")
        house.clock.move(minutes=2)
    await house.fire("A", severity="critical")
    since = house.clock.now() - timedelta(hours=24)

    assert await house.parts.alerts.episodes_since(alert.fingerprint, since) == 7


async def test_related_alerts_share_a_place(house: House) -> None:
    alert = await house.fire("A", instance="a:9100", cluster="c1")
    await house.fire("B", instance="a:9100")
    await house.fire("C", cluster="c1")
    await house.fire("D", instance="b:9100", cluster="c2")
    await house.fire("E", instance="a:9100")
    await house.resolve("E", instance="a:9100")

    related = await house.parts.alerts.related(alert)

    assert sorted(other.labels["alertname"] for other in related) == ["B", "C"]
