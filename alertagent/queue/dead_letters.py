"""The dead letters: tasks that nobody will try again unless somebody says so.

A letter keeps the bytes as they were read, so that also what was no task can be looked at.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from alertagent.kernel.matchers import Matcher
from alertagent.queue import streams
from alertagent.queue.ledger import AlsoAll, Ledger
from alertagent.queue.policy import Why
from alertagent.queue.streams import FIELD, Keys
from alertagent.queue.task import Task, Unreadable, clamp, decode, encode, name

PAGE = 500
FILTERS = ("task", "type", "why", "error", "by")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """`id` is the letter's own; `task` and `type` are the task's, None where the bytes name none.

    Times are RFC 3339 text, `first_at` is empty where it is not known.
    """

    id: str
    task: str | None
    type: str | None
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

    @property
    def texts(self) -> Mapping[str, str]:
        """What can be matched."""
        return {name: getattr(self, name) or "" for name in FILTERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which letters are meant: all that have everything that is named here.

    `matchers` may name what stands in FILTERS.
    """

    type: str | None = None
    why: Why | None = None
    task: str | None = None
    matchers: Sequence[Matcher] = ()

    def __contains__(self, letter: DeadLetter) -> bool:
        return (
            self.type in {None, letter.type}
            and self.why in {None, letter.why}
            and self.task in {None, letter.task}
            and all(matcher.matches(letter.texts) for matcher in self.matchers)
        )


EVERY = Match()


class DeadLetters:
    """The dead letters of one queue."""

    def __init__(self, queue: str, redis: Redis, ledger: Ledger) -> None:
        self._keys = Keys(queue)
        self._redis = redis
        self._ledger = ledger

    async def newest(self, match: Match = EVERY, *, before: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """The last ones, newest first; `before` is the id at which the page before ended."""
        found: list[DeadLetter] = []
        async for page in self._pages(before):
            found += [letter for letter in page if letter in match]
            if len(found) >= limit:
                break
        return found[:limit]

    async def get(self, id: str) -> DeadLetter | None:
        found: Any = await self._redis.xrange(self._keys.dead, id, id, 1)
        return _letter(*found[0]) if found else None

    async def requeue(self, which: Sequence[str] | Match, *, also: AlsoAll | None = None) -> list[DeadLetter]:
        """Try these again, with all their retries. Returns those that could be: what is no task stays here."""
        requeued: list[DeadLetter] = []
        async for letters in self._chosen(which):
            reopened = await self._reopened(letters, also)
            for letter in letters:
                if letter.task in reopened:
                    level, envelope = reopened[letter.task]
                    # Should we end here, the row is open all the same and the reconciler goes on.
                    await streams.requeue(self._redis, [self._keys.dead, self._keys.stream(level)], letter.id, envelope)
                    requeued.append(letter)
        return requeued

    async def purge(self, which: Sequence[str] | Match) -> int:
        """Remove these for good; the ledger keeps their rows until those are old. Returns how many there were."""
        purged = 0
        async for letters in self._chosen(which):
            purged += int(await self._redis.xdel(self._keys.dead, *(letter.id for letter in letters)))
        return purged

    async def _chosen(self, which: Sequence[str] | Match) -> AsyncIterator[list[DeadLetter]]:
        """A page at a time, newest first: what is buried again meanwhile is not met again."""
        if isinstance(which, Match):
            async for page in self._pages():
                if chosen := [letter for letter in page if letter in which]:
                    yield chosen
        elif chosen := [letter for id in which if (letter := await self.get(id)) is not None]:
            yield chosen

    async def _pages(self, before: str | None = None) -> AsyncIterator[list[DeadLetter]]:
        while True:
            end = f"({before}" if before else "+"
            found: Any = await self._redis.xrevrange(self._keys.dead, end, "-", PAGE)
            if found:
                yield [_letter(id, fields) for id, fields in found]
            if len(found) < PAGE:
                return
            before = found[-1][0].decode()

    async def _reopened(
        self, letters: Sequence[DeadLetter], also: AlsoAll | None
    ) -> Mapping[str | None, tuple[int, bytes]]:
        async with self._ledger.database.transaction() as tx:
            rows = await self._ledger.reopen([letter.task for letter in letters if letter.task], tx)
            if also is not None:
                await also(tx, rows)
        tasks = [*(row.as_task() for row in rows), *filter(None, map(self._volatile, letters))]
        return {task.id: (clamp(task.priority), encode(task, again=True)) for task in tasks}

    def _volatile(self, letter: DeadLetter) -> Task | None:
        """The task of a letter of which the ledger never knew, ready to be tried again."""
        try:
            task, _ = decode(self._keys.queue, letter.envelope)
        except Unreadable:
            return None
        return None if task.durable else task._replace(retry=0, due=datetime.now(UTC))


def compose(
    envelope: bytes,
    task: Task | None,
    *,
    why: Why,
    error: str,
    level: int,
    by: str,
    traceback: str = "",
    runs: int = 0,
    deliveries: int = 0,
) -> dict[str, str | bytes | int]:
    """A letter as it lies in its stream."""
    return {
        FIELD.decode(): envelope,
        "why": why.value,
        "error": error,
        "traceback": traceback,
        "at": datetime.now(UTC).isoformat(),
        "first_at": task.create_at.isoformat() if task else "",
        "runs": runs,
        "deliveries": deliveries,
        "from": level,
        "by": by,
    }


_EMPTY = dict.fromkeys(("why", "error", "traceback", "at", "first_at", "runs", "deliveries", "from", "by"), "")


def _letter(id: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    """Somebody else may have written here, too: what is missing is empty."""
    found = {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in fields.items()}
    text = {**_EMPTY, **found}
    envelope = fields.get(FIELD, b"")
    task, type = name(envelope)
    return DeadLetter(
        id=id.decode(),
        task=task,
        type=type,
        envelope=envelope,
        why=Why(text["why"]) if text["why"] in set(Why) else Why.UNREADABLE,
        error=text["error"],
        traceback=text["traceback"],
        at=text["at"],
        first_at=text["first_at"],
        runs=_number(text["runs"]),
        deliveries=_number(text["deliveries"]),
        level=_number(text["from"]),
        by=text["by"],
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
