"""Writes as a sidecar does, in one child process after the other, each killed a few lines of its code later.

The argument is a type. Prints how many were killed, and every state in which the configuration was found and to which
the next start brought it.
"""

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from alertagent.sidecar import custody, disk, files, templates
from alertagent.sidecar.content import Content
from alertagent.sidecar.custody import Custody
from alertagent.sidecar.files import LiveFile
from alertagent.sidecar.memory import Memory
from alertagent.sidecar.model import ErrorClass, Rejected, Version

TRACED = {module.__file__ for module in (custody, disk, files, templates)}
STEP = 6
NAMES = ("old", "new", "newer")


def content(name: str, config_type: str) -> Content:
    if config_type != "alertmanager":
        return Content(f"{name}\n".encode() * 5000)
    directory = f"alertagent-templates/{name.encode().hex():0>16}"
    paths = [f"{directory}/{number}.tmpl" for number in range(2)]
    return Content(f"# {paths}\n".encode(), {path: f"{name} {path}\n".encode() * 5000 for path in paths})


def die_after(lines: int) -> Any:
    """A trace function that kills this process after so many lines of the traced modules."""
    left = lines

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def apply(live: LiveFile, owned: Custody, new: Content) -> None:
    with live.staged(new) as staged:
        owned.put(staged, Version(served=new.digest, disk=new.digest))


def write(live: LiveFile, config_type: str) -> None:
    """An apply and its proof, and another apply that is rolled back."""
    with live.locked():
        live.sweep()
        owned = Custody(live, Memory(live, lambda: 0.0))
        new, newer = content("new", config_type), content("newer", config_type)
        apply(live, owned, new)
        owned.proven(new, desired=None)
        apply(live, owned, newer)
        owned.go_back(Rejected("bad", ErrorClass.REFUSED))


def prepared(directory: Path, config_type: str) -> LiveFile:
    """As it is while a sidecar has run `old` for long."""
    live = LiveFile(directory / "rules.yml")
    old = content("old", config_type)
    owned = Custody(live, Memory(live, lambda: 0.0))
    apply(live, owned, old)
    owned.proven(old, desired=None)
    return live


def died(live: LiveFile, config_type: str, lines: int) -> bool:
    child = os.fork()
    if child == 0:
        sys.settrace(die_after(lines))
        try:
            write(live, config_type)
        finally:
            os._exit(sys.exc_info()[0] is not None)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or status == 0, "the writer failed"
    return os.WIFSIGNALED(status)


def looked_at(live: LiveFile, config_type: str) -> str:
    """Which whole configuration is there."""
    found = live.read()
    return next((name for name in NAMES if found == content(name, config_type)), "torn")


def started_again(live: LiveFile, config_type: str) -> str:
    """What the next start finds; it must leave no debris."""
    with live.locked():
        live.sweep()
        owned = Custody(live, Memory(live, lambda: 0.0))
        assert not owned.mend(), "a kill was taken for somebody's edit"
        assert owned.ours() == live.read()
    assert not list(live.path.parent.glob(".*.tmp"))
    return looked_at(live, config_type)


def main(directory: Path, config_type: str) -> None:
    kills, seen, settled = 0, Counter[str](), Counter[str]()
    while True:
        home = directory / str(kills)
        home.mkdir()
        live = prepared(home, config_type)
        if not died(live, config_type, STEP * kills):
            break
        seen[looked_at(live, config_type)] += 1
        settled[started_again(live, config_type)] += 1
        kills += 1
    json.dump({"kills": kills, "seen": seen, "settled": settled}, sys.stdout)


if __name__ == "__main__":
    # A kill takes nothing back that was written, so what would only outlive a power cut may be left out.
    os.fsync = lambda fd: None
    main(Path(sys.argv[1]), sys.argv[2])
