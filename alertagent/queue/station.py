"""What the parts of one pool share."""

from dataclasses import dataclass

from redis.asyncio import Redis

from alertagent.queue.holdings import Holdings
from alertagent.queue.ledger import Ledger
from alertagent.queue.observer import Observer
from alertagent.queue.options import QueueOptions
from alertagent.queue.streams import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One worker at one queue: `consumer` is its name in the consumer group, never used twice."""

    queue: str
    consumer: str
    keys: Keys
    redis: Redis
    ledger: Ledger
    holdings: Holdings
    options: QueueOptions
    observer: Observer
