"""Turn after turn: what the server and the log are told of each, and the pace while something is wrong."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from alertagent.kernel.backoff import full_jitter
from alertagent.sidecar.health import Health
from alertagent.sidecar.model import Away, ErrorClass, Failed, Rejected, Report
from alertagent.sidecar.reporter import Reporter
from alertagent.sidecar.sync import Sync

_BACKOFF_BASE = timedelta(seconds=1)
_BACKOFF_CAP = timedelta(seconds=30)
# A server that does not hold polls open must not be asked in a tight loop.
_SHORTEST_TURN = 1.0
# From here on a poll is held as long as ever: no wait is longer than 2**6 seconds.
_MOST_UNTOLD = 6
_VERDICTS = frozenset({ErrorClass.CHECK, ErrorClass.REFUSED, ErrorClass.NOT_APPLIED})

_log = structlog.get_logger()


class Loop:
    """Turns for ever, tells the server how each turn went, and paces itself while something is wrong."""

    def __init__(self, sync: Sync, reporter: Reporter, health: Health, random: Callable[[], float]) -> None:
        self._sync = sync
        self._reporter = reporter
        self._health = health
        self._random = random
        self._failures = 0
        self._last_words: str | None = None
        self._untold = 0

    async def forever(self) -> None:
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            pause = await self.turn()

    async def turn(self) -> float:
        """One pass and its report; the seconds to pause before the next."""
        started = time.monotonic()
        failure, has_applied = await self._attempt()
        report = self._sync.report(failure)
        self._health.is_rejecting = report.rejected_hash is not None
        self._health.count(_outcome(failure, has_applied))
        self._note(report)
        await self._tell(report, is_away=isinstance(failure, Away))
        if failure is None and not has_applied:
            return max(0.0, _SHORTEST_TURN - (time.monotonic() - started))
        return self._pause_after(failure)

    async def _attempt(self) -> tuple[Failed | None, bool]:
        try:
            return None, await self._sync.turn(longest=self._longest_poll())
        except Failed as failure:
            return failure, False

    async def _tell(self, report: Report, *, is_away: bool) -> None:
        """Report, unless the server just did not answer: that would only hold up the next attempt."""
        has_told = not is_away and await self._reporter.tell(report)
        self._untold = 0 if has_told else 1 if is_away else self._untold + 1
        if has_told and report.error_class is ErrorClass.DRIFT:
            self._sync.drift_told()

    def _longest_poll(self) -> timedelta | None:
        """Not at all while a report is owed, so that it goes as soon as the server is back; longer if that fails."""
        return timedelta(seconds=2 ** min(self._untold - 1, _MOST_UNTOLD) - 1) if self._untold else None

    def _note(self, report: Report) -> None:
        """Log trouble once rather than every few seconds while it lasts; a rejection lasts over quiet passes."""
        words = None if report.succeeded else report.error_message
        if words and words != self._last_words:
            is_verdict = report.rejected_hash is not None and report.error_class in _VERDICTS
            event = "config.rejected" if is_verdict else "sync.failed"
            _log.warning(event, error_class=report.error_class, error=words)
        elif words is None and self._last_words:
            _log.info("sync.recovered")
        self._last_words = words

    def _pause_after(self, failure: Failed | None) -> float:
        # A rejected hash is paced by its own retry time; whatever replaces it must come through at once.
        if failure is None or isinstance(failure, Rejected):
            self._failures = 0
            return 0.0
        pause = full_jitter(self._failures, base=_BACKOFF_BASE, cap=_BACKOFF_CAP, random=self._random())
        self._failures += 1
        return max(pause, failure.retry_after or pause).total_seconds()


def _outcome(failure: Failed | None, has_applied: bool) -> str:
    if failure is None:
        return "applied" if has_applied else "unchanged"
    return "rejected" if isinstance(failure, Rejected) else "failed"
