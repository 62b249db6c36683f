"""The timers of groups: tasks that are due when groups must be looked at.

A group's row knows the generation of its timer, so a timer that was overtaken finds that out. Groups that are due
together share a task.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import orjson

from alertagent.core.notify.kinds import FLUSH, Flush
from alertagent.core.notify.look import Group
from alertagent.queue.producer import Producer
from alertagent.storage.database import Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.notify")

# How many groups share a timer, and how many bytes of keys, as an envelope holds them.
GROUPS_A_FLUSH = 200
KEYS_A_FLUSH = 48 * 1024


async def set_timers(
    transaction: Transaction,
    producer: Producer,
    dues: Mapping[str, datetime | None],
    *,
    ticks_from: datetime | None = None,
) -> None:
    """Set the timers of locked groups; None stops one."""
    if not dues:
        return
    rows = await transaction.fetch(sql.plan_flushes, list(dues), list(dues.values()), ticks_from)
    await _add(transaction, producer, ((row["key"], row["generation"], dues[row["key"]]) for row in rows))


async def add_timers(transaction: Transaction, producer: Producer, groups: Iterable[Group]) -> None:
    """Add the tasks of timers that the rows of their groups know already."""
    await _add(transaction, producer, ((group.key, group.generation, group.flush_at) for group in groups))


async def _add(
    transaction: Transaction, producer: Producer, timers: Iterable[tuple[str, int, datetime | None]]
) -> None:
    together: dict[datetime, dict[str, int]] = {}
    for key, generation, due in timers:
        if due is not None:
            together.setdefault(due, {})[key] = generation
    tasks = [FLUSH.task(Flush(groups=some), due=due) for due, groups in together.items() for some in _parts(groups)]
    await producer.enqueue(transaction, *tasks)


def _parts(groups: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """The groups in parts of which each can be one task."""
    part: dict[str, int] = {}
    size = 0
    for key, generation in groups.items():
        length = len(orjson.dumps(key)) + 24
        if part and (len(part) >= GROUPS_A_FLUSH or size + length > KEYS_A_FLUSH):
            yield part
            part, size = {}, 0
        part[key] = generation
        size += length
    if part:
        yield part
