"""Analyses, one alert a task."""

from collections.abc import Mapping

from alertagent.core.analysis.service import TASK, Analyses
from alertagent.kernel.errors import NotFound, Problem
from alertagent.queue.task import Task
from alertagent.queue.worker import Handler


def handlers(analyses: Analyses) -> Mapping[str, Handler]:
    async def analyze(task: Task) -> None:
        alert_id, episode = task.payload["alert_id"], task.payload["episode"]
        try:
            await analyses.analyze(alert_id, episode)
        except NotFound:
            return
        except Problem as problem:
            if task.retry >= task.max_retry:
                await analyses.fail(alert_id, episode, problem.message)
            raise

    return {TASK: analyze}
