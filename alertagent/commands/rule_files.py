"""Rule files as one import takes them: found on disk, put together, and their findings told as compilers tell them."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from alertagent.commands.client import CouldNotRun, Refused
from alertagent.commands.output import clean
from alertagent.kernel.errors import Detail

SUFFIXES = (".yml", ".yaml")
STDIN = Path("-")
# What the server takes at once.
MAX_BYTES = 16 << 20


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The files that are meant, each once, and in the same order however they were named and lie on the disk.

    Of a directory these are the YAML files at any depth, but nothing hidden. Raises CouldNotRun when there are none:
    with pruning that would mean to delete everything, and mostly it is a mistyped path.
    """
    paths = list(paths)
    files = {file for path in paths for file in (_below(path) if path.is_dir() else [path])}
    if not files:
        raise CouldNotRun(f"there are no rule files (*.yml, *.yaml) in {', '.join(map(_name, paths))}")
    return sorted(files, key=lambda file: file.parts)


def import_of(files: Sequence[Path]) -> bytes:
    """The body of an import of all these. Raises CouldNotRun, and Refused for a file that is no text."""
    contents = {file: _text(file) for file in files}
    document = {"files": [{"name": _name(file), "content": text} for file, text in contents.items()]}
    body = json.dumps(document, ensure_ascii=False).encode()
    if len(body) > MAX_BYTES:
        largest = max(contents, key=lambda file: len(contents[file]))
        raise CouldNotRun(
            f"the files are larger together ({_mebibytes(len(body))}) than what the server takes at once "
            f"({_mebibytes(MAX_BYTES)}); the largest is {_name(largest)}. Give each directory a source of its own"
        )
    return body


@contextmanager
def told_by_place() -> Iterator[None]:
    """What the server finds in files goes to standard error as `file:line:column: message`, and ends the command."""
    try:
        yield
    except Refused as refused:
        found = [detail for detail in refused.details if detail.loc[:1] == ("files",) and len(detail.loc) > 1]
        if not found or len(found) < len(refused.details):
            raise
        lines = [f"{each.loc[1]}:{each.line or 1}:{each.column or 1}: {each.message}" for each in found]
        click.echo("\n".join([*map(clean, lines), "alertagent: nothing was changed"]), err=True)
        sys.exit(1)


def _below(directory: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise CouldNotRun(f"cannot read {error.filename}: {error.strerror}") from error

    for where, directories, names in os.walk(directory, onerror=fail):
        directories[:] = [name for name in directories if not name.startswith(".")]
        for name in names:
            file = Path(where, name)
            if not name.startswith(".") and file.suffix.lower() in SUFFIXES and not file.is_dir():
                yield file


def _text(file: Path) -> str:
    body = _read(file)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _no_text(file, body[: error.start], f"this is not UTF-8 ({error.reason})") from error
    if "\0" in text:
        raise _no_text(file, body[: body.index(b"\0")], "the character U+0000 cannot be stored")
    return text


def _read(file: Path) -> bytes:
    try:
        if file == STDIN:
            body = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with file.open("rb") as opened:
                body = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise CouldNotRun(f"cannot read {_name(file)}: {error.strerror}") from error
    if len(body) > MAX_BYTES:
        raise CouldNotRun(f"{_name(file)} is larger than the {_mebibytes(MAX_BYTES)} that the server takes at once")
    return body


def _no_text(file: Path, before: bytes, what: str) -> Refused:
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return Refused(f"{_name(file)}: {what}", details=[Detail(("files", _name(file)), what, line, column)])


def _name(file: Path) -> str:
    """As it was given, for that is where its reader finds it."""
    return os.fsencode(file).decode("utf-8", "replace")


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
