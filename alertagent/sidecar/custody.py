"""What is in place, what ran last, what was refused: the one writer of file and state, in an order that outlives kills.

What must survive a kill is saved before the step that it describes: the state names the new version before the
rename, so a start finds the live content equal to `written` (a reload may be owed), equal to `applied` (the rename
never happened), or edited by somebody else.
"""

from dataclasses import replace
from pathlib import Path

from alertagent.sidecar.content import Content
from alertagent.sidecar.files import LiveFile
from alertagent.sidecar.memory import Memory
from alertagent.sidecar.model import Rejected, State, Version


class Custody:
    """Raises Unwritable when the disk refuses."""

    def __init__(self, live: LiveFile, memory: Memory) -> None:
        self._live = live
        self._memory = memory

    @property
    def state(self) -> State:
        return self._memory.state

    def mend(self) -> bool:
        """Put right what somebody else changed in what we wrote; whether there was anything."""
        state, found = self.state, self._live.read()
        if state.written is None or (found and found.digest == state.written.disk):
            return False
        if state.applied is None:
            self._memory.save(replace(state, written=None))
            return False
        is_foreign = found is None or found.digest != state.applied.disk
        if is_foreign and not self._live.keeps(state.applied.disk):
            # Somebody took the copy as well: without a memory, all is fetched and proven anew.
            self._memory.save(State(rejected=state.rejected))
            return True
        if is_foreign:
            self._live.restore(state.applied.disk)
        self._memory.save(replace(state, written=state.applied))
        return is_foreign

    def ours(self) -> Content | None:
        """What we put in place, proven or not; None while nothing there is ours."""
        return self._live.read() if self.state.written else None

    def put(self, staged: Path, version: Version) -> None:
        state = self.state
        predecessor = self._live.read() if state.written is None else None
        if predecessor is not None:
            self._live.keep(predecessor)
            state = replace(state, last_good=predecessor.digest)
        self._memory.save(replace(state, written=version))
        self._live.swap(staged)

    def proven(self, content: Content, *, desired: str | None) -> bool:
        """The target was seen to run what is written; whether that is news."""
        state = self.state
        if state.written is None or state.applied == state.written:
            return False
        self._live.keep(content)
        rejected = None if desired == state.written.served else state.rejected
        new = State(written=state.written, applied=state.written, last_good=content.digest, rejected=rejected)
        self._memory.save(new)
        self._live.sweep_templates()
        return True

    def go_back(self, verdict: Rejected) -> Content | None:
        """The last good content again, at once: a bad file left on disk would stop the target's next start.

        None where what stands there now was never proven, or where nothing stands there.
        """
        state = self.state
        if state.written is not None:
            self._memory.reject(state.written.served, verdict)
        self._live.restore(state.last_good)
        self._memory.save(replace(self.state, written=state.applied))
        self._live.sweep_templates()
        return self.ours()
