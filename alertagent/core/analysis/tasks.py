"""How the queue reaches analyses: one run a task, and the ends of those that wait for a callback."""

from collections.abc import Mapping
from datetime import timedelta

from alertagent.core.analysis.kinds import ANALYZE, GIVE_UP
from alertagent.core.analysis.service import Analyses
from alertagent.queue.policy import Rule
from alertagent.queue.task import Task
from alertagent.queue.worker import Handler


def handlers(analyses: Analyses) -> Mapping[str, Handler]:
    async def analyze(task: Task) -> None:
        ANALYZE.read(task)
        await analyses.analyze(task.id, is_last_attempt=task.retry >= task.max_retry)

    async def give_up(task: Task) -> None:
        await analyses.give_up(GIVE_UP.read(task).run)

    return {ANALYZE.type: analyze, GIVE_UP.type: give_up}


def rules() -> Mapping[str, Rule]:
    """A provider streams for minutes; one that fails is asked again soon, while somebody still wants to know."""
    return {ANALYZE.type: Rule(base=timedelta(seconds=2), cap=timedelta(seconds=30), timeout=timedelta(minutes=12))}
