"""Asks the target's own tool whether it would load a file, before the file is put in place."""

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

import structlog

from alertagent.kernel.errors import Fatal
from alertagent.sidecar.model import ErrorClass, Rejected

CHECK_TIMEOUT = timedelta(seconds=30)

UNCHECKED = "unchecked"

_LONGEST_REASON = 2000

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Command:
    """How a target's tool is called: `promtool check rules FILE`."""

    program: str
    arguments: tuple[str, ...]

    def on(self, path: Path) -> list[str]:
        """vmalert wants the file glued to its flag, the others as a word of its own."""
        *first, last = self.arguments
        return [*first, f"{last}{path}"] if last.endswith("=") else [*first, last, str(path)]


class Checker:
    """A tool that judges files, or the lack of one: then every file passes.

    `name` is what is reported: the tool's or, where none gave a verdict the last time, `unchecked`.
    """

    def __init__(self, program: str | None, command: Command, *, timeout: timedelta = CHECK_TIMEOUT) -> None:
        self._program = program
        self._command = command
        self._timeout = timeout.total_seconds()
        self.name = command.program if program else UNCHECKED

    @classmethod
    def find(cls, setting: str, command: Command) -> Self:
        """`setting` is `auto`, `off`, or the tool's name or path. Raises Fatal when a named tool is not there."""
        if setting == "off":
            return cls(None, command)
        program = shutil.which(command.program if setting == "auto" else setting)
        if program is None and setting != "auto":
            raise Fatal(f"no such checker: {setting}; give the path of {command.program}, or off")
        return cls(program, command)

    async def check(self, path: Path) -> None:
        """Raises Rejected with the tool's own words. A tool that hangs or dies has judged nothing: the file passes."""
        if self._program is None:
            return
        try:
            status, output = await self._run(self._program, path)
        except TimeoutError:
            self._gave_up(f"no answer in {self._timeout:g} s")
        except OSError as error:
            self._gave_up(str(error))
        else:
            self._judge(status, output, path)

    def _judge(self, status: int, output: bytes, path: Path) -> None:
        if status < 0:
            self._gave_up(f"killed by signal {-status}")
            return
        self.name = self._command.program
        if status > 0:
            raise Rejected(f"{self.name}: {_shortened(output, path)}", ErrorClass.CHECK)

    def _gave_up(self, reason: str) -> None:
        self.name = UNCHECKED
        _log.warning("checker.failed", checker=self._program, error=reason)

    async def _run(self, program: str, path: Path) -> tuple[int, bytes]:
        process = await asyncio.create_subprocess_exec(
            program, *self._command.on(path), stdout=PIPE, stderr=STDOUT, start_new_session=True
        )
        try:
            async with asyncio.timeout(self._timeout):
                output, _ = await process.communicate()
        finally:
            await _end(process)
        return process.returncode or 0, output


async def _end(process: Process) -> None:
    """Kill the whole group: a wrapper script's child would outlive it and hold the pipe open."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _shortened(output: bytes, path: Path) -> str:
    text = output.decode(errors="replace").replace(f"{path}", "the file")
    return " ".join(text.split())[:_LONGEST_REASON]
