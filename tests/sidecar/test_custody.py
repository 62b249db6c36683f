"""What is found at a start decides what is done: finish, forget, restore, or begin anew."""

from dataclasses import replace
from pathlib import Path

import pytest

from alertagent.sidecar.content import Content
from alertagent.sidecar.custody import Custody
from alertagent.sidecar.files import LiveFile
from alertagent.sidecar.memory import Memory
from alertagent.sidecar.model import ErrorClass, Rejected, State, Unwritable, Version

A, B = "alertagent-templates/000000000000000a", "alertagent-templates/000000000000000b"
OLD = Content(f"templates: ['{A}/x']\n".encode(), {f"{A}/x": b"old"})
NEW = Content(f"templates: ['{B}/x']\n".encode(), {f"{B}/x": b"new"})
BAD = Rejected("bad", ErrorClass.REFUSED)


@pytest.fixture
def live(tmp_path: Path) -> LiveFile:
    return LiveFile(tmp_path / "alertmanager.yml")


def custody(live: LiveFile) -> Custody:
    return Custody(live, Memory(live, lambda: 0.0))


def version(content: Content) -> Version:
    return Version(served=f"served-{content.digest}", disk=content.digest)


def put(live: LiveFile, owned: Custody, content: Content) -> None:
    with live.staged(content) as staged:
        owned.put(staged, version(content))


def governed(live: LiveFile) -> Custody:
    """OLD is in place and proven."""
    owned = custody(live)
    put(live, owned, OLD)
    assert owned.proven(OLD, desired=None)
    return owned


def directories(live: LiveFile) -> set[str]:
    return {f"alertagent-templates/{path.name}" for path in (live.path.parent / "alertagent-templates").iterdir()}


def test_what_is_put_and_proven_is_remembered_by_the_next_start(live: LiveFile) -> None:
    governed(live)

    again = custody(live)
    assert not again.mend()
    assert again.ours() == OLD
    assert again.state == State(written=version(OLD), applied=version(OLD), last_good=OLD.digest)


def test_proven_twice_is_no_news(live: LiveFile) -> None:
    assert not governed(live).proven(OLD, desired=None)


def test_until_it_is_proven_both_sets_of_templates_stay(live: LiveFile) -> None:
    owned = governed(live)
    put(live, owned, NEW)
    assert directories(live) == {A, B}

    owned.proven(NEW, desired=None)
    assert directories(live) == {B}


def test_what_was_staged_and_not_put_leaves_no_templates(live: LiveFile) -> None:
    governed(live)
    with pytest.raises(Rejected), live.staged(NEW):
        raise BAD

    assert directories(live) == {A}
    assert live.read() == OLD


def test_going_back_restores_file_and_templates(live: LiveFile) -> None:
    owned = governed(live)
    put(live, owned, NEW)

    assert owned.go_back(BAD) == OLD
    assert live.read() == OLD
    assert directories(live) == {A}
    assert owned.state.rejected is not None
    assert owned.state.rejected.hash == version(NEW).served


def test_going_back_from_the_first_restores_what_stood_there(live: LiveFile) -> None:
    live.path.write_bytes(b"theirs: 1\n")
    owned = custody(live)
    put(live, owned, NEW)

    assert owned.go_back(BAD) is None
    assert live.read() == Content(b"theirs: 1\n")


def test_a_kill_before_the_rename_is_no_edit(live: LiveFile) -> None:
    owned = governed(live)
    live.save_state(replace(owned.state, written=version(NEW)))

    again = custody(live)
    assert not again.mend()
    assert again.ours() == OLD


def test_a_kill_before_the_first_rename_leaves_the_file_to_its_owner(live: LiveFile) -> None:
    live.path.write_bytes(b"theirs: 1\n")
    live.save_state(State(written=version(NEW)))

    again = custody(live)
    assert not again.mend()
    assert again.ours() is None
    assert live.read() == Content(b"theirs: 1\n")


@pytest.mark.parametrize("edit", [b"mine\n", None])
def test_an_edit_is_undone(edit: bytes | None, live: LiveFile) -> None:
    owned = governed(live)
    live.path.unlink() if edit is None else live.path.write_bytes(edit)

    assert owned.mend()
    assert live.read() == OLD


def test_an_edit_of_what_was_not_proven_goes_back_to_what_was(live: LiveFile) -> None:
    owned = governed(live)
    put(live, owned, NEW)
    (live.path.parent / f"{B}/x").write_bytes(b"mine")

    assert owned.mend()
    assert owned.ours() == OLD
    assert owned.state.written == version(OLD)


@pytest.mark.parametrize("copy", [None, b"damaged", b"alertmanager.yml".ljust(257, b"\0") + b"ustar" + b"\0" * 999])
def test_without_a_copy_to_go_back_to_all_begins_anew(copy: bytes | None, live: LiveFile) -> None:
    owned = governed(live)
    kept = next(live.path.parent.glob(".*last-good"))
    kept.unlink() if copy is None else kept.write_bytes(copy)
    live.path.write_bytes(b"mine\n")

    assert owned.mend()
    assert owned.ours() is None
    assert owned.state == State()


def test_going_back_without_a_copy_is_said(live: LiveFile) -> None:
    owned = governed(live)
    put(live, owned, NEW)
    next(live.path.parent.glob(".*last-good")).unlink()

    with pytest.raises(Unwritable, match="nothing to go back to"):
        owned.go_back(BAD)
