"""What a sidecar remembers across restarts, and when it may try a rejected configuration again."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import structlog

from alertagent.kernel.backoff import full_jitter
from alertagent.sidecar.files import LiveFile
from alertagent.sidecar.model import Rejected, Rejection, State

_BASE = timedelta(seconds=1)
_CAP = timedelta(seconds=300)

_log = structlog.get_logger()


class Memory:
    """The state, saved with every change. One rejected hash is enough: another one offered replaces it."""

    def __init__(self, live: LiveFile, random: Callable[[], float]) -> None:
        self._live = live
        self._random = random
        self.state = _loaded(live)
        self._retry_at = self._retry_time()

    def save(self, state: State) -> None:
        """Raises Unwritable, and then remembers what it did before."""
        self._live.save_state(state)
        self.state = state

    def reject(self, hash: str, verdict: Rejected) -> None:
        before = self.state.rejected
        rejection = Rejection(
            hash=hash,
            error_class=verdict.error_class,
            reason=verdict.message,
            attempts=before.attempts + 1 if before and before.hash == hash else 1,
        )
        self.save(replace(self.state, rejected=rejection))
        self._retry_at = self._retry_time()

    def forgive(self) -> None:
        """Nobody wants the rejected hash any more."""
        if self.state.rejected is not None:
            self.save(replace(self.state, rejected=None))

    @property
    def barred(self) -> str | None:
        """The hash that must not be tried now."""
        return self.state.rejected.hash if self.state.rejected and self.retry_in > timedelta() else None

    @property
    def retry_in(self) -> timedelta:
        """How long until a rejected hash may be tried again; negative once it may."""
        return timedelta(seconds=self._retry_at - time.monotonic())

    def _retry_time(self) -> float:
        attempt = self.state.rejected.attempts - 1 if self.state.rejected else 0
        # Never at once: what was refused a moment ago would only lie on the disk while the target may start.
        pause = full_jitter(attempt, base=_BASE, cap=_CAP, random=(1 + self._random()) / 2)
        return time.monotonic() + pause.total_seconds()


def _loaded(live: LiveFile) -> State:
    try:
        return live.load_state()
    except ValueError as error:
        _log.warning("state.unreadable", path=str(live.path), error=str(error))
        return State()
