import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from alertagent.engines.account import choose_account
from alertagent.engines.process import Process, command_line


def spawn(log: Path, *command: str) -> Process:
    return Process.spawn(command, account=choose_account(()), log=log)


async def test_a_child_runs_in_a_session_of_its_own(data_dir: Path) -> None:
    process = spawn(data_dir / "log", "/bin/sleep", "60")

    assert os.getsid(process.pid) == process.pid
    await process.stop([(signal.SIGTERM, 5)])


async def test_output_and_status_of_a_child_are_kept(data_dir: Path) -> None:
    process = spawn(data_dir / "log", "/bin/sh", "-c", "echo out; echo err >&2; exit 3")

    await process.ended()

    assert process.status == 3
    assert (data_dir / "log").read_text() == "out\nerr\n"


async def test_a_deaf_process_is_stopped_with_the_last_signal(data_dir: Path) -> None:
    process = spawn(data_dir / "log", "/bin/sh", "-c", "trap '' TERM; echo deaf; exec sleep 60")
    while "deaf" not in (data_dir / "log").read_text():
        assert not await process.ends_within(0.01)

    await process.stop([(signal.SIGTERM, 0.05), (signal.SIGKILL, 5)])

    assert process.status == -signal.SIGKILL


async def test_the_end_of_a_process_that_is_not_our_child_is_seen() -> None:
    # The shell ends at once and leaves the sleeper to init.
    shell = await asyncio.to_thread(
        subprocess.run, ["/bin/sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], capture_output=True, check=True
    )
    process = Process(int(shell.stdout))

    process.send(signal.SIGTERM)
    await process.ended()

    assert not process.is_running
    assert process.status is None


async def test_signals_to_an_ended_process_do_nothing(data_dir: Path) -> None:
    process = spawn(data_dir / "log", "/bin/true")
    await process.ended()

    process.send(signal.SIGKILL)
    await process.stop([(signal.SIGKILL, 5)])

    assert process.status == 0


async def test_a_pid_that_nobody_has_cannot_be_held() -> None:
    with pytest.raises(ProcessLookupError):
        Process(4_194_304)  # one more than the kernel gives away


def test_the_command_line_of_nobody_is_empty() -> None:
    assert command_line(4_194_304) == ()
    assert command_line(os.getpid())
