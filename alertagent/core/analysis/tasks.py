"""Analyses, one alert a task."""

from collections.abc import Mapping

from alertagent.core.analysis.kinds import ANALYZE
from alertagent.core.analysis.service import Analyses
from alertagent.kernel.errors import NotFound, Problem
from alertagent.queue.task import Task
from alertagent.queue.worker import Handler


def handlers(analyses: Analyses) -> Mapping[str, Handler]:
    async def analyze(task: Task) -> None:
        about = ANALYZE.read(task)
        try:
            await analyses.analyze(about.alert_id, about.episode)
        except NotFound:
            return
        except Problem as problem:
            if task.retry >= task.max_retry:
                await analyses.fail(about.alert_id, about.episode, problem.message)
            raise

    return {ANALYZE.type: analyze}
