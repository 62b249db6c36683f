"""Writes as a sidecar does, in one child process after the other, each killed one line of `files.py` later.

Prints how many were killed and every state in which the live file was found.
"""

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from alertagent.sidecar import files
from alertagent.sidecar.files import LiveFile
from alertagent.sidecar.model import State, digest

OLD, NEW, NEWER = (text * 5000 for text in (b"old\n", b"new\n", b"newer\n"))


def die_after(lines: int) -> Any:
    """A trace function that kills this process after so many lines of `files.py`."""
    left = lines

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != files.__file__:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def write(live: LiveFile) -> None:
    """An apply, its proof, and another apply that is rolled back."""
    with live.locked():
        live.sweep()
        live.keep(OLD)
        with live.staged(NEW) as staged:
            live.save_state(State(written="new", applied="old", last_good="old"))
            live.swap(staged)
        live.keep(NEW)
        with live.staged(NEWER) as staged:
            live.swap(staged)
        live.restore(digest(NEW))


def prepared(directory: Path) -> LiveFile:
    live = LiveFile(directory / "rules.yml")
    live.path.write_bytes(OLD)
    return live


def died(live: LiveFile, lines: int) -> bool:
    child = os.fork()
    if child == 0:
        sys.settrace(die_after(lines))
        write(live)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def looked_at(live: LiveFile) -> str:
    """Which whole file is there; afterwards the next start must find its state and leave no temporary file."""
    live.load_state()
    with live.locked():
        live.sweep()
    assert not list(live.path.parent.glob(".*.tmp"))
    return {OLD: "old", NEW: "new", NEWER: "newer"}.get(live.read() or b"", "torn")


def main(directory: Path) -> None:
    kills, seen = 0, Counter[str]()
    while died(live := prepared(directory), kills):
        seen[looked_at(live)] += 1
        kills += 1
    json.dump({"kills": kills, "seen": seen}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
