"""promtool judges; a tool that is missing, hangs or dies judges nothing."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from alertagent.kernel.errors import Fatal
from alertagent.sidecar.check import Checker, Command
from alertagent.sidecar.model import ErrorClass, Rejected
from alertagent.sidecar.targets import KINDS
from tests.support.config_server import rule_file
from tests.support.prometheus import eventually

PROMTOOL = KINDS["prometheus"].check


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    path = tmp_path / ".rules.yml.aa-1-new.tmp"
    path.write_bytes(rule_file("First"))
    return path


def tool(directory: Path, script: str) -> str:
    path = directory / "tool"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


RULES = ["prometheus", "vmalert"]


@pytest.mark.parametrize("config_type", RULES)
async def test_the_real_tool_passes_good_rules(config_type: str, staged: Path) -> None:
    checker = Checker.find("auto", KINDS[config_type].check)

    await checker.check(staged)

    assert checker.name == KINDS[config_type].check.program


@pytest.mark.parametrize("config_type", RULES)
async def test_the_real_tool_refuses_bad_rules_in_its_own_words(config_type: str, staged: Path) -> None:
    staged.write_bytes(rule_file("First", expr="sum("))

    with pytest.raises(Rejected, match="First") as caught:
        await Checker.find("auto", KINDS[config_type].check).check(staged)
    assert caught.value.error_class is ErrorClass.CHECK
    assert str(staged) not in caught.value.message


async def test_a_tool_that_hangs_is_killed_with_its_children(tmp_path: Path, staged: Path) -> None:
    hanging = tool(tmp_path, f"sleep 600 & echo $! > {tmp_path / 'child'}; wait")
    checker = Checker(hanging, PROMTOOL, timeout=timedelta(seconds=0.5))

    await checker.check(staged)

    child = int((tmp_path / "child").read_text())
    await eventually(lambda: _is_gone(child))


async def test_stopping_kills_the_tool(tmp_path: Path, staged: Path) -> None:
    hanging = tool(tmp_path, f"echo $$ > {tmp_path / 'pid'}; exec sleep 600")
    task = asyncio.create_task(Checker(hanging, PROMTOOL).check(staged))
    await eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert _is_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("script", ["kill -9 $$", "exit 0"])
async def test_a_tool_that_dies_lets_the_file_pass(script: str, tmp_path: Path, staged: Path) -> None:
    await Checker(tool(tmp_path, script), PROMTOOL).check(staged)


async def test_a_tool_that_cannot_be_run_lets_the_file_pass(tmp_path: Path, staged: Path) -> None:
    await Checker(str(tmp_path / "vanished"), PROMTOOL).check(staged)


async def test_off_checks_nothing_and_says_so(staged: Path) -> None:
    staged.write_bytes(b"not rules")
    checker = Checker.find("off", PROMTOOL)

    await checker.check(staged)

    assert checker.name == "unchecked"


def test_a_missing_tool_is_no_obstacle_unless_it_was_named() -> None:
    assert Checker.find("auto", Command("no-such-tool", ())).name == "unchecked"
    with pytest.raises(Fatal, match="no-such-tool"):
        Checker.find("no-such-tool", PROMTOOL)


def test_a_path_may_be_given_instead(tmp_path: Path) -> None:
    assert Checker.find(tool(tmp_path, "exit 0"), PROMTOOL).name == "promtool"


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
