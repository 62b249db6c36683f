"""Handlers that go on with the trace of their task, in what they log, enqueue and send."""

import structlog

from alertagent.kernel import trace
from alertagent.queue.task import Task
from alertagent.queue.worker import Handler


def traced(handler: Handler) -> Handler:
    """The handler inside the trace of its task. One that nobody's trace led to begins its own."""

    async def run(task: Task) -> None:
        parent = task.trace if trace.is_traceparent(task.trace) else trace.begun_by(task.id)
        with trace.following(parent), structlog.contextvars.bound_contextvars(trace_id=trace.id_of(parent)):
            await handler(task)

    return run
