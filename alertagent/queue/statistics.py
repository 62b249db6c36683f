"""How the queues are: one pipeline to Redis and one statement to the ledger, whatever lies in them.

What Redis knows is left out while it is away; the ledger's figures then tell what is to be done all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from alertagent.queue import streams
from alertagent.queue.ledger import Ledger
from alertagent.queue.policy import describe
from alertagent.queue.streams import GROUP, LEVELS, Keys

# To what is asked of each queue.
ANSWERS = 2 * len(LEVELS) + 2

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class InRedis:
    """`depth` is what waits in the streams, by priority; `held` is what workers have in their hands."""

    depth: Mapping[int, int]
    held: int
    delayed: int
    dead: int
    consumers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatistics:
    """`due` is what is open and due by the ledger, `oldest` how long the oldest of it has waited, `rate` ends per
    second. `redis` is None while Redis is away."""

    queue: str
    due: int
    oldest: timedelta
    rate: float
    paused_by: str | None
    redis: InRedis | None

    @property
    def paused(self) -> bool:
        return self.paused_by is not None

    @property
    def depth(self) -> int:
        """What waits for a worker, as exactly as can be told."""
        return sum(self.redis.depth.values()) if self.redis else self.due


class Statistics:
    """Looks at some queues."""

    def __init__(self, queues: Sequence[str], *, redis: Redis, ledger: Ledger) -> None:
        self._queues = queues
        self._redis = redis
        self._ledger = ledger

    async def read(self) -> dict[str, QueueStatistics]:
        """The statistics by queue. Raises Unavailable when the ledger is away."""
        backlogs = await self._ledger.backlogs(self._queues)
        in_redis = await self._in_redis()
        return {
            queue: QueueStatistics(
                queue=queue,
                due=backlog.due,
                oldest=backlog.oldest,
                rate=backlog.rate,
                paused_by=backlog.paused_by,
                redis=in_redis.get(queue),
            )
            for queue, backlog in backlogs.items()
        }

    async def _in_redis(self) -> dict[str, InRedis]:
        try:
            async with streams.pipeline(self._redis) as pipeline:
                for queue in self._queues:
                    _ask(pipeline, Keys(queue))
                answers: list[Any] = await pipeline.execute(raise_on_error=False)
            return {queue: _read(answers[place * ANSWERS :][:ANSWERS]) for place, queue in enumerate(self._queues)}
        except (RedisError, OSError) as error:
            log.warning("queue.disturbed", queue="*", loop="statistics", error=describe(error))
            return {}


def _ask(pipeline: Any, keys: Keys) -> None:
    for stream in keys.streams:
        pipeline.xlen(stream)
        pipeline.xinfo_groups(stream)
    pipeline.zcard(keys.delayed)
    pipeline.xlen(keys.dead)


def _read(answers: Sequence[Any]) -> InRedis:
    *of_streams, delayed, dead = answers
    lengths = [_number(length) for length in of_streams[::2]]
    groups = [_group(found) for found in of_streams[1::2]]
    held = [int(group.get("pending", 0)) for group in groups]
    return InRedis(
        depth={level: max(0, length - mine) for level, length, mine in zip(LEVELS, lengths, held, strict=True)},
        held=sum(held),
        delayed=_number(delayed),
        dead=_number(dead),
        consumers=max(int(group.get("consumers", 0)) for group in groups),
    )


def _number(answer: Any) -> int:
    if isinstance(answer, Exception):
        raise answer
    return int(answer)


def _group(answer: Any) -> Mapping[str, Any]:
    """Ours among the groups of a stream; nothing where the stream is not there yet."""
    if isinstance(answer, ResponseError) and "no such key" in str(answer):
        return {}
    if isinstance(answer, Exception):
        raise answer
    return next((group for group in answer if group["name"] == GROUP.encode()), {})
