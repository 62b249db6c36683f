"""Waking those who wait for a configuration to change, across all processes, by NOTIFY."""

import asyncio
import random
from datetime import timedelta

import structlog

from alertagent.kernel.backoff import full_jitter
from alertagent.kernel.errors import Unavailable
from alertagent.storage.database import Database

CHANNEL = "alertagent_config"

log = structlog.get_logger()


class ConfigWatch:
    """Ten thousand waiting sidecars cost one listening connection and no queries."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, asyncio.Event] = {}
        self.is_closed = False

    def next_change(self, key: str) -> asyncio.Event:
        """Set at the next change of `cluster/type`. Ask for it *before* looking, or a change may slip between."""
        event = self._waiting.setdefault(key, asyncio.Event())
        if self.is_closed:
            event.set()
        return event

    def close(self) -> None:
        """Let everyone go: the process stops."""
        self.is_closed = True
        self._wake_all()

    async def run(self) -> None:
        """Listen until cancelled."""
        failures = 0
        while True:
            try:
                await self._database.listen([CHANNEL], self._heard)
            except Unavailable as problem:
                delay = full_jitter(
                    failures, base=timedelta(milliseconds=200), cap=timedelta(seconds=5), random=random.random()
                )
                failures = min(failures + 1, 10)
                log.warning("config.listening_interrupted", reason=problem.message)
                await asyncio.sleep(delay.total_seconds())

    def _heard(self, _channel: str, key: str) -> None:
        """An empty key means that listening has just begun and changes may have been missed."""
        if not key:
            self._wake_all()
        elif (event := self._waiting.pop(key, None)) is not None:
            event.set()

    def _wake_all(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for event in waiting.values():
            event.set()
