"""What other processes commit, heard on one connection, and how far that can be trusted.

Who keeps something in memory may rely on being told of its change only while the connection stands. So all are told
when it begins and when it breaks: what they keep may be out of date then.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from alertagent.kernel.backoff import full_jitter
from alertagent.kernel.errors import Unavailable
from alertagent.storage.database import Database

Heard = Callable[[str], None]

log = structlog.get_logger()


class Listening:
    """One listening connection for all who subscribe before it runs.

    `epoch` changes whenever notifications may have been missed: what was read from the database in one epoch is
    known to be current only in the same one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hearers: dict[str, list[Heard]] = {}
        self._doubters: list[Callable[[], None]] = []
        self.is_live = False
        self.epoch = 0

    def subscribe(self, hearers: Mapping[str, Heard], in_doubt: Callable[[], None]) -> None:
        """Call these with the payload of each NOTIFY on their channel, and `in_doubt` when some may be missed."""
        for channel, heard in hearers.items():
            self._hearers.setdefault(channel, []).append(heard)
        self._doubters.append(in_doubt)

    async def run(self) -> None:
        """Listen until cancelled."""
        failures = 0
        while True:
            try:
                await self._database.listen(list(self._hearers), self._heard)
            except Unavailable as problem:
                delay = full_jitter(
                    failures, base=timedelta(milliseconds=200), cap=timedelta(seconds=5), random=random.random()
                )
                failures = 0 if self.is_live else min(failures + 1, 10)
                self._doubt(is_live=False)
                log.warning("database.listening_interrupted", reason=problem.message)
                await asyncio.sleep(delay.total_seconds())

    def _heard(self, channel: str, payload: str) -> None:
        """No channel means that listening has just begun."""
        if not channel:
            self._doubt(is_live=True)
        for heard in self._hearers.get(channel, ()):
            heard(payload)

    def _doubt(self, *, is_live: bool) -> None:
        self.is_live = is_live
        self.epoch += 1
        for in_doubt in self._doubters:
            in_doubt()
