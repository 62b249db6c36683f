"""The line of log that an attempt leaves."""

import structlog

from alertagent.kernel import trace
from alertagent.queue.policy import Bury, RetryIn, Verdict
from alertagent.queue.task import Task

log = structlog.get_logger()


def report(task: Task, seconds: float, verdict: Verdict | None) -> None:
    """Say how an attempt ended that took so long. None is for what ran to its end."""
    about = {"id": task.id, "type": task.type, "queue": task.queue, "seconds": round(seconds, 6)}
    if task.trace is not None:
        about["trace_id"] = trace.id_of(task.trace)
    match verdict:
        case None:
            log.debug("task.completed", **about)
        case RetryIn(delay, error, spends=False):
            log.info("task.postponed", **about, delay=delay.total_seconds(), error=error)
        case RetryIn(delay, error):
            log.warning("task.retried", **about, retry=task.retry + 1, delay=delay.total_seconds(), error=error)
        case Bury(why, error):
            log.error("task.buried", **about, why=why.value, error=error)
