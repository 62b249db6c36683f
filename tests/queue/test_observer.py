"""What the queue reports is counted as if it had been reported one by one."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from alertagent.metrics import QueueMetrics

SECONDS = st.lists(st.floats(0, 100) | st.sampled_from(Histogram.DEFAULT_BUCKETS[:-1]), max_size=30)


@given(batches=st.lists(SECONDS, max_size=4))
def test_a_batch_is_counted_as_its_attempts_would_be(batches: list[list[float]]) -> None:
    registry, expected = CollectorRegistry(), CollectorRegistry()
    metrics = QueueMetrics(registry)
    duration = Histogram("alertagent_task_duration_seconds", "", ("queue", "type"), registry=expected)

    for batch in batches:
        metrics.tasks_finished("work", "note", "completed", batch, batch)
        for seconds in batch:
            duration.labels("work", "note").observe(seconds)

    labels = {"queue": "work", "type": "note"}
    for bound in [*map(str, Histogram.DEFAULT_BUCKETS[:-1]), "+Inf"]:
        bucket = "alertagent_task_duration_seconds_bucket", {**labels, "le": bound}
        assert (registry.get_sample_value(*bucket) or 0) == (expected.get_sample_value(*bucket) or 0)
    count = registry.get_sample_value("alertagent_tasks_total", {**labels, "outcome": "completed"})
    assert (count or 0) == sum(map(len, batches))
    assert b"alertagent_task_wait_seconds" in generate_latest(registry)
