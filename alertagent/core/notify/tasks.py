"""The tasks of telling: put alerts into groups, look at a group, deliver."""

from collections.abc import Mapping
from datetime import timedelta

from alertagent.core.alerts.kinds import DISPATCH
from alertagent.core.notify.deliver import Deliveries
from alertagent.core.notify.ends import Ends
from alertagent.core.notify.groups import Groups
from alertagent.core.notify.kinds import DELIVER, FLUSH, REGROUP
from alertagent.queue.policy import Rule
from alertagent.queue.task import Task
from alertagent.queue.worker import Handler


def handlers(groups: Groups, deliveries: Deliveries, ends: Ends) -> Mapping[str, Handler]:
    async def dispatch(task: Task) -> None:
        await groups.dispatch(DISPATCH.read(task).alerts, task.due)
        await ends.dispatch(DISPATCH.read(task).alerts)

    async def flush(task: Task) -> None:
        await groups.flush(FLUSH.read(task).groups)

    async def regroup(_task: Task) -> None:
        await groups.regroup()

    async def deliver(task: Task) -> None:
        await deliveries.deliver(DELIVER.read(task).delivery, is_last_attempt=task.retry >= task.max_retry)

    return {DISPATCH.type: dispatch, FLUSH.type: flush, REGROUP.type: regroup, DELIVER.type: deliver}


def rules() -> Mapping[str, Rule]:
    """A provider may be away for hours: deliveries go on for a day."""
    return {DELIVER.type: Rule(base=timedelta(seconds=1), cap=timedelta(minutes=45), timeout=timedelta(minutes=5))}
