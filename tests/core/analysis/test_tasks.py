from alertagent.core.analysis.service import task_for
from alertagent.core.analysis.tasks import handlers
from tests.core.alerts.house import House


async def test_the_analysis_of_an_alert_nobody_knows_is_done(house: House) -> None:
    alert = await house.fire("A", severity="critical")
    await house.database.execute("TRUNCATE alerts")

    await house.run(task_for(alert).as_task(house.clock.now()))


async def test_a_task_carries_what_an_analysis_needs(house: House) -> None:
    alert = await house.fire("A", severity="critical")

    task = task_for(alert)

    assert set(handlers(house.parts.analyses)) == {task.type}
    assert (task.queue, task.priority, task.max_retry) == ("ai_analysis", 1, 3)
    assert task.payload == {"alert_id": alert.fingerprint, "episode": 1, "analysis_type": "root_cause"}
