"""What runs on this machine, for tests that look after processes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alertagent.engines.process import command_line

_HOLD = """
import asyncio, sys
from pathlib import Path
from alertagent.engines import embedded
from tests.support.engines import PrivatePostgres

async def hold(data_dir):
    async with {engines}:
        print("up", flush=True)
        await asyncio.Event().wait()

asyncio.run(hold(Path(sys.argv[1])))
"""


@contextmanager
def holder(
    data_dir: Path, engines: str = "embedded(data_dir, postgres=True, redis=True)"
) -> Iterator[subprocess.Popen[str]]:
    """Another process in which `engines`, an expression for a context manager, are up."""
    command = [sys.executable, "-c", _HOLD.format(engines=engines), str(data_dir)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            assert process.stdout
            assert any(line == "up\n" for line in process.stdout), "it ended before its engines were up"
            yield process
        finally:
            process.kill()


def running_in(directory: Path) -> list[int]:
    """The servers that were started on a data directory below `directory`."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return sorted(pid for pid in pids if any(_names(argument, directory) for argument in command_line(pid)))


def _names(argument: str, directory: Path) -> bool:
    return argument in {str(directory / "postgres"), str(directory / "valkey")}
