import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from alertagent.kernel.errors import Conflict, Fatal, Unavailable
from alertagent.storage.key_files import GivenFile, GivenKeys, OwnFile
from alertagent.storage.sealing import read_keys, write_key

GIVEN = write_key(bytes(32))


def test_the_first_key_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secrets.key"
    before = os.umask(0)
    try:
        made = OwnFile(path).make()
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert OwnFile(path).load() == made
    assert len(made.keys) == 1
    assert [each.name for each in path.parent.iterdir()] == ["secrets.key"]


def test_no_two_installations_have_the_same_key(tmp_path: Path) -> None:
    keys = {OwnFile(tmp_path / str(number) / "secrets.key").make().first.id for number in range(20)}

    assert len(keys) == 20


def test_of_many_who_make_the_first_key_all_get_the_same(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda _: OwnFile(path).make(), range(64)))

    assert all(keyring == made[0] for keyring in made)
    assert OwnFile(path).load() == made[0]


def test_a_new_key_comes_first_and_the_older_ones_stay(tmp_path: Path) -> None:
    own = OwnFile(tmp_path / "secrets.key")
    first = own.make().first.id
    second = own.renew()
    third = own.renew()

    assert list(second.keys)[1:] == [first]
    assert list(third.keys)[1:] == list(second.keys)
    assert stat.S_IMODE((tmp_path / "secrets.key").stat().st_mode) == 0o600
    assert (tmp_path / "secrets.key").read_text().count("# The keys of the secrets") == 1


def test_what_people_wrote_into_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    path.write_text(f"# of the old server\n{GIVEN}")
    path.chmod(0o600)

    made = OwnFile(path).renew()

    assert len(made.keys) == 2
    assert "# of the old server\n" in path.read_text()


def test_a_file_that_others_may_read_is_told_of_and_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = OwnFile(tmp_path / "secrets.key")
    own.make()
    (tmp_path / "secrets.key").chmod(0o640)
    capsys.readouterr()

    assert own.load() is not None
    assert own.load() is not None

    told = capsys.readouterr().out
    assert told.count("secrets.key_open_to_others") == 1
    assert "chmod 600" in told


def test_no_file_is_no_key_and_makes_none(tmp_path: Path) -> None:
    assert OwnFile(tmp_path / "secrets.key").load() is None
    assert GivenFile(tmp_path / "secrets.key").load() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "there is no key in it"),
        (b"CANARY", "line 1 is not 32 bytes in base64"),
        (b"\xff\xfeCANARY", "it is not text"),
    ],
)
def test_a_file_without_a_key_is_named(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    path.write_bytes(content)

    for file in (OwnFile(path), GivenFile(path)):
        with pytest.raises(Fatal, match=says) as refusal:
            file.load()
        assert str(path) in refusal.value.message
        assert "CANARY" not in refusal.value.message


def test_what_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()

    with pytest.raises(Fatal, match="Is a directory"):
        OwnFile(tmp_path / "directory").load()
    with pytest.raises(Unavailable, match=r"cannot write the key .*; mend that, choose another data_dir"):
        OwnFile(tmp_path / "file" / "secrets.key").make()


def test_keys_that_somebody_gave_are_not_ours_to_make(tmp_path: Path) -> None:
    (tmp_path / "given").write_text(GIVEN)

    with pytest.raises(Conflict, match="put a new one there"):
        GivenFile(tmp_path / "given").make()
    with pytest.raises(Conflict, match=r"the setting secrets\.key"):
        GivenKeys(GIVEN).renew()
    assert (tmp_path / "given").read_text() == GIVEN
    assert GivenKeys(GIVEN).load() == read_keys(GIVEN)
