"""The settings of the queue, as its caller hands them in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

# Due times nearer than this wait in Redis, later ones in the ledger. Not a round number, on purpose: writer and
# reconciler decide by clocks that differ by milliseconds, and timers of exactly a minute are common.
HORIZON = timedelta(seconds=65)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOptions:
    """`lease`: how long a silent worker keeps its tasks. `grace`: how long running tasks may finish at a stop.

    `concurrency` is how many tasks of a queue may run at once here. Where `least` names a smaller number, it is the
    bound up to which a backlog lets that number grow. While tasks of the queue `first` wait because enough of them run,
    every other queue runs one at a time.
    """

    lease: timedelta = timedelta(seconds=10)
    grace: timedelta = timedelta(seconds=8)
    concurrency: Mapping[str, int] = field(default_factory=dict)
    default_concurrency: int = 20
    least: Mapping[str, int] = field(default_factory=dict)
    first: str | None = None
    max_deliveries: int = 5
    dead_letters_kept: int = 10_000
    reconcile_every: timedelta = timedelta(seconds=3)
    # A row younger than this may still be on its way into Redis.
    settling: timedelta = timedelta(seconds=5)
    retention: timedelta = timedelta(days=7)

    def concurrency_of(self, queue: str) -> int:
        return self.concurrency.get(queue, self.default_concurrency)

    def least_of(self, queue: str) -> int:
        return min(self.least.get(queue, self.concurrency_of(queue)), self.concurrency_of(queue))
