import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from alertagent.kernel.errors import External, Permanent, Postponed, RateLimited
from alertagent.queue.policy import MAX_ERROR, Bury, RetryIn, Rule, Verdict, Why, describe, judge
from alertagent.queue.task import Task

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DAY = timedelta(hours=24)


def a_task(*, retry: int = 0, max_retry: int = 3) -> Task:
    return Task(
        id="0190a0b0-0000-7000-8000-000000000000",
        queue="work",
        type="note",
        payload={},
        priority=1,
        retry=retry,
        max_retry=max_retry,
        create_at=NOW,
        due=NOW,
    )


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.mark.parametrize(
    ("error", "task", "verdict"),
    [
        (OSError("away"), a_task(), RetryIn(seconds(0.5), "OSError: away")),
        (OSError("away"), a_task(retry=2), RetryIn(seconds(2), "OSError: away")),
        (OSError("away"), a_task(retry=20, max_retry=30), RetryIn(seconds(150), "OSError: away")),
        (OSError("away"), a_task(retry=3), Bury(Why.EXHAUSTED, "OSError: away")),
        (OSError(), a_task(max_retry=0), Bury(Why.EXHAUSTED, "OSError")),
        (Permanent("no such channel"), a_task(), Bury(Why.PERMANENT, "Permanent: no such channel")),
        (External("503"), a_task(), RetryIn(seconds(0.5), "External: 503")),
        (RateLimited("slow", retry_after=seconds(30)), a_task(), RetryIn(seconds(30), "RateLimited: slow")),
        (RateLimited("slow", retry_after=seconds(0.1)), a_task(), RetryIn(seconds(0.5), "RateLimited: slow")),
        (RateLimited("slow", retry_after=2 * DAY), a_task(), RetryIn(DAY, "RateLimited: slow")),
        (RateLimited("slow", retry_after=seconds(9)), a_task(retry=3), Bury(Why.EXHAUSTED, "RateLimited: slow")),
        (Postponed("open", retry_after=seconds(9)), a_task(retry=3), RetryIn(seconds(9.5), "Postponed: open", False)),
        (Postponed("open"), a_task(retry=20), RetryIn(seconds(1.5), "Postponed: open", False)),
        (Postponed("open", retry_after=2 * DAY), a_task(), RetryIn(DAY, "Postponed: open", False)),
        (asyncio.CancelledError(), a_task(), RetryIn(seconds(0.5), "cancelled by itself")),
    ],
)
def test_a_failure_is_judged_by_its_kind_and_by_the_tries_that_are_left(
    error: BaseException, task: Task, verdict: Verdict
) -> None:
    assert judge(error, task, random=0.5) == verdict


def test_a_type_may_have_its_own_base_and_cap() -> None:
    rule = Rule(base=seconds(60), cap=DAY)

    assert judge(OSError(), a_task(retry=15, max_retry=20), 0.999, rule) == RetryIn(DAY * 0.999, "OSError")
    assert judge(OSError(), a_task(retry=1), 0.5, rule) == RetryIn(seconds(60), "OSError")


def test_an_error_is_described_in_text_that_postgresql_takes() -> None:
    text = describe(ValueError("nul \0, surrogate \ud800 and " + "x" * 1000))

    assert "\0" not in text
    assert text.encode("utf-8").startswith(b"ValueError: nul ?, surrogate ? and")
    assert len(text) <= MAX_ERROR
