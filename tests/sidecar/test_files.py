"""Whole files or none, whatever happens in between."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from alertagent.kernel.errors import Fatal
from alertagent.sidecar.content import Content
from alertagent.sidecar.files import LiveFile
from alertagent.sidecar.model import ErrorClass, Locked, Rejection, State, Unwritable, Version, digest

W = Version(served="w", disk="d")


@pytest.fixture
def live(tmp_path: Path) -> LiveFile:
    return LiveFile(tmp_path / "rules.yml")


@pytest.mark.parametrize("config_type", ["prometheus", "alertmanager"])
async def test_a_kill_at_any_line_leaves_a_whole_configuration(config_type: str, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.sidecar.dying_writer", str(tmp_path), config_type, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()

    assert process.returncode == 0
    result = json.loads(output)
    assert result["kills"] >= 60
    assert set(result["seen"]) == set(result["settled"]) == {"old", "new", "newer"}


def test_staging_and_swapping_replaces_the_file_and_leaves_nothing_else(live: LiveFile) -> None:
    live.path.write_bytes(b"old")
    with live.staged(Content(b"new")) as staged:
        assert live.read() == Content(b"old")
        live.swap(staged)

    assert live.read() == Content(b"new")
    assert [path.name for path in live.path.parent.iterdir()] == ["rules.yml"]


def test_no_companion_is_loaded_by_a_yml_glob(live: LiveFile) -> None:
    live.keep(Content(b"good"))
    live.save_state(State())
    with live.staged(Content(b"new")) as staged:
        assert staged.parent == live.path.parent
        assert list(live.path.parent.glob("*.y*ml")) == []
        assert list(live.path.parent.glob(".*.y*ml")) == []


def test_what_is_staged_and_not_swapped_goes_away(live: LiveFile) -> None:
    with live.staged(Content(b"new")):
        pass

    assert list(live.path.parent.iterdir()) == []


def test_an_edit_in_place_does_not_reach_the_last_good_copy(live: LiveFile) -> None:
    live.path.write_bytes(b"good")
    live.keep(Content(b"good"))
    with live.path.open("ab") as file:
        file.write(b"edited")
    live.restore(digest(b"good"))

    assert live.read() == Content(b"good")


def test_restoring_nothing_removes_the_file(live: LiveFile) -> None:
    live.path.write_bytes(b"bad")
    live.restore(None)

    assert live.read() is None


@pytest.mark.parametrize("copy", [None, b"damaged"])
def test_a_missing_or_damaged_copy_is_not_restored(live: LiveFile, copy: bytes | None) -> None:
    live.path.write_bytes(b"bad")
    if copy:
        live.keep(Content(copy))

    with pytest.raises(Unwritable, match="nothing to go back to"):
        live.restore(digest(b"good"))
    assert live.read() == Content(b"bad")


def test_a_new_file_keeps_the_owner_and_the_mode(live: LiveFile) -> None:
    live.path.write_bytes(b"old")
    live.path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(live.path, 65534, 65534)
    before = live.path.stat()
    with live.staged(Content(b"new")) as staged:
        live.swap(staged)

    after = live.path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_first_file_can_be_read_by_the_target(live: LiveFile) -> None:
    with live.staged(Content(b"new")) as staged:
        live.swap(staged)

    assert live.path.stat().st_mode & 0o777 == 0o644


def test_behind_a_symbolic_link_the_file_itself_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.yml").write_bytes(b"old")
    (tmp_path / "link.yml").symlink_to(tmp_path / "real.yml")
    live = LiveFile(tmp_path / "link.yml")
    with live.staged(Content(b"new")) as staged:
        live.swap(staged)

    assert (tmp_path / "link.yml").is_symlink()
    assert (tmp_path / "real.yml").read_bytes() == b"new"


def test_a_full_disk_leaves_the_live_file_and_no_debris(
    live: LiveFile, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    live.path.write_bytes(b"old")
    with full_disk(1024), pytest.raises(Unwritable) as caught, live.staged(Content(b"x" * 4096)):
        pytest.fail("staged a file that does not fit")

    assert caught.value.error_class is ErrorClass.IO
    assert str(live.path.parent) in caught.value.message
    assert [path.name for path in live.path.parent.iterdir()] == ["rules.yml"]


def test_the_next_start_sweeps_only_its_own_debris(live: LiveFile) -> None:
    mine = live.path.with_name(".rules.yml.aa-1-new.tmp")
    others = {live.path.with_name(name) for name in (".other.yml.aa-1-new.tmp", "rules.tmp")}
    for path in {mine, *others}:
        path.touch()
    live.sweep()

    assert set(live.path.parent.iterdir()) == others


def test_a_directory_has_one_owner(live: LiveFile) -> None:
    with live.locked(), pytest.raises(Locked, match="another sidecar"), live.locked():
        pytest.fail("locked twice")
    with live.locked():
        pass


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    live = LiveFile(tmp_path / "nowhere" / "rules.yml")

    with pytest.raises(Fatal, match="nowhere"), live.locked():
        pytest.fail("locked what is not there")


def test_a_state_is_read_back(live: LiveFile) -> None:
    rejected = Rejection(hash="r", error_class=ErrorClass.CHECK, reason="bad", attempts=3)
    state = State(written=W, applied=Version(served="a", disk="b"), last_good="g", rejected=rejected)
    live.save_state(state)

    assert live.load_state() == state


def test_there_is_no_state_before_the_first(live: LiveFile) -> None:
    assert live.load_state() == State()
