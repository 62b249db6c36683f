"""Makes a target run what lies on disk, and looks until it shows so."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import structlog

from alertagent.sidecar.health import Health
from alertagent.sidecar.model import ErrorClass, Failed, Rejected, Undecided
from alertagent.sidecar.targets import Target

_FIRST_LOOK = 0.02
_SLOWEST_LOOK = 1.0

_log = structlog.get_logger()


class Proof:
    """`patience` is how long the target may take to show what it loaded; large files get more."""

    def __init__(self, target: Target, health: Health, path: Path, patience: timedelta) -> None:
        self._target = target
        self._health = health
        self._path = path
        self._patience = patience
        self._is_reload_owed = False

    def owe_reload(self) -> None:
        """Reload next time even if the target shows the right mark: it may have loaded something else beside it."""
        self._is_reload_owed = True

    async def bring(self, main: bytes) -> None:
        """Raises Rejected when the target refuses the file or does not run it, Undecided when it cannot be asked."""
        mark = self._target.mark_of(main)
        if self._is_reload_owed or not await self._shows(mark):
            await self._reload()
            await self._wait_for(mark, main)
            await self._wait_for_groups(main)
        self._is_reload_owed = False

    async def bring_back(self, main: bytes | None) -> None:
        """Load the last good file; None when nothing is known of how the target would show it."""
        try:
            await self._reload()
            if main is not None:
                await self._wait_for(self._target.mark_of(main), main)
        except Failed as failure:
            self._is_reload_owed = True
            _log.error("rollback.unproven", error=failure.message)

    async def _reload(self) -> None:
        self._health.reloads += 1
        await self._target.reload()

    async def _wait_for(self, mark: str | None, main: bytes) -> None:
        if not await self._comes_true(lambda: self._shows(mark), main):
            message = f"the target was reloaded but does not run {self._path}: see its log and the files it names"
            raise Rejected(message, ErrorClass.NOT_APPLIED)

    async def _wait_for_groups(self, main: bytes) -> None:
        """The file was accepted as a whole, so groups that are late are no reason to go back."""
        lagging: frozenset[str] = frozenset()

        async def is_complete() -> bool:
            nonlocal lagging
            lagging = await self._target.lagging(main)
            return not lagging

        if not await self._comes_true(is_complete, main):
            _log.warning("groups.lagging", groups=sorted(lagging))

    async def _comes_true(self, claim: Callable[[], Awaitable[bool]], main: bytes) -> bool:
        """Whether it does in time. Nothing announces what a target runs, hence the looking."""
        patience = self._patience + timedelta(milliseconds=_rules_in(main))
        pause = _FIRST_LOOK
        try:
            async with asyncio.timeout(patience.total_seconds()):
                while not await claim():
                    await asyncio.sleep(pause)
                    pause = min(_SLOWEST_LOOK, 2 * pause)
        except TimeoutError:
            return False
        return True

    async def _shows(self, mark: str | None) -> bool:
        try:
            marks = await self._target.running()
        except Undecided:
            self._health.is_target_up = False
            raise
        self._health.is_target_up = True
        return mark in marks


def _rules_in(main: bytes) -> int:
    return main.count(b"- alert:") + main.count(b"- record:")
