"""Which files are meant, and what is told when one of them cannot be sent."""

import json
import os
from pathlib import Path

import pytest

from alertagent.commands.client import CouldNotRun, Refused
from alertagent.commands.rule_files import MAX_BYTES, find_files, import_of, told_by_place
from alertagent.kernel.errors import Detail


def write(home: Path, *names: str) -> None:
    for name in names:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")


def test_of_a_directory_all_yaml_is_meant_but_nothing_hidden(tmp_path: Path) -> None:
    write(tmp_path, "b.yml", "a/z.yaml", "a/b/c.YML", "a.yml", ".hidden.yml", ".git/x.yml", "README.md", "x.yml.bak")
    (tmp_path / "directory.yml").mkdir()
    (tmp_path / "link.yml").symlink_to(tmp_path / "README.md")

    found = [str(file.relative_to(tmp_path)) for file in find_files([tmp_path])]

    assert found == ["a/b/c.YML", "a/z.yaml", "a.yml", "b.yml", "link.yml"]


def test_the_order_is_the_same_however_they_are_named_and_each_is_meant_once(tmp_path: Path) -> None:
    write(tmp_path, "b.yml", "a.yml")
    a, b = tmp_path / "a.yml", tmp_path / "b.yml"

    assert find_files([b, a]) == find_files([a, tmp_path, Path(f"{tmp_path}/./b.yml")]) == [a, b]


def test_a_file_that_is_named_is_meant_whatever_its_name(tmp_path: Path) -> None:
    write(tmp_path, ".rules")

    assert find_files([tmp_path / ".rules"]) == [tmp_path / ".rules"]


def test_a_directory_without_rule_files_is_a_mistake(tmp_path: Path) -> None:
    write(tmp_path, "README.md")

    with pytest.raises(CouldNotRun, match=rf"there are no rule files .* in {tmp_path}$"):
        find_files([tmp_path])


def test_the_files_are_sent_under_the_names_that_they_were_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "规则/a.yml")
    monkeypatch.chdir(tmp_path)

    sent = json.loads(import_of(find_files([Path("规则")])))

    assert sent == {"files": [{"name": "规则/a.yml", "content": "# 规则/a.yml\n"}]}


@pytest.mark.parametrize(
    ("body", "line", "column", "words"),
    [(b"\xff", 1, 1, "not UTF-8"), (b"a\nb: \xe4\n", 2, 4, "not UTF-8"), (b"a:\n- 'x\0'\n", 2, 5, "U+0000")],
)
def test_a_file_that_is_no_text_is_a_finding(
    tmp_path: Path, body: bytes, line: int, column: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yml").write_bytes(body)

    with pytest.raises(SystemExit) as ended, told_by_place():
        import_of(find_files([tmp_path]))

    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert said[0].startswith(f"{tmp_path}/a.yml:{line}:{column}: ")
    assert words in said[0]
    assert said[1:] == ["alertagent: nothing was changed"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nowhere")

    for path in (tmp_path, tmp_path / "missing.yml"):
        with pytest.raises(CouldNotRun, match=rf"cannot read {tmp_path}/(gone|missing)\.yml: No such file"):
            import_of(find_files([path]))


def test_what_is_too_large_is_named(tmp_path: Path) -> None:
    large = tmp_path / "large.yml"
    with large.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, MAX_BYTES + 1)
    with pytest.raises(CouldNotRun, match=r"large\.yml is larger than the 16\.0 MiB"):
        import_of([large])

    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("x" * (MAX_BYTES // 3 + (name == "b")))
    with pytest.raises(CouldNotRun, match=r"larger together \(16\.0 MiB\).*the largest is .*/b\. Give each"):
        import_of([tmp_path / "a", tmp_path / "b", tmp_path / "c"])


def test_what_is_wrong_with_something_else_than_files_is_told_as_ever() -> None:
    for details in ([], [Detail(("targets",), "x")], [Detail(("files", "a.yml"), "x", 1), Detail(("prune",), "y")]):
        with pytest.raises(Refused, match="no"), told_by_place():
            raise Refused("no", details=details)
