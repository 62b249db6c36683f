"""How the queue reaches escalation: when a step is due."""

from collections.abc import Mapping

from alertagent.core.escalation.kinds import ESCALATE
from alertagent.core.escalation.service import Escalations
from alertagent.queue.task import Task
from alertagent.queue.worker import Handler


def handlers(escalations: Escalations) -> Mapping[str, Handler]:
    async def escalate(task: Task) -> None:
        await escalations.escalate(ESCALATE.read(task).episodes)

    return {ESCALATE.type: escalate}
