"""Where the queue reports what it does, so that its caller can count it."""

from collections.abc import Sequence
from typing import Protocol


class Observer(Protocol):
    """Hears of attempts by the batch, and of the others when they happen."""

    def tasks_finished(
        self, queue: str, type: str, outcome: str, seconds: Sequence[float], waited: Sequence[float]
    ) -> None:
        """Some attempts ended: how long each of them ran, and how long after it was due it had started.

        `outcome` is `completed`, `retried`, `buried` or `cancelled`.
        """

    def tasks_claimed(self, queue: str, count: int) -> None: ...

    def tasks_repaired(self, queue: str, count: int) -> None: ...

    def announcements_dropped(self, queue: str, count: int) -> None: ...


class NullObserver:
    """Counts nothing."""

    def tasks_finished(
        self, queue: str, type: str, outcome: str, seconds: Sequence[float], waited: Sequence[float]
    ) -> None:
        pass

    def tasks_claimed(self, queue: str, count: int) -> None:
        pass

    def tasks_repaired(self, queue: str, count: int) -> None:
        pass

    def announcements_dropped(self, queue: str, count: int) -> None:
        pass
