"""Whole files with the right owner, or a clear word about the disk."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alertagent.sidecar.content import Content
from alertagent.sidecar.disk import Writer
from alertagent.sidecar.files import LiveFile
from alertagent.sidecar.model import ErrorClass, State, Unwritable
from tests.support.directories import open_directory

DIRECTORY = "alertagent-templates/0123456789abcdef"
CONTENT = Content(f"templates: ['{DIRECTORY}/x']\n".encode(), {f"{DIRECTORY}/x": b"x"})


@pytest.fixture
def closed() -> Iterator[LiveFile]:
    """A live file in a directory that we may read and not write, with us being nobody in particular."""
    with open_directory() as home:
        (home / "rules").mkdir()
        live = LiveFile(home / "rules" / "rules.yml")
        live.path.write_bytes(b"old")
        live.path.chmod(0o644)
        live.path.parent.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield live
        finally:
            os.seteuid(user)
            live.path.parent.chmod(0o755)


def test_a_directory_that_may_not_be_written_is_named_and_nothing_changes(closed: LiveFile) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: closed.staged(CONTENT).__enter__(),
        lambda: closed.staged(Content(b"new")).__enter__(),
        lambda: closed.keep(CONTENT),
        lambda: closed.save_state(State()),
        lambda: closed.restore(None),
    ]
    for attempt in attempts:
        with pytest.raises(Unwritable, match="Permission denied") as caught:
            attempt()
        assert caught.value.error_class is ErrorClass.IO
    assert closed.read() == Content(b"old")
    assert [path.name for path in closed.path.parent.iterdir()] == ["rules.yml"]


def test_templates_have_the_mode_and_the_owner_of_the_live_file(tmp_path: Path) -> None:
    live = LiveFile(tmp_path / "alertmanager.yml")
    live.path.write_bytes(b"old")
    live.path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(live.path, 65534, 65534)
    like = live.path.stat()
    with live.staged(CONTENT) as staged:
        live.swap(staged)

    template = (tmp_path / DIRECTORY / "x").stat()
    assert (template.st_mode, template.st_uid, template.st_gid) == (like.st_mode, like.st_uid, like.st_gid)
    assert (tmp_path / DIRECTORY).stat().st_mode & 0o777 == 0o755


def test_a_planted_temporary_file_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / f".live.aa-{os.getpid()}-new.tmp").symlink_to(victim)

    with pytest.raises(Unwritable), Writer(tmp_path / "live", ".live.aa-").temporary("new", b"x"):
        pytest.fail("wrote through a link")
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_in_the_way_of_a_directory_is_named(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "alertagent-templates"
    place.symlink_to(tmp_path) if kind == "link" else place.write_bytes(b"")

    with pytest.raises(Unwritable, match="in the way"):
        Writer(tmp_path / "live", ".live.aa-").make_directory(place)
