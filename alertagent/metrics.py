"""The process's own metrics. Labels come from closed sets only, so that no sender can grow them."""

from bisect import bisect_left
from collections import Counter as Counted
from collections.abc import Mapping, Sequence
from math import nan

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
from alertagent.core.gateway.model import SPOKEN
from alertagent.core.notify.model import DeliveryStatus
from alertagent.kernel.breaker import State
from alertagent.plugins.outcome import Outcome, word_of
from alertagent.queue.statistics import InRedis, QueueStatistics
from alertagent.queue.streams import LEVELS


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
        spoken = Gauge(
            "alertmanager_build_info",
            "The release of Alertmanager whose API v2 is spoken here: karma reads it before it asks for anything.",
            ("version",),
            registry=self.registry,
        )
        spoken.labels(SPOKEN).set(1)
        self.alerts_received = Counter(
            "alertagent_alerts_received", "Alerts made durable.", ("source", "status"), registry=self.registry
        )
        self._openings = Counter(
            "alertagent_breaker_openings",
            "Times that a provider was left alone for a while because it kept failing.",
            ("plugin",),
            registry=self.registry,
        )
        self._breakers = Gauge(
            "alertagent_breakers",
            "Circuit breakers that are not closed. Every process shows the same ones.",
            ("plugin", "state"),
            registry=self.registry,
        )
        self._analyses = Counter(
            "alertagent_analyses",
            "Analyses that ended, by the plugin that was asked and how they ended.",
            ("plugin", "outcome"),
            registry=self.registry,
        )
        self._worded = Counter(
            "alertagent_messages_worded",
            "Messages that a template was to word, by what became of that: rendered, failed or stopped.",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in ("rendered", "failed", "stopped"):
            self._worded.labels(outcome)
        self.notifications = NotificationMetrics(self.registry)
        self.queue = QueueMetrics(self.registry)
        self.backlog = BacklogMetrics(self.registry)

    def breaker_opened(self, key: str) -> None:
        """The key begins with the name of a plugin; what follows is known to few and no label."""
        self._openings.labels(_plugin(key)).inc()

    def analysis_ended(self, plugin: str, outcome: str) -> None:
        self._analyses.labels(plugin, outcome).inc()

    def message_worded(self, outcome: str) -> None:
        self._worded.labels(outcome).inc()

    def breakers_shown(self, states: Mapping[str, State]) -> None:
        """All that are not closed, by their keys."""
        self._breakers.clear()
        for (plugin, state), count in Counted((_plugin(key), state.value) for key, state in states.items()).items():
            self._breakers.labels(plugin, state).set(count)


def _plugin(key: str) -> str:
    return key.partition(" ")[0]


class _Histogram(Histogram):
    """Takes many observations at once, for a tenth of what the library's own method costs for each."""

    def observe_all(self, values: Sequence[float]) -> None:
        for place, count in Counted(bisect_left(self._upper_bounds, value) for value in values).items():
            self._buckets[place].inc(count)
        self._sum.inc(sum(values))


class NotificationMetrics:
    """Counts what channels are told; `plugin` is one of those that are installed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sent = Counter(
            "alertagent_messages_sent",
            "Messages that went to providers, by what they said: delivered, retry_after, refused or ambiguous.",
            ("plugin", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            "alertagent_message_duration_seconds",
            "Time until a provider had answered.",
            ("plugin",),
            registry=registry,
        )
        self._ended = Counter(
            "alertagent_notifications",
            "Notifications that ended, by how: sent, failed or cancelled. A late one may have been told by a digest.",
            ("plugin", "status"),
            registry=registry,
        )

    def message_sent(self, plugin: str, outcome: Outcome, seconds: float) -> None:
        self._sent.labels(plugin, word_of(outcome)).inc()
        self._seconds.labels(plugin).observe(seconds)

    def delivery_ended(self, plugin: str, status: DeliveryStatus) -> None:
        self._ended.labels(plugin, status).inc()


class QueueMetrics:
    """Counts what the queue reports; `type` is one of the types that have a handler."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tasks = Counter(
            "alertagent_tasks", "Attempts at tasks, by how they ended.", ("queue", "type", "outcome"), registry=registry
        )
        self._seconds = _Histogram(
            "alertagent_task_duration_seconds", "Time that an attempt took.", ("queue", "type"), registry=registry
        )
        self._waited = _Histogram(
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

    def tasks_finished(
        self, queue: str, type: str, outcome: str, seconds: Sequence[float], waited: Sequence[float]
    ) -> None:
        self._tasks.labels(queue, type, outcome).inc(len(seconds))
        self._seconds.labels(queue, type).observe_all(seconds)
        self._waited.labels(queue, type).observe_all(waited)

    def tasks_claimed(self, queue: str, count: int) -> None:
        self._claimed.labels(queue).inc(count)

    def tasks_repaired(self, queue: str, count: int) -> None:
        self._repaired.labels(queue).inc(count)

    def announcements_dropped(self, queue: str, count: int) -> None:
        self._dropped.labels(queue).inc(count)


class BacklogMetrics:
    """What lies in the queues, as it was last measured; never asked for while somebody scrapes.

    Every process measures the same queues. What only Redis knows is shown as NaN while it is away.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(f"alertagent_{name}", meaning, labels, registry=registry)

        self._depth = gauge("queue_depth", "Tasks that wait in Redis for a worker.", "queue", "priority")
        self._pending = gauge("queue_pending", "Tasks in the hands of workers.", "queue")
        self._delayed = gauge("queue_delayed", "Tasks that wait in Redis until they are due.", "queue")
        self._consumers = gauge("queue_consumers", "Workers that are known to Redis.", "queue")
        self._dead = gauge("dead_letters", "Tasks that nobody tries again by himself.", "queue")
        self._due = gauge(
            "queue_due", "Tasks that are open and due by the ledger, whether Redis has them or not.", "queue"
        )
        self._oldest = gauge("queue_oldest_seconds", "How long the oldest due task has waited.", "queue")
        self._paused = gauge("queue_paused", "1 while somebody holds the queue back.", "queue")
        self._full = gauge("queue_full", "1 while posts are refused because too much waits in this queue.", "queue")
        self._redis_up = gauge("redis_up", "1 while Redis answers.")
        self._measured_at = gauge(
            "queue_measured_timestamp_seconds",
            "When the queues were last measured, in Unix time. It stands still while PostgreSQL is away.",
        )

    def measured(self, found: QueueStatistics, is_full: bool) -> None:
        self._due.labels(found.queue).set(found.due)
        self._oldest.labels(found.queue).set(found.oldest.total_seconds())
        self._paused.labels(found.queue).set(found.paused)
        self._full.labels(found.queue).set(is_full)
        self._measured_at.set_to_current_time()
        self._redis_up.set(found.redis is not None)
        self._show(found.queue, found.redis)

    def _show(self, queue: str, redis: InRedis | None) -> None:
        for priority in LEVELS:
            self._depth.labels(queue, str(priority)).set(redis.depth[priority] if redis else nan)
        self._pending.labels(queue).set(redis.held if redis else nan)
        self._delayed.labels(queue).set(redis.delayed if redis else nan)
        self._consumers.labels(queue).set(redis.consumers if redis else nan)
        self._dead.labels(queue).set(redis.dead if redis else nan)
