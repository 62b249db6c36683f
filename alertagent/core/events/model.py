"""What is told to pages: hints that something changed, gathered, numbered and kept for a little while. Pure.

A hint names what changed and never how it is now: a page asks again for what it shows. So hints may be merged, and one
that is lost costs no more than a look at everything, which the hint `reset` asks for.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson


class Topic(StrEnum):
    ALERTS = "alerts"
    RULES = "rules"
    SYNCS = "syncs"
    TASKS = "tasks"
    SILENCES = "silences"
    CHANNELS = "channels"
    CLUSTERS = "clusters"
    ROUTING = "routing"


RESET = "reset"

_TOPICS = {
    "rule": Topic.RULES,
    "cluster": Topic.CLUSTERS,
    "channel": Topic.CHANNELS,
    "silence": Topic.SILENCES,
    "routing": Topic.ROUTING,
}


def topic_of(kind: str) -> Topic | None:
    """The topic of what the audit log calls a `kind`; None for what no page follows."""
    return _TOPICS.get(kind)


# A hint names this many things at most; of more it tells only how many.
NAMED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """So many things of a topic changed; `ids` are their names, or empty where they are too many or have none."""

    topic: Topic
    count: int
    ids: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"topic": self.topic, "count": self.count, "ids": list(self.ids)}


def read_hint(document: Mapping[str, Any]) -> Hint:
    """A hint of another process. Raises ValueError, KeyError or TypeError when it is none."""
    return Hint(topic=Topic(document["topic"]), count=int(document["count"]), ids=tuple(map(str, document["ids"])))


@dataclass(slots=True)
class _Heap:
    count: int = 0
    ids: dict[str, None] = field(default_factory=dict)


class Gathered:
    """Changes of the last moment, one heap a topic."""

    def __init__(self) -> None:
        self._heaps: dict[Topic, _Heap] = {}

    def __bool__(self) -> bool:
        return bool(self._heaps)

    def add(self, topic: Topic, ids: Collection[str], count: int | None = None) -> None:
        heap = self._heaps.setdefault(topic, _Heap())
        heap.count += len(ids) if count is None else count
        if len(heap.ids) <= NAMED:
            heap.ids.update(dict.fromkeys(ids))

    def take(self) -> list[Hint]:
        """All that was gathered, which is forgotten."""
        heaps, self._heaps = self._heaps, {}
        return [
            Hint(topic=topic, count=heap.count, ids=tuple(heap.ids) if len(heap.ids) <= NAMED else ())
            for topic, heap in heaps.items()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A numbered hint as it goes over the wire; no topic: a reset, which concerns every reader."""

    number: int
    topic: Topic | None
    text: bytes


class Ring:
    """The last events. Their ids hold the ring's name, so that a reader of another ring is known by its id."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._events: deque[Event] = deque(maxlen=size)
        self.last = 0

    def append(self, hint: Hint | None) -> None:
        """None is a reset: hints may have been missed."""
        self.last += 1
        name = hint.topic if hint is not None else RESET
        content = hint.as_json() if hint is not None else {}
        self._events.append(
            Event(
                number=self.last,
                topic=hint.topic if hint is not None else None,
                text=_text(f"{self._name}-{self.last}", name, content),
            )
        )

    def position(self, id: str) -> int | None:
        """The number in an id; None when what came after it is not known any more, or never was."""
        name, _, number = id.rpartition("-")
        if name != self._name or not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        position = int(number)
        return position if self._oldest - 1 <= position <= self.last else None

    def after(self, position: int) -> Sequence[Event] | None:
        """What came after a position; None when some of that is gone."""
        if position < self._oldest - 1:
            return None
        fresh = self.last - position
        return [self._events[index] for index in range(len(self._events) - fresh, len(self._events))]

    def reset_text(self) -> bytes:
        """Tells one reader to look at everything; what comes next follows on it."""
        return _text(f"{self._name}-{self.last}", RESET, {})

    @property
    def _oldest(self) -> int:
        return self._events[0].number if self._events else self.last + 1


def wanted(events: Iterable[Event], topics: Collection[Topic]) -> bytes:
    """The text of those that a reader of these topics must see; no topics: of all."""
    return b"".join(event.text for event in events if not topics or event.topic is None or event.topic in topics)


def _text(id: str, name: str, content: Mapping[str, Any]) -> bytes:
    """Source: the HTML standard, "Server-sent events". JSON holds no line breaks, so one `data` line is enough."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (id.encode(), name.encode(), orjson.dumps(content))
