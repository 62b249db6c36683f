"""A task that tells a channel is tried again as a task, by somebody who looks at the queue."""

from tests.core.alerts.house import House
from tests.core.notify.routed import ANNA
from tests.core.notify.test_circuits import attempt, plan
from tests.core.notify.test_groups import add_channel
from tests.support.sink import Answer, Sink

FAILED = "UPDATE task_queue SET status = 'failed', completed_at = now() WHERE id = $1"


async def test_it_sends_what_had_failed_and_the_timeline_says_so(house: House) -> None:
    async with Sink() as sink:
        await add_channel(house, sink, "ops")
        (id,) = await plan(house, 1)
        sink.answer_always(Answer(status=400))
        await attempt(house, id)
        await house.database.execute(FAILED, id)
        sink.answer_always(Answer())

        await house.parts.queues.retry(ANNA, id)
        await house.work("deliver")

    status = await house.database.fetchval("SELECT status FROM notification_deliveries WHERE id = $1", id)
    kinds = await house.database.fetch("SELECT kind FROM alert_events ORDER BY id")
    assert status == "sent"
    assert len(sink.requests) == 2
    assert "notification.retried" in [row["kind"] for row in kinds]
