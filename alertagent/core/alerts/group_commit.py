"""Group commit: posts that arrive while a commit is under way share the next one.

One fsync then serves hundreds of posts, and a lone post waits for nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from alertagent.core.alerts.model import IncomingAlert
from alertagent.kernel.errors import Unavailable

MAX_ROWS = 1_000
MAX_WAITING = 20_000

# Prometheus gives up after ten seconds, and what it then believes lost may be written all the same.
PATIENCE = timedelta(seconds=4)
# A post of ten thousand is several statements long.
MORE_FOR_EACH = timedelta(microseconds=500)

Write = Callable[[Sequence[IncomingAlert]], Awaitable[None]]


class GroupCommit:
    """Collects alerts and has them written in batches of at most about a thousand."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._posts: list[tuple[Sequence[IncomingAlert], asyncio.Future[None]]] = []
        self._waiting = 0
        self._is_stopped = False
        self._arrived = asyncio.Event()

    async def add(self, alerts: Sequence[IncomingAlert]) -> None:
        """Return once these alerts are durable. Raises Unavailable when they are not and should be sent again."""
        if self._is_stopped:
            raise _stopping()
        # A post that is larger than the limit by itself gets through when nothing else waits.
        if self._waiting and self._waiting + len(alerts) > MAX_WAITING:
            raise Unavailable(
                f"{self._waiting} alerts wait for the database already; send again",
                code="alerts.overloaded",
                retry_after=timedelta(seconds=5),
            )
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._posts.append((alerts, done))
        self._waiting += len(alerts)
        self._arrived.set()
        patience = (PATIENCE + len(alerts) * MORE_FOR_EACH).total_seconds()
        giving_up = loop.call_later(patience, _give_up, done, patience)  # asyncio.timeout() costs six times as much
        try:
            await done
        finally:
            giving_up.cancel()
            del done  # likewise: it has the problem, whose traceback has this frame and so the alerts

    async def run(self) -> None:
        """Write until cancelled; then nothing that waits is left without an answer."""
        try:
            while True:
                await self._arrived.wait()
                await self._commit(self._batch())
        finally:
            self._is_stopped = True
            _answer(self._posts, _stopping())

    def _batch(self) -> list[tuple[Sequence[IncomingAlert], asyncio.Future[None]]]:
        rows = taken = 0
        for alerts, _ in self._posts:
            if taken and rows + len(alerts) > MAX_ROWS:
                break
            rows += len(alerts)
            taken += 1
        batch, self._posts = self._posts[:taken], self._posts[taken:]
        self._waiting -= rows
        if not self._posts:
            self._arrived.clear()
        return batch

    async def _commit(self, batch: list[tuple[Sequence[IncomingAlert], asyncio.Future[None]]]) -> None:
        """Write a batch; if it fails for another reason than an outage, each post alone, so that one that the
        database will not take cannot refuse its neighbours."""
        try:
            await self._write([alert for alerts, _ in batch for alert in alerts])
        except Unavailable as problem:
            # Its traceback has this frame and so the batch, which would stay in memory until cycles are collected.
            _answer(batch, problem.with_traceback(None))
        except asyncio.CancelledError:
            _answer(batch, _stopping())
            raise
        except Exception as error:  # noqa: BLE001 - every waiting post must get its answer
            if len(batch) == 1:
                _answer(batch, error)
            else:
                for post in batch:
                    await self._commit([post])
        else:
            _answer(batch, None)


def _stopping() -> Unavailable:
    return Unavailable("this server is stopping; send again")


def _give_up(done: asyncio.Future[None], patience: float) -> None:
    if not done.done():
        done.set_exception(
            Unavailable(
                f"the database did not answer within {patience:.3g} s; send again",
                code="database.unavailable",
                retry_after=timedelta(seconds=5),
            )
        )


def _answer(batch: list[tuple[Sequence[IncomingAlert], asyncio.Future[None]]], error: Exception | None) -> None:
    for _, done in batch:
        if done.done():
            continue  # whoever posted has gone away
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
