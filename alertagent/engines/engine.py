"""What running PostgreSQL and running Valkey have in common: adopt or start, wait until it answers, stop."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import structlog

from alertagent.engines.account import Account
from alertagent.engines.process import Farewell, Process, command_line
from alertagent.kernel.errors import Fatal

# Seconds without any answer. Recovery after a crash answers "not yet" and may take its time.
_PATIENCE = 30.0
_PATIENCE_WITH_ORPHANS = 5.0
_LOG_TAIL = 3  # lines

log = structlog.get_logger()


class Answer(Enum):
    """What an engine says when it is asked whether it is ready."""

    READY = auto()
    NOT_YET = auto()
    NONE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that is prepared and may be started. `command` and `pid_file` name its `home`."""

    name: str
    command: tuple[str, ...]
    home: Path
    pid_file: Path
    log: Path
    account: Account
    probe: Callable[[], Awaitable[Answer]]
    farewell: Farewell


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """An engine that answers at `url`."""

    url: str
    process: Process


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[Process]:
    """The engine, answering, and stopped at the end, even where an earlier process of ours started it."""
    async with AsyncExitStack() as stack:
        yield await _adopted(engine, stack) or await _started(engine, stack)
    log.info("engine.stopped", engine=engine.name)


async def _adopted(engine: Engine, stack: AsyncExitStack) -> Process | None:
    orphan = _orphan(engine)
    if orphan is None:
        return None
    stack.push_async_callback(orphan.stop, engine.farewell)
    if not await _is_usable(engine, orphan):
        await orphan.stop(engine.farewell)
        return None
    log.info("engine.adopted", engine=engine.name, pid=orphan.pid)
    return orphan


async def _started(engine: Engine, stack: AsyncExitStack) -> Process:
    began = time.monotonic()
    with suppress(FileNotFoundError):
        engine.log.replace(engine.log.with_name(f"{engine.log.name}.1"))
    process = Process.spawn(engine.command, account=engine.account, log=engine.log)
    stack.push_async_callback(process.stop, engine.farewell)
    await _answering(engine, process)
    log.info("engine.started", engine=engine.name, pid=process.pid, seconds=round(time.monotonic() - began, 3))
    return process


def last_words(path: Path) -> str:
    """The end of an engine's log, on one line."""
    lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
    tail = [line.strip() for line in lines if line.strip()][-_LOG_TAIL:]
    return f"{' | '.join(tail) or 'it said nothing'} (log: {path})"


def _orphan(engine: Engine) -> Process | None:
    """The engine that a killed process left running here.

    A pid file alone proves nothing: after a reboot, or in a new container, its number belongs to a stranger. It
    goes then, because PostgreSQL would take the stranger for another server of its own and refuse to start.
    """
    with suppress(OSError, ValueError, IndexError):
        pid = int(engine.pid_file.read_text().split()[0])
        if str(engine.home) in command_line(pid):
            return Process(pid)
    engine.pid_file.unlink(missing_ok=True)
    return None


async def _is_usable(engine: Engine, orphan: Process) -> bool:
    """Whether it is what we would start ourselves (not of an earlier release, say) and answers."""
    if command_line(orphan.pid) != engine.command:
        return False
    try:
        await _answering(engine, orphan, patience=_PATIENCE_WITH_ORPHANS)
    except Fatal:
        return False
    return True


async def _answering(engine: Engine, process: Process, *, patience: float = _PATIENCE) -> None:
    """Wait until the engine answers. Raises Fatal as soon as it ends instead, or stays silent for too long."""
    heard = time.monotonic()
    for pause in _pauses():
        answer = await engine.probe()
        if answer is Answer.READY:
            return
        if answer is Answer.NOT_YET:
            heard = time.monotonic()
        if await process.ends_within(pause):
            raise Fatal(f"{engine.name} ended at its start: {last_words(engine.log)}")
        if time.monotonic() - heard > patience:
            raise Fatal(f"{engine.name} gives no answer for {patience:.0f} s: {last_words(engine.log)}")


def _pauses() -> Iterator[float]:
    """Short at first: a warm engine answers within a few hundredths of a second."""
    pause = 0.01
    while True:
        yield pause
        pause = min(pause * 1.5, 0.2)
