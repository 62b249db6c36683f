from datetime import UTC, datetime

import pytest
import structlog
from structlog.testing import capture_logs

from alertagent.kernel import trace
from alertagent.queue.task import NewTask, Task
from alertagent.queue.traced import traced
from tests.queue.bench import Bench, task
from tests.support.waiting import Inbox

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE_ID = trace.id_of(PARENT)
NOW = datetime(2026, 11, 22, tzinfo=UTC)


async def test_a_task_goes_on_with_the_trace_of_whoever_enqueued_it(bench: Bench) -> None:
    seen: Inbox[str | None] = Inbox()

    async def enqueue_another(_: Task) -> None:
        seen.add(trace.current())
        await bench.enqueue(task("last"))

    async def remember(found: Task) -> None:
        seen.add(found.trace)

    async with bench.workers({"first": traced(enqueue_another), "last": traced(remember)}):
        with trace.following(PARENT):
            await bench.enqueue(first := task("first"))
        spans = [PARENT, (await bench.row(first)).trace, *await seen.wait_for(2)]

    assert [trace.id_of(span) for span in spans if span] == [TRACE_ID] * 4
    # The handler's own span is what it hands on.
    assert len(set(spans)) == 3
    assert spans[2] == spans[3]


async def test_what_is_logged_meanwhile_bears_the_trace() -> None:
    async def say(_: Task) -> None:
        structlog.get_logger().info("task.noted")

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await traced(say)(task(trace=PARENT).as_task(NOW))

    assert [entry["trace_id"] for entry in logs] == [TRACE_ID]
    assert "trace_id" not in structlog.contextvars.get_contextvars()


@pytest.mark.parametrize("found", [None, "", "nonsense", f"00-{'0' * 32}-00f067aa0ba902b7-01"])
async def test_a_task_without_a_good_trace_has_one_of_its_own_in_all_its_attempts(found: str | None) -> None:
    seen: list[str] = []

    async def remember(_: Task) -> None:
        seen.append(trace.current() or "")

    new = task(trace=found)
    for _ in range(2):
        await traced(remember)(new.as_task(NOW))

    assert [trace.id_of(each) for each in seen] == [new.id.replace("-", "")] * 2


def test_a_task_outside_of_any_work_has_no_trace() -> None:
    assert NewTask(queue="q", type="t", payload={}).trace is None
