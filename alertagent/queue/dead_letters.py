"""The dead letters: tasks that nobody will try again unless somebody says so.

A letter keeps the bytes as they were read, so that also what was no task can be looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from alertagent.queue import streams
from alertagent.queue.ledger import Ledger
from alertagent.queue.policy import Why
from alertagent.queue.streams import Keys
from alertagent.queue.task import clamp, encode, identify


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """`id` is the letter's own; `task` the task's, None where the bytes name none. Times as RFC 3339 text."""

    id: str
    task: str | None
    envelope: bytes
    why: Why
    error: str
    traceback: str
    at: str
    first_at: str
    runs: int
    deliveries: int
    level: int
    by: str


class DeadLetters:
    """The dead letters of one queue."""

    def __init__(self, queue: str, redis: Redis, ledger: Ledger) -> None:
        self._keys = Keys(queue)
        self._redis = redis
        self._ledger = ledger

    async def newest(self, *, before: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """The last ones, newest first; `before` is the id at which the page before ended."""
        end = f"({before}" if before else "+"
        found: Any = await self._redis.xrevrange(self._keys.dead, end, "-", limit)
        return [_letter(id, fields) for id, fields in found]

    async def get(self, id: str) -> DeadLetter | None:
        found: Any = await self._redis.xrange(self._keys.dead, id, id, 1)
        return _letter(*found[0]) if found else None

    async def requeue(self, ids: Sequence[str]) -> list[str]:
        """Try these again, with all their retries. Returns those that could be: what is no task stays here."""
        letters = [letter for id in ids if (letter := await self.get(id)) is not None]
        reopened = await self._reopened(letters)
        requeued = []
        for letter in letters:
            if letter.task in reopened:
                level, envelope = reopened[letter.task]
                # Should we end here, the row is open all the same and the reconciler goes on.
                await streams.requeue(self._redis, [self._keys.dead, self._keys.stream(level)], letter.id, envelope)
                requeued.append(letter.id)
        return requeued

    async def _reopened(self, letters: Sequence[DeadLetter]) -> Mapping[str | None, tuple[int, bytes]]:
        rows = await self._ledger.reopen([letter.task for letter in letters if letter.task])
        return {row.id: (clamp(row.priority), encode(row.as_task(), again=True)) for row in rows}

    async def purge(self, ids: Sequence[str]) -> int:
        """Remove these for good; the ledger keeps their rows until those are old. Returns how many there were."""
        return int(await self._redis.xdel(self._keys.dead, *ids)) if ids else 0


def _letter(id: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    text = {name.decode(): value.decode("utf-8", "replace") for name, value in fields.items()}
    envelope = fields.get(b"t", b"")
    return DeadLetter(
        id=id.decode(),
        task=identify(envelope),
        envelope=envelope,
        why=Why(text["why"]),
        error=text["error"],
        traceback=text["traceback"],
        at=text["at"],
        first_at=text["first_at"],
        runs=int(text["runs"]),
        deliveries=int(text["deliveries"]),
        level=int(text["from"]),
        by=text["by"],
    )
