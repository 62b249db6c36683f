"""How long a provider may be away."""

from datetime import UTC, datetime, timedelta

from alertagent.core.alerts.kinds import DISPATCH
from alertagent.core.notify.kinds import DELIVER, FLUSH, REGROUP, Deliver
from alertagent.core.notify.tasks import rules
from alertagent.kernel.errors import External
from alertagent.queue.policy import RetryIn, judge
from tests.core.alerts.house import House


async def test_every_task_of_telling_has_its_handler(house: House) -> None:
    handled = house.parts.notification_handlers().keys()

    assert handled >= {kind.type for kind in (DISPATCH, FLUSH, REGROUP, DELIVER)}
    assert handled >= rules().keys()


def test_a_delivery_is_tried_for_about_a_day() -> None:
    now, waited = datetime(2026, 11, 22, tzinfo=UTC), timedelta()
    for retry in range(DELIVER.max_retry):
        task = DELIVER.task(Deliver(delivery="d")).as_task(now)._replace(retry=retry)
        verdict = judge(External("away"), task, 0.5, rules()[DELIVER.type])
        assert isinstance(verdict, RetryIn)
        waited += verdict.delay

    assert timedelta(hours=16) < waited < timedelta(hours=36)
