"""One pass of a sidecar: settle, poll, check, swap, reload, prove; and the way back when a configuration is refused."""

import asyncio
import math
from datetime import timedelta

import structlog

from alertagent.kernel.clock import Clock
from alertagent.sidecar.adopt import Adoption
from alertagent.sidecar.check import Checker
from alertagent.sidecar.client import Server
from alertagent.sidecar.content import Content
from alertagent.sidecar.custody import Custody
from alertagent.sidecar.files import LiveFile
from alertagent.sidecar.health import Health
from alertagent.sidecar.memory import Memory
from alertagent.sidecar.model import Discarded, ErrorClass, Failed, Rejected, Report, State, Undecided
from alertagent.sidecar.offer import Offer
from alertagent.sidecar.proof import Proof
from alertagent.sidecar.targets import Kind, Target

_log = structlog.get_logger()


class Sync:
    """Keeps one file and its target equal to what the server offers."""

    def __init__(
        self,
        *,
        server: Server,
        live: LiveFile,
        memory: Memory,
        kind: Kind,
        target: Target,
        proof: Proof,
        checker: Checker,
        adoption: Adoption | None,
        health: Health,
        clock: Clock,
        wait: timedelta,
    ) -> None:
        self._server = server
        self._live = live
        self._memory = memory
        self._custody = Custody(live, memory)
        self._kind = kind
        self._target = target
        self._proof = proof
        self._checker = checker
        self._adoption = adoption
        self._health = health
        self._clock = clock
        self._wait = wait
        self._desired = self._state.written.served if self._state.written else None
        self._drift: str | None = None
        self._version: str | None = None
        self._took = timedelta()

    async def turn(self, *, longest: timedelta | None = None) -> bool:
        """One pass; whether it applied something. `longest` is how long the server may hold the poll at most.

        Raises a Failed that says why the desired state was not reached.
        """
        await self._adopt()
        trouble = await self._settle()
        wait = self._patience()
        offer = await self._poll(self._known(trouble), wait if longest is None else min(wait, longest))
        if offer is not None and self._is_wanted(offer):
            await self._apply(offer)
            return True
        if trouble is not None:
            raise trouble
        return False

    async def once(self) -> None:
        """Fetch, check and write, for a target that has not started yet. Raises Failed."""
        await self._adopt()
        offer = await self._poll(None, self._wait)
        found = self._live.read()
        if offer is not None and (found is None or found.digest != offer.content.digest):
            await self._put_in_place(offer)
        _log.info("config.written", hash=self._desired, path=str(self._live.path))

    def report(self, failure: Failed | None) -> Report:
        """How things stand after a pass that ended with this failure or none."""
        error_class, message = self._trouble(failure)
        applied, rejected = self._state.applied, self._state.rejected
        return Report(
            config_hash=self._desired,
            applied_hash=applied.served if applied else None,
            rejected_hash=rejected.hash if rejected else None,
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

    async def _adopt(self) -> None:
        """What runs here goes to the server before the first file of ours takes its place."""
        if self._adoption is None or self._state.written is not None:
            return
        try:
            await self._adoption.run()
        finally:
            self._health.poll_ended(self._clock.now())
        self._adoption = None

    async def _settle(self) -> Failed | None:
        """Make file and target agree with what was last written; the failure when they still do not."""
        try:
            if self._custody.mend():
                self._drifted()
            content = self._custody.ours()
            if content is not None:
                await self._bring_in(content)
        except Failed as failure:
            return failure
        return None

    def _drifted(self) -> None:
        # Whoever edited the file may have reloaded too, and the marker need not show it.
        self._proof.owe_reload()
        self._drift = f"{self._live.path.name} or its templates were changed by someone else and have been restored"
        self._health.drifts += 1
        _log.warning("config.restored", path=str(self._live.path))

    def _known(self, trouble: Failed | None) -> str | None:
        """The hash that the server need not send again.

        A rejected hash counts as known until its retry is due: named in the poll, it lets the server hold the
        request until something else is wanted.
        """
        if trouble is not None:
            return None
        return self._memory.barred or (self._state.applied.served if self._state.applied else None)

    async def _poll(self, known: str | None, wait: timedelta) -> Offer | None:
        try:
            offer = await self._server.fetch(known=known, wait=wait)
        finally:
            self._health.poll_ended(self._clock.now())
        if offer is not None and self._target.mark_of(offer.content.main) is None:
            raise Discarded("the configuration does not end with AlertAgent's marker")
        self._desired = offer.hash if offer else known
        if self._state.applied and self._desired == self._state.applied.served:
            self._memory.forgive()
        return offer

    def _patience(self) -> timedelta:
        """How long the server may hold a poll: no longer than until a rejected hash is due again."""
        if self._memory.barred is None:
            return self._wait
        return min(self._wait, timedelta(seconds=math.ceil(self._memory.retry_in.total_seconds())))

    def _is_wanted(self, offer: Offer) -> bool:
        written = self._state.written
        return offer.hash not in {written and written.served, self._memory.barred}

    async def _apply(self, offer: Offer) -> None:
        started = _now()
        try:
            await self._put_in_place(offer)
            await self._bring_in(offer.content)
        finally:
            self._took = timedelta(seconds=_now() - started)

    async def _put_in_place(self, offer: Offer) -> None:
        try:
            # A large file takes a second to read through, during which the pages must answer.
            await asyncio.to_thread(self._kind.look, offer.content)
            with self._live.staged(offer.content) as staged:
                await self._checker.check(staged)
                self._custody.put(staged, offer.version)
        except Rejected as verdict:
            self._health.rejections += 1
            self._memory.reject(offer.hash, verdict)
            raise

    async def _bring_in(self, content: Content) -> None:
        """Make the target run what is written, and prove it; go back to the last good file when it is refused."""
        try:
            await self._proof.bring(content.main)
        except Rejected as verdict:
            if self._state.written == self._state.applied:
                # It ran before, so it is something else in the target's configuration that is broken.
                raise Undecided(verdict.message, verdict.error_class) from verdict
            await self._go_back(verdict)
            raise
        self._proven(content)
        self._version = await self._target.version()

    async def _go_back(self, verdict: Rejected) -> None:
        self._health.rejections += 1
        content = self._custody.go_back(verdict)
        await self._proof.bring_back(content.main if content else None)

    def _proven(self, content: Content) -> None:
        if self._custody.proven(content, desired=self._desired):
            _log.info("config.applied", hash=self._desired, path=str(self._live.path))
        self._health.succeeded(self._clock.now(), applied_at=self._live.changed_at())

    @property
    def _state(self) -> State:
        return self._memory.state


def _now() -> float:
    return asyncio.get_running_loop().time()
