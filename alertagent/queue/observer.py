"""Where the queue reports what it does, so that its caller can count it."""

from typing import Protocol


class Observer(Protocol):
    """`outcome` is `completed`, `retried` or `buried`; `seconds` is the run, `waited` the time since it was due."""

    def task_finished(self, queue: str, type: str, outcome: str, seconds: float, waited: float) -> None: ...

    def tasks_claimed(self, queue: str, count: int) -> None: ...

    def tasks_repaired(self, queue: str, count: int) -> None: ...

    def announcements_dropped(self, queue: str, count: int) -> None: ...


class NullObserver:
    """Counts nothing."""

    def task_finished(self, queue: str, type: str, outcome: str, seconds: float, waited: float) -> None:
        pass

    def tasks_claimed(self, queue: str, count: int) -> None:
        pass

    def tasks_repaired(self, queue: str, count: int) -> None:
        pass

    def announcements_dropped(self, queue: str, count: int) -> None:
        pass
