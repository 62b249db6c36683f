"""Waking those who wait for a configuration, and knowing without a query whether anything has changed.

Both rest on the notifications that all processes hear. The number of changes is kept in memory only while the
connection that hears them stands; otherwise the database is asked each time.
"""

import asyncio
from collections.abc import Awaitable, Callable

from alertagent.core.clusters.changes import CLUSTER_CHANNEL, GENERATION_CHANNEL
from alertagent.storage.listening import Listening

CHANNEL = "alertagent_config"


class ConfigWatch:
    """Ten thousand waiting sidecars cost one listening connection and no queries."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening
        self._waiting: dict[str, asyncio.Event] = {}
        self.is_closed = False
        self._counted = 0
        self._is_known = False
        hearers = {
            CHANNEL: self._changed,
            CLUSTER_CHANNEL: self._cluster_changed,
            GENERATION_CHANNEL: self._heard_count,
        }
        listening.subscribe(hearers, self._in_doubt)

    def next_change(self, key: str) -> asyncio.Event:
        """Set at the next change of `cluster/type`. Ask for it *before* looking, or a change may slip between."""
        event = self._waiting.setdefault(key, asyncio.Event())
        if self.is_closed:
            event.set()
        return event

    @property
    def generation(self) -> int | None:
        """The changes counted so far; None where nobody can know without asking."""
        return self._counted if self._is_known else None

    async def count(self, ask: Callable[[], Awaitable[int]]) -> int:
        """The changes counted so far, from memory or from the database."""
        if self._is_known:
            return self._counted
        epoch, is_live = self._listening.epoch, self._listening.is_live
        number = await ask()
        # Asked for while listening: whatever was counted since has been heard.
        if is_live and epoch == self._listening.epoch:
            self.counted(number)
            self._is_known = True
        return number

    def counted(self, number: int) -> None:
        """A change has been counted; this process may know before it is told."""
        self._counted = max(self._counted, number)

    def close(self) -> None:
        """Let everyone go: the process stops."""
        self.is_closed = True
        self._wake_all()

    def _changed(self, key: str) -> None:
        if (event := self._waiting.pop(key, None)) is not None:
            event.set()

    def _cluster_changed(self, cluster_id: str) -> None:
        for key in [key for key in self._waiting if key.rpartition("/")[0] == cluster_id]:
            self._changed(key)

    def _heard_count(self, payload: str) -> None:
        self.counted(int(payload))

    def _in_doubt(self) -> None:
        self._counted, self._is_known = 0, False
        self._wake_all()

    def _wake_all(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for event in waiting.values():
            event.set()
