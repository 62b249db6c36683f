"""One pass of a sidecar: settle, poll, check, swap, reload, prove; and the way back when a configuration is refused.

What must survive a kill is saved before the step that it describes: the state names the new hash before the rename,
so a start finds the live file equal to `written` (a reload may be owed), equal to `applied` (the rename never
happened), or edited by somebody else.
"""

import asyncio
import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import structlog

from alertagent.kernel.clock import Clock
from alertagent.sidecar.check import Checker
from alertagent.sidecar.client import Server
from alertagent.sidecar.files import LiveFile
from alertagent.sidecar.health import Health
from alertagent.sidecar.memory import Memory
from alertagent.sidecar.model import (
    Discarded,
    ErrorClass,
    Failed,
    Offer,
    Rejected,
    Report,
    State,
    Undecided,
    digest,
)
from alertagent.sidecar.targets import Target

_FIRST_LOOK = 0.02
_SLOWEST_LOOK = 1.0

_log = structlog.get_logger()


class Sync:
    """Keeps one file and its target equal to what the server offers."""

    def __init__(
        self,
        *,
        server: Server,
        live: LiveFile,
        memory: Memory,
        target: Target,
        checker: Checker,
        health: Health,
        clock: Clock,
        wait: timedelta,
        proof: timedelta,
    ) -> None:
        self._server = server
        self._live = live
        self._target = target
        self._checker = checker
        self._health = health
        self._clock = clock
        self._wait = wait
        self._proof = proof
        self._memory = memory
        self._desired = memory.state.written
        self._is_reload_owed = False
        self._drift: str | None = None
        self._version: str | None = None
        self._took = timedelta()

    async def turn(self) -> bool:
        """One pass; whether it applied something. Raises a Failed that says why the desired state was not reached."""
        trouble = await self._settle()
        offer = await self._poll(self._known(trouble))
        if offer is not None and self._is_wanted(offer):
            await self._apply(offer)
            return True
        if trouble is not None:
            raise trouble
        return False

    async def once(self) -> None:
        """Fetch, check and write, for a target that has not started yet. Raises Failed."""
        offer = await self._poll(None)
        if offer is not None and offer.hash != self._live.hash():
            await self._put_in_place(offer)
        _log.info("config.written", hash=self._desired, path=str(self._live.path))

    def report(self, failure: Failed | None) -> Report:
        """How things stand after a pass that ended with this failure or none."""
        error_class, message = self._trouble(failure)
        return Report(
            config_hash=self._desired,
            applied_hash=self._state.applied,
            rejected_hash=self._state.rejected.hash if self._state.rejected else None,
            succeeded=error_class in {None, ErrorClass.DRIFT},
            error_class=error_class,
            error_message=message,
            checker=self._checker.name,
            target_version=self._version,
            duration=self._took,
        )

    def drift_told(self) -> None:
        """A repair is news once."""
        self._drift = None

    def _trouble(self, failure: Failed | None) -> tuple[ErrorClass | None, str | None]:
        rejected = self._state.rejected
        if failure is not None:
            return failure.error_class, failure.message
        if rejected is not None:
            return rejected.error_class, rejected.reason
        return (ErrorClass.DRIFT, self._drift) if self._drift else (None, None)

    async def _settle(self) -> Failed | None:
        """Make file and target agree with what was last written; the failure when they still do not."""
        try:
            body = self._repaired()
            if body is not None:
                await self._bring_in(body)
        except Failed as failure:
            return failure
        return None

    def _repaired(self) -> bytes | None:
        """The live file as we wrote it, put right where somebody else changed it; None while it is not ours."""
        state, body = self._state, self._live.read()
        found = None if body is None else digest(body)
        if state.written is None or found == state.written:
            return body if state.written else None
        if state.applied is None:
            self._save(replace(state, written=None))
            return None
        if found != state.applied:
            self._live.restore(state.applied)
            self._drifted()
        self._save(replace(state, written=state.applied))
        return self._live.read()

    def _drifted(self) -> None:
        # Whoever edited the file may have reloaded too, and the marker need not show it.
        self._is_reload_owed = True
        self._drift = f"{self._live.path.name} was changed by someone else and has been restored"
        self._health.drifts += 1
        _log.warning("config.restored", path=str(self._live.path))

    def _known(self, trouble: Failed | None) -> str | None:
        """The hash that the server need not send again.

        A rejected hash counts as known until its retry is due: named in the poll, it lets the server hold the
        request until something else is wanted.
        """
        if trouble is not None:
            return None
        return self._memory.barred or self._state.applied

    async def _poll(self, known: str | None) -> Offer | None:
        try:
            offer = await self._server.fetch(known=known, wait=self._patience())
        finally:
            self._health.poll_ended()
        if offer is not None and self._target.mark_of(offer.body) is None:
            raise Discarded("the configuration does not end with AlertAgent's marker")
        self._desired = offer.hash if offer else known
        if self._desired == self._state.applied:
            self._memory.forgive()
        return offer

    def _patience(self) -> timedelta:
        """How long the server may hold a poll: no longer than until a rejected hash is due again."""
        if self._memory.barred is None:
            return self._wait
        return min(self._wait, timedelta(seconds=math.ceil(self._memory.retry_in.total_seconds())))

    def _is_wanted(self, offer: Offer) -> bool:
        return offer.hash not in {self._state.written, self._memory.barred}

    async def _apply(self, offer: Offer) -> None:
        started = _now()
        try:
            await self._put_in_place(offer)
            await self._bring_in(offer.body)
        finally:
            self._took = timedelta(seconds=_now() - started)

    async def _put_in_place(self, offer: Offer) -> None:
        with self._live.staged(offer.body) as staged:
            try:
                await self._checker.check(staged)
            except Rejected as verdict:
                self._memory.reject(offer.hash, verdict)
                raise
            self._swap(staged, offer)

    def _swap(self, staged: Path, offer: Offer) -> None:
        state = self._state
        predecessor = self._live.read() if state.written is None else None
        if predecessor is not None:
            self._live.keep(predecessor)
            state = replace(state, last_good=digest(predecessor))
        self._save(replace(state, written=offer.hash))
        self._live.swap(staged)

    async def _bring_in(self, body: bytes) -> None:
        """Make the target run what is written, and prove it; go back to the last good file when it is refused."""
        try:
            await self._load(body)
        except Rejected as verdict:
            if self._state.written == self._state.applied:
                # It ran before, so it is something else in the target's configuration that is broken.
                raise Undecided(verdict.message, verdict.error_class) from verdict
            await self._roll_back(verdict)
            raise
        self._observed(body)
        self._version = await self._target.version()

    async def _load(self, body: bytes) -> None:
        mark = self._target.mark_of(body)
        if self._is_reload_owed or not await self._shows(mark):
            await self._target.reload()
            await self._prove(mark, self._proof + timedelta(milliseconds=_rules_in(body)))
        self._is_reload_owed = False

    async def _prove(self, mark: str | None, deadline: timedelta) -> None:
        """Look until the target shows the mark; nothing announces it, hence the looking."""
        pause = _FIRST_LOOK
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                while not await self._shows(mark):
                    await asyncio.sleep(pause)
                    pause = min(_SLOWEST_LOOK, 2 * pause)
        except TimeoutError as error:
            message = f"the target was reloaded but does not run {self._live.path}: see its log and the files it names"
            raise Rejected(message, ErrorClass.NOT_APPLIED) from error

    async def _shows(self, mark: str | None) -> bool:
        try:
            marks = await self._target.running()
        except Undecided:
            self._health.is_target_up = False
            raise
        self._health.is_target_up = True
        return mark in marks

    def _observed(self, body: bytes) -> None:
        state = self._state
        if state.applied != state.written:
            self._live.keep(body)
            rejected = None if self._desired == state.written else state.rejected
            self._save(State(written=state.written, applied=state.written, last_good=state.written, rejected=rejected))
            _log.info("config.applied", hash=state.written, path=str(self._live.path))
        self._health.succeeded(self._clock.now())

    async def _roll_back(self, verdict: Rejected) -> None:
        """Put the last good file back at once: a bad one left on disk would stop the target's next start."""
        state = self._state
        if state.written is not None:
            self._memory.reject(state.written, verdict)
        self._live.restore(state.last_good)
        self._save(replace(self._state, written=state.applied))
        try:
            await self._target.reload()
            body = self._live.read()
            if state.applied is not None and body is not None:
                await self._prove(self._target.mark_of(body), self._proof)
        except Failed as failure:
            self._is_reload_owed = True
            _log.error("rollback.unproven", error=failure.message)

    @property
    def _state(self) -> State:
        return self._memory.state

    def _save(self, state: State) -> None:
        self._memory.save(state)


def _rules_in(body: bytes) -> int:
    return body.count(b"- alert:") + body.count(b"- record:")


def _now() -> float:
    return asyncio.get_running_loop().time()
