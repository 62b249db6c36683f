"""How the queue reaches escalation: behind every dispatch, and when a step is due."""

from collections.abc import Mapping

from alertagent.core.alerts.kinds import DISPATCH
from alertagent.core.escalation.kinds import ESCALATE
from alertagent.core.escalation.service import Escalations
from alertagent.queue.task import Task
from alertagent.queue.worker import Handler


def handlers(escalations: Escalations, dispatch: Handler) -> Mapping[str, Handler]:
    """`dispatch` puts changed alerts into their groups; their steps are planned after that."""

    async def dispatch_and_plan(task: Task) -> None:
        await dispatch(task)
        await escalations.plan(DISPATCH.read(task).alerts)

    async def escalate(task: Task) -> None:
        await escalations.escalate(ESCALATE.read(task).episodes)

    return {DISPATCH.type: dispatch_and_plan, ESCALATE.type: escalate}
