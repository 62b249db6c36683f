"""What the metrics say of the queues."""

from dataclasses import replace
from datetime import timedelta
from math import isnan

from alertagent.metrics import Metrics
from alertagent.queue.statistics import InRedis, QueueStatistics
from tests.core.alerts.house import until
from tests.support.service import Api

FOUND = QueueStatistics(
    queue="notification",
    due=7,
    oldest=timedelta(seconds=90),
    rate=1.5,
    paused_by="ann",
    redis=InRedis(depth={2: 4, 1: 1, 0: 0}, held=2, delayed=3, dead=5, consumers=1),
)


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(f"alertagent_{name}", labels)
    assert found is not None, name
    return found


def test_the_gauges_show_what_was_measured_last() -> None:
    metrics = Metrics()

    metrics.backlog.measured(FOUND, is_full=True)

    shown = {
        name: value(metrics, name, queue="notification")
        for name in (
            "queue_pending",
            "queue_delayed",
            "queue_consumers",
            "queue_due",
            "queue_oldest_seconds",
            "queue_paused",
            "queue_full",
            "dead_letters",
        )
    }
    assert list(shown.values()) == [2, 3, 1, 7, 90, 1, 1, 5]
    assert [value(metrics, "queue_depth", queue="notification", priority=each) for each in "210"] == [4, 1, 0]
    assert value(metrics, "redis_up") == 1
    assert value(metrics, "queue_measured_timestamp_seconds") > 1.7e9


def test_what_only_redis_knows_is_unknown_while_it_is_away() -> None:
    metrics = Metrics()
    metrics.backlog.measured(FOUND, is_full=True)

    metrics.backlog.measured(replace(FOUND, redis=None, paused_by=None), is_full=False)

    assert isnan(value(metrics, "queue_depth", queue="notification", priority="2"))
    assert all(
        isnan(value(metrics, name, queue="notification"))
        for name in ("queue_pending", "queue_delayed", "queue_consumers", "dead_letters")
    )
    assert value(metrics, "queue_due", queue="notification") == 7
    assert value(metrics, "queue_full", queue="notification") == value(metrics, "redis_up") == 0


async def test_a_running_service_measures_all_queues_by_itself(api: Api) -> None:
    async def lines() -> list[str]:
        text = (await api.get("//metrics")).body.decode()
        found = [line for line in text.splitlines() if line.startswith("alertagent_queue_depth{")]
        return found if "alertagent_redis_up 1.0" in text.splitlines() else []

    assert len(await until(lines)) == 9


def test_an_opening_is_counted_by_plugin_and_shows_nothing_else_of_the_key() -> None:
    metrics = Metrics()

    for host in ("a", "b"):
        metrics.breaker_opened(f"dify https://{host} 0123456789ab")

    assert value(metrics, "breaker_openings_total", plugin="dify") == 2
