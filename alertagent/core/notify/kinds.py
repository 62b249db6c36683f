"""The tasks of telling. Pure."""

from datetime import timedelta

from alertagent.queue.kinds import Kind, Payload
from alertagent.queue.policy import Rule
from alertagent.queue.task import NewTask


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
# A provider may be away for hours: deliveries go on for a day.
RETRIES = Rule(base=timedelta(seconds=1), cap=timedelta(minutes=45), timeout=timedelta(minutes=5))
# With the policy's longest pause of half an hour these tries reach a day.
DELIVER = Kind(queue="notification", type="deliver", payload=Deliver, priority=2, max_retry=60)


def deliver_task(id: str) -> NewTask:
    """The task of a delivery, which has its id."""
    return DELIVER.task(Deliver(delivery=id), id=id)


def regroup_task() -> NewTask:
    return REGROUP.task(Regroup())
