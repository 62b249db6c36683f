"""The tasks of telling: put alerts into groups, look at a group, deliver."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta

from alertagent.core.alerts.kinds import DISPATCH
from alertagent.core.notify.deliver import Deliveries
from alertagent.core.notify.ends import Ends
from alertagent.core.notify.groups import Changed, Groups
from alertagent.core.notify.kinds import DELIVER, FLUSH, REGROUP, RETRIES
from alertagent.core.notify.prompt import Prompt
from alertagent.core.notify.records import Planned
from alertagent.kernel.together import Together
from alertagent.queue.policy import Rule
from alertagent.queue.task import Task
from alertagent.queue.worker import Handler

# So many tasks of few changed alerts are put into their groups together.
DISPATCHES = 3
FEW = 250

# So long a look at groups waits for them.
PATIENCE = timedelta(seconds=1)

AfterChange = Callable[[Sequence[str]], Awaitable[None]]


def handlers(
    groups: Groups, deliveries: Deliveries, prompt: Prompt, ends: Ends, after_change: AfterChange
) -> Mapping[str, Handler]:
    """`after_change` plans what else follows alerts that changed, before anybody is called."""

    async def put_into_groups(changes: Sequence[Changed]) -> list[Sequence[Planned]]:
        begun = await groups.dispatch(changes)
        changed = [fingerprint for change in changes for fingerprint in change.fingerprints]
        await ends.dispatch(changed)
        await after_change(changed)
        return begun

    # Tasks that wait for the same groups would wait for each other: those that come meanwhile share a transaction.
    together = Together(put_into_groups, most=DISPATCHES)
    first = _First()

    async def dispatch(task: Task) -> None:
        await prompt.room()
        change = Changed(fingerprints=DISPATCH.read(task).alerts, since=task.due, by=task.id)
        with first.going():
            if len(change.fingerprints) <= FEW:
                begun = await together.ask(change)
            else:
                [begun] = await put_into_groups([change])
        await prompt.tell(begun, by=task.id)

    async def flush(task: Task) -> None:
        await first.gone()
        async with prompt.telling(by=task.id) as tell:
            for part in await groups.parts(FLUSH.read(task).groups):
                await prompt.room()
                tell(await groups.flush(part, by=task.id))

    async def regroup(_task: Task) -> None:
        await groups.regroup()

    async def deliver(task: Task) -> None:
        await deliveries.deliver(DELIVER.read(task).delivery, is_last_attempt=task.retry >= task.max_retry)

    return {DISPATCH.type: dispatch, FLUSH.type: flush, REGROUP.type: regroup, DELIVER.type: deliver}


class _First:
    """Alerts are put into their groups before these are looked at: else they would be told by a message of their own.

    Whoever looks waits for that with `PATIENCE`, since more and more may come.
    """

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    @contextmanager
    def going(self) -> Iterator[None]:
        self._count += 1
        self._none.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    async def gone(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await self._none.wait()


def rules() -> Mapping[str, Rule]:
    """Who looks at groups makes first attempts, too, and may take as long as one of them."""
    looking = Rule(timeout=RETRIES.timeout)
    return {DELIVER.type: RETRIES, DISPATCH.type: looking, FLUSH.type: looking}
