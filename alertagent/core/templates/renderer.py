"""Has templates rendered in a process of their own, which is started with the first one and replaced when it ends.

What surprises: the process is ended by the kernel when a template computes for too long, so its end is an answer like
any other. One template is rendered at a time; one that had to be stopped is not tried again for a while, so that it
holds up no other.
"""

import asyncio
import contextlib
import hashlib
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from alertagent.core.templates import protocol
from alertagent.core.templates.data import NAMES
from alertagent.kernel.errors import Unavailable

# Also on a machine that is busy: of computing time a template has much less, and the process itself sees to that.
PATIENCE = 10.0
REST = 60.0
_FAREWELL = 5.0

_MAX_REQUEST = 16 * 1024 * 1024
_STOPPED = f"it was stopped: it computes for more than {protocol.RENDER_SECONDS * 1000:.0f} ms"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no text, and in which line of the template, where that is known."""

    message: str
    line: int | None = None
    was_stopped: bool = False


class Renderer:
    """`running` ends the process at the end."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._resting: dict[bytes, float] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self._end()

    async def check(self, source: str) -> Fault | None:
        """What is wrong with a template, as far as can be told without anything to render."""
        found = await self._ask({"source": source, "names": NAMES})
        return found if isinstance(found, Fault) else None

    async def render(self, source: str, data: Mapping[str, Any]) -> str | Fault:
        """The text, in which printed values stand between `protocol.OPEN` and `protocol.CLOSE`."""
        key, now = hashlib.sha256(source.encode("utf-8", "replace")).digest(), asyncio.get_running_loop().time()
        self._resting = {each: until for each, until in self._resting.items() if until > now}
        if key in self._resting:
            return Fault(f"{_STOPPED}, and is tried again in {self._resting[key] - now:.0f} s", was_stopped=True)
        found = await self._ask({"source": source, "names": NAMES, "data": data})
        if isinstance(found, Fault) and found.was_stopped:
            self._resting[key] = now + REST
        return found

    async def _ask(self, question: Mapping[str, Any]) -> str | Fault:
        frame = orjson.dumps(question)
        if len(frame) > _MAX_REQUEST:
            return Fault(f"there is more to tell than the {_MAX_REQUEST >> 20} MiB that a template may get")
        async with self._turn:
            # A process that ended by itself between two templates says nothing about this one.
            for _ in range(2):
                found = await self._answer(frame)
                if found is not None:
                    return found
        return Fault("the process that renders templates ended twice while it did")

    async def _answer(self, frame: bytes) -> str | Fault | None:
        """None where the process ended without saying why."""
        process = self._process
        if process is None or not _is_there(process):
            await self._end()
            process = await self._start()
        try:
            async with asyncio.timeout(PATIENCE):
                answer = orjson.loads(await _exchange(process, frame))
        except (asyncio.IncompleteReadError, ConnectionError):
            status = await self._end(is_ending=True)
            return Fault(_STOPPED, was_stopped=True) if status == -signal.SIGPROF else None
        except TimeoutError:
            await self._end()
            return Fault(f"it took more than {PATIENCE:.0f} s", was_stopped=True)
        except BaseException:  # whoever gave up leaves an answer behind that nobody must take for his own
            await self._end()
            raise
        if "error" in answer:
            return Fault(answer["error"], answer["line"])
        text: str = answer["text"]
        return text

    async def _start(self) -> Process:
        """It sees neither our environment nor our signals; its standard input ends when we do, and then it does."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                protocol.PROGRAM,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"the process that renders templates could not be started: {error}") from error
        return self._process

    async def _end(self, *, is_ending: bool = False) -> int | None:
        """Its exit status, once it is gone.

        One that is ending anyway is left to it: `kill` asks whether it is there, and whoever asks takes the status.
        """
        process, self._process = self._process, None
        if process is None:
            return None
        try:
            if is_ending:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_FAREWELL):
                        return await process.wait()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            return await process.wait()
        finally:
            if process.stdin is not None:
                process.stdin.close()


def _is_there(process: Process) -> bool:
    """As far as is known here; uvloop takes it amiss when somebody writes to one that is not."""
    return process.returncode is None and process.stdin is not None and not process.stdin.is_closing()


async def _exchange(process: Process, frame: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise ConnectionError
    process.stdin.write(protocol.HEAD.pack(len(frame)) + frame)
    await process.stdin.drain()
    head = await process.stdout.readexactly(protocol.HEAD.size)
    return await process.stdout.readexactly(protocol.HEAD.unpack(head)[0])
