"""The tasks of telling. Pure."""

from alertagent.queue.kinds import Kind, Payload


class Flush(Payload):
    """Look at these groups; the number tells for which of a group's timers this is."""

    groups: dict[str, int]


class Regroup(Payload):
    """Look at all groups."""


class Deliver(Payload):
    """Make an attempt at this delivery. The task has the same id, so that each can be found from the other."""

    delivery: str


FLUSH = Kind(queue="notification", type="flush", payload=Flush, priority=2, max_retry=20)
REGROUP = Kind(queue="notification", type="regroup", payload=Regroup, priority=2, max_retry=20)
# With the policy's longest pause of half an hour these tries reach a day.
DELIVER = Kind(queue="notification", type="deliver", payload=Deliver, priority=2, max_retry=60)
