"""The tasks of telling: put alerts into groups, look at a group, deliver."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from alertagent.core.alerts.kinds import DISPATCH
from alertagent.core.notify.deliver import Deliveries
from alertagent.core.notify.ends import Ends
from alertagent.core.notify.groups import Groups
from alertagent.core.notify.kinds import DELIVER, FLUSH, REGROUP, RETRIES
from alertagent.core.notify.prompt import Prompt
from alertagent.queue.policy import Rule
from alertagent.queue.task import Task
from alertagent.queue.worker import Handler

AfterChange = Callable[[Sequence[str]], Awaitable[None]]


def handlers(
    groups: Groups, deliveries: Deliveries, prompt: Prompt, ends: Ends, after_change: AfterChange
) -> Mapping[str, Handler]:
    """`after_change` plans what else follows alerts that changed, before anybody is called."""

    async def dispatch(task: Task) -> None:
        changed = DISPATCH.read(task).alerts
        await prompt.room()
        begun = await groups.dispatch(changed, task.due, by=task.id)
        await ends.dispatch(changed)
        await after_change(changed)
        await prompt.tell(begun, by=task.id)

    async def flush(task: Task) -> None:
        await prompt.room()
        begun = await groups.flush(FLUSH.read(task).groups, by=task.id)
        await prompt.tell(begun, by=task.id)

    async def regroup(_task: Task) -> None:
        await groups.regroup()

    async def deliver(task: Task) -> None:
        await deliveries.deliver(DELIVER.read(task).delivery, is_last_attempt=task.retry >= task.max_retry)

    return {DISPATCH.type: dispatch, FLUSH.type: flush, REGROUP.type: regroup, DELIVER.type: deliver}


def rules() -> Mapping[str, Rule]:
    """Who looks at groups makes first attempts, too, and may take as long as one of them."""
    looking = Rule(timeout=RETRIES.timeout)
    return {DELIVER.type: RETRIES, DISPATCH.type: looking, FLUSH.type: looking}
