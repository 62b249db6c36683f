"""The process's own metrics. Labels come from closed sets only, so that no sender can grow them."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from alertagent import __version__


class Metrics:
    """Every metric that is not observed where HTTP is served."""

    def __init__(self) -> None:
        # A gauge beside every counter that says when it began would double what is scraped.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = Gauge("alertagent_build_info", "Which release runs.", ("version",), registry=self.registry)
        build.labels(__version__).set(1)
        self.alerts_received = Counter(
            "alertagent_alerts_received", "Alerts made durable.", ("source", "status"), registry=self.registry
        )
        self.queue = QueueMetrics(self.registry)


class QueueMetrics:
    """Counts what the queue reports; `type` is one of the types that have a handler."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tasks = Counter(
            "alertagent_tasks", "Attempts at tasks, by how they ended.", ("queue", "type", "outcome"), registry=registry
        )
        self._seconds = Histogram(
            "alertagent_task_duration_seconds", "Time that an attempt took.", ("queue", "type"), registry=registry
        )
        self._waited = Histogram(
            "alertagent_task_wait_seconds", "Time between due and started.", ("queue", "type"), registry=registry
        )
        self._claimed = Counter(
            "alertagent_tasks_claimed", "Tasks taken over from a silent worker.", ("queue",), registry=registry
        )
        self._repaired = Counter(
            "alertagent_tasks_repaired", "Tasks that Redis had lost.", ("queue",), registry=registry
        )
        self._dropped = Counter(
            "alertagent_task_announcements_dropped",
            "Tasks that start later because Redis could not be told at once.",
            ("queue",),
            registry=registry,
        )

    def task_finished(self, queue: str, type: str, outcome: str, seconds: float, waited: float) -> None:
        self._tasks.labels(queue, type, outcome).inc()
        self._seconds.labels(queue, type).observe(seconds)
        self._waited.labels(queue, type).observe(max(waited, 0.0))

    def tasks_claimed(self, queue: str, count: int) -> None:
        self._claimed.labels(queue).inc(count)

    def tasks_repaired(self, queue: str, count: int) -> None:
        self._repaired.labels(queue).inc(count)

    def announcements_dropped(self, queue: str, count: int) -> None:
        self._dropped.labels(queue).inc(count)
