"""What the queue reports, handed on, and said to pages as well."""

from collections.abc import Sequence

from alertagent.core.events.model import Topic
from alertagent.core.events.service import Events
from alertagent.queue.observer import Observer


class TaskHints:
    """An observer in front of another: attempts that ended are a hint. Tasks are many, so it only counts them."""

    def __init__(self, observer: Observer, events: Events) -> None:
        self._observer = observer
        self._events = events

    def tasks_finished(
        self, queue: str, type: str, outcome: str, seconds: Sequence[float], waited: Sequence[float]
    ) -> None:
        self._events.changed(Topic.TASKS, count=len(seconds))
        self._observer.tasks_finished(queue, type, outcome, seconds, waited)

    def tasks_claimed(self, queue: str, count: int) -> None:
        self._observer.tasks_claimed(queue, count)

    def tasks_repaired(self, queue: str, count: int) -> None:
        self._observer.tasks_repaired(queue, count)

    def announcements_dropped(self, queue: str, count: int) -> None:
        self._observer.announcements_dropped(queue, count)
