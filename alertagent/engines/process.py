"""Engines as processes: apart from our terminal, waited for by pidfd, and found again when we were killed.

A pidfd (Linux 5.3) tells the end of any process, so a child and an orphan that an earlier process of ours left
behind are handled alike.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from alertagent.engines.account import ENVIRONMENT, Account

Farewell = Sequence[tuple[signal.Signals, float]]
"""Signals from polite to final, each with the seconds to wait for the end."""


class Process:
    """A running engine. Everything about it happens on the event loop it was made on."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        """Take hold of `pid`. Raises ProcessLookupError when there is no such process."""
        self.pid = pid
        self._child = child
        self._pidfd = os.pidfd_open(pid)
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pidfd, self._bury)

    @classmethod
    def spawn(cls, command: Sequence[str], *, account: Account, log: Path) -> Self:
        """Start `command` in a session of its own, so that Ctrl-C in our terminal does not reach it.

        It blocks for the moment that fork and exec take: from a thread, a cancelled start would lose its child.
        """
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "ab") as output:
            child = subprocess.Popen(  # noqa: S603 - the command is ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=ENVIRONMENT,
                umask=0o077,
                start_new_session=True,
                **account.identity,
            )
        return cls(child.pid, child)

    @property
    def status(self) -> int | None:
        """The exit status of an ended child; None while it runs, and for an orphan, whose status its parent got."""
        return self._child.returncode if self._child else None

    @property
    def is_running(self) -> bool:
        return not self._ended.is_set()

    def send(self, signal_: signal.Signals) -> None:
        """Send a signal; one to an ended process does nothing."""
        if self.is_running:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal_)

    async def ended(self) -> None:
        """Wait for the end."""
        await self._ended.wait()

    async def ends_within(self, seconds: float) -> bool:
        """Wait for the end, but no longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ended()
        return not self.is_running

    async def stop(self, farewell: Farewell) -> None:
        """Send one signal after the other until the process has ended."""
        for signal_, patience in farewell:
            self.send(signal_)
            if await self.ends_within(patience):
                return

    def _bury(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        if self._child:
            self._child.wait()
        self._ended.set()


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments that `pid` was started with; none when there is no such process."""
    try:
        # Unlike cwd and exe, which a container's root may not read of other users, this is open to everyone.
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(argument) for argument in raw.split(b"\0")[:-1])
