"""Hints about changes, from whoever makes them to every page, across processes.

Nobody waits for a hint: whoever changes something says so after the commit and goes on. What is said within a tenth of
a second becomes one hint a topic, so a storm of alerts costs a page ten messages a second. Processes tell each other
by Redis; one that could not hear for a while tells its pages to look at everything.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from datetime import timedelta
from typing import Any

import orjson
import structlog
from redis.asyncio import Redis

from alertagent.core.events.model import Gathered, Hint, Ring, Topic, read_hint, topic_of, wanted
from alertagent.kernel.errors import Unavailable
from alertagent.kernel.ids import new_id
from alertagent.queue.loops import cancel, forever

EVERY = timedelta(milliseconds=100)
HEARTBEAT = timedelta(seconds=15)
KEPT = 1000
MAX_READERS = 1000

# A connection ends after this and comes back with its last id, so that a token revoked meanwhile opens nothing.
LONGEST = timedelta(minutes=10)

_LISTEN_SECONDS = 2.0
_RETRY = b"retry: 2000\n\n"
_BEAT = b": \n\n"

log = structlog.get_logger()


class Events:
    """Takes hints and hands them to readers, while it is `running()`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._name = new_id().replace("-", "")
        self._ring = Ring(self._name, KEPT)
        self._ours, self._outgoing = Gathered(), Gathered()
        self._said, self._to_send = asyncio.Event(), asyncio.Event()
        self._more = asyncio.Event()
        self._readers = 0
        self._is_closed = False
        self._has_heard = False

    def changed(self, topic: Topic, ids: Collection[str] = (), count: int | None = None) -> None:
        """Say that these things changed. Never waits, never fails."""
        for gathered, rung in ((self._ours, self._said), (self._outgoing, self._to_send)):
            gathered.add(topic, ids, count)
            rung.set()

    def audited(self, subjects: Collection[tuple[str, str]]) -> None:
        """Say that what the audit log has just told of changed."""
        for kind, id in subjects:
            if (topic := topic_of(kind)) is not None:
                self.changed(topic, [id])

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Events"]:
        """Gather, tell the other processes and hear them for as long as the block lasts."""
        async with asyncio.TaskGroup() as group:
            steps = {"gather": self._gather, "forward": self._forward, "hear": self._hear}
            loops = [group.create_task(forever(name, step, queue="events")) for name, step in steps.items()]
            try:
                yield self
            finally:
                await cancel(loops)

    async def _gather(self) -> None:
        """Hand what this process says to its own readers."""
        await self._said.wait()
        self._said.clear()
        self._tell(self._ours.take())
        await asyncio.sleep(EVERY.total_seconds())

    async def _forward(self) -> None:
        """Hand what this process says to the others. When that fails, their hearing breaks off as well."""
        await self._to_send.wait()
        self._to_send.clear()
        content = {"from": self._name, "hints": [hint.as_json() for hint in self._outgoing.take()]}
        await self._redis.publish(channel_of(self._redis), orjson.dumps(content))
        await asyncio.sleep(EVERY.total_seconds())

    async def _hear(self) -> None:
        """Hear what the others say, until that breaks off. Whenever it begins anew something may have been missed."""
        async with self._redis.pubsub() as subscription:
            await subscription.subscribe(channel_of(self._redis))
            if self._has_heard:
                self._tell([None])
            self._has_heard = True
            while not self._is_closed:
                message = await subscription.get_message(ignore_subscribe_messages=True, timeout=_LISTEN_SECONDS)
                if message is not None:
                    self._heard(message["data"])
        await asyncio.sleep(EVERY.total_seconds())

    def close(self) -> None:
        """Let all readers go: the process stops."""
        self._is_closed = True
        self._wake()

    def require_room(self) -> None:
        """Raises Unavailable when nobody else can read."""
        if self._is_closed or self._readers >= MAX_READERS:
            raise Unavailable(
                "this server is stopping" if self._is_closed else f"{self._readers} pages are listening already",
                code="events.no_room",
                retry_after=timedelta(seconds=5),
            )

    async def read(self, last_id: str | None, topics: Collection[Topic]) -> AsyncGenerator[bytes, None]:
        """What a page is told from now on, or from after the last event that it knows; ends, and may be asked again."""
        self._readers += 1
        try:
            async for text in self._texts(last_id, topics):
                yield text
        finally:
            self._readers -= 1

    async def _texts(self, last_id: str | None, topics: Collection[Topic]) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        ends = loop.time() + LONGEST.total_seconds()
        position = self._ring.last if last_id is None else self._ring.position(last_id)
        if position is not None:
            yield _RETRY
        else:
            position = self._ring.last
            yield _RETRY + self._ring.reset_text()
        while not self._is_closed and loop.time() < ends:
            more = self._more
            events = self._ring.after(position)
            if events is None:
                return  # it reads more slowly than things change; when it comes again it is told to look
            if events:
                position = events[-1].number
                if text := wanted(events, topics):
                    yield text
            else:
                try:
                    async with asyncio.timeout(HEARTBEAT.total_seconds()):
                        await more.wait()
                except TimeoutError:
                    yield _BEAT

    def _tell(self, hints: Collection[Hint | None]) -> None:
        for hint in hints:
            self._ring.append(hint)
        if hints:
            self._wake()

    def _heard(self, raw: bytes) -> None:
        try:
            content: Any = orjson.loads(raw)
            if content["from"] != self._name:
                self._tell([read_hint(each) for each in content["hints"]])
        except (ValueError, KeyError, TypeError):
            log.debug("events.not_understood")  # a newer release may say what this one does not know

    def _wake(self) -> None:
        more, self._more = self._more, asyncio.Event()
        more.set()


def channel_of(redis: Redis) -> str:
    """Where processes tell each other. Channels are none of a numbered database's, so they are told apart by name."""
    known = redis.get_connection_kwargs()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    return f"aa:events:{known.get('db') or 0}"
