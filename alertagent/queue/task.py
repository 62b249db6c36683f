"""What a task is, and the envelope in which it travels through Redis. Pure.

The envelope is compact JSON: `id, type, payload, priority, retry, max_retry, create_at, due`, where they are set
`trace`, `again` and `durable`. `again` marks a copy that may not be the only one: whoever reads it asks the ledger
first. `durable` is false for a task that has no row there: Redis is all it has.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from alertagent.kernel import trace
from alertagent.kernel.errors import Invalid
from alertagent.kernel.ids import new_id

MAX_ENVELOPE = 64 * 1024
LOWEST, HIGHEST = 0, 2

_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Unreadable(Exception):
    """These bytes are not an envelope."""


class Task(NamedTuple):
    """What a handler gets. `retry` counts the attempts that failed before this one."""

    # A tuple, because a frozen dataclass takes three times as long to make.

    id: str
    queue: str
    type: str
    payload: Mapping[str, Any]
    priority: int
    retry: int
    max_retry: int
    create_at: datetime
    due: datetime
    trace: str | None = None
    durable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """What a caller wants done. `due` None means now; a higher priority runs first; `trace` is a W3C traceparent,
    that of the work at hand unless another is given.

    `retry` counts the attempts that failed before there was a task.
    `dedup` names the work: while a task of this queue and name is open, a second one is not added. One that is not
    `durable` costs no row; it may be lost with Redis, and may run again after a crash even though it had ended.

    Raises Invalid when the payload is no JSON object that PostgreSQL could keep, or is too large to travel:
    ids belong into a payload, not documents.
    """

    queue: str
    type: str
    payload: Mapping[str, Any]
    priority: int = 1
    retry: int = 0
    max_retry: int = 3
    due: datetime | None = None
    id: str = field(default_factory=new_id)
    trace: str | None = field(default_factory=trace.current)
    dedup: str | None = None
    durable: bool = True
    envelope: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "priority", clamp(self.priority))
        object.__setattr__(self, "envelope", self._sealed())

    def _sealed(self) -> bytes:
        now = datetime.now(UTC)
        try:
            envelope = encode(self.as_task(now))
        except (TypeError, UnicodeEncodeError) as error:
            raise Invalid(f"the payload of a {self.type} task is not JSON: {error}", code="task.invalid") from error
        if len(envelope) > MAX_ENVELOPE:
            raise Invalid(
                f"a {self.type} task of {len(envelope)} bytes: the limit is {MAX_ENVELOPE}", code="task.large"
            )
        if rb"\u0000" in envelope:
            raise Invalid(f"the payload of a {self.type} task holds a NUL character", code="task.invalid")
        if self.dedup is not None and not self.durable:
            raise Invalid(f"a {self.type} task with a dedup key must be durable", code="task.invalid")
        return envelope

    def as_task(self, now: datetime) -> Task:
        return Task(
            id=self.id,
            queue=self.queue,
            type=self.type,
            payload=self.payload,
            priority=self.priority,
            retry=self.retry,
            max_retry=self.max_retry,
            create_at=now,
            due=self.due or now,
            trace=self.trace,
            durable=self.durable,
        )


def clamp(priority: int) -> int:
    return min(HIGHEST, max(LOWEST, priority))


def encode(task: Task, *, again: bool = False) -> bytes:
    """Write the envelope. Raises TypeError when the payload is not JSON."""
    document: dict[str, Any] = {
        "id": task.id,
        "type": task.type,
        "payload": task.payload,
        "priority": task.priority,
        "retry": task.retry,
        "max_retry": task.max_retry,
        "create_at": task.create_at,
        "due": task.due,
    }
    if task.trace is not None:
        document["trace"] = task.trace
    if again:
        document["again"] = True
    if not task.durable:
        document["durable"] = False
    return orjson.dumps(document)


def decode(queue: str, envelope: bytes) -> tuple[Task, bool]:
    """Read the task and whether it is marked `again`. Raises Unreadable, whatever is wrong."""
    # Written out in one piece, because it is done for every task: each call counts.
    try:
        document = orjson.loads(envelope)
        id, created, due = document["id"], document["create_at"], document["due"]
        create_at = _moment(created)
        task = Task(
            id if _UUID.fullmatch(id) else str(UUID(id)),  # in the one spelling that the ledger uses, too
            queue,
            _text(document["type"]),
            _object(document["payload"]),
            clamp(int(document["priority"])),
            int(document["retry"]),
            int(document["max_retry"]),
            create_at,
            create_at if due == created else _moment(due),
            document.get("trace"),
            document.get("durable") is not False,
        )
        return task, bool(document.get("again"))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise Unreadable(f"{error.__class__.__name__}: {error}") from error


def identify(envelope: bytes) -> str | None:
    """The id inside an envelope, None where there is none to be found."""
    return name(envelope)[0]


def name(envelope: bytes) -> tuple[str | None, str | None]:
    """The id and the type inside an envelope, None where there is none to be found."""
    try:
        document = orjson.loads(envelope)
    except ValueError:
        return None, None
    if not isinstance(document, dict):
        return None, None
    id, type = document.get("id"), document.get("type")
    return str(id) if id is not None else None, type if isinstance(type, str) else None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, not {value.__class__.__name__}")
    return value


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, not {value.__class__.__name__}")
    return value


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value} has no offset from UTC")
    return moment
