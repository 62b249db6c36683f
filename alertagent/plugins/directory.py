"""Plugins from a directory: files of Python that somebody has put there.

Their code runs in our process and may do whatever we may. So neither the directory nor a file in it may be writable for
anybody but root and the user we run as.
"""

import os
import stat
import sys
import traceback
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType, TracebackType

from alertagent.plugins.analysis import Analyzer
from alertagent.plugins.base import NotificationPlugin

# Where they stand among modules, out of everybody's way.
PACKAGE = "alertagent_directory"

_NO_FILE = "only single files are loaded from here; install a package, and offer an entry point"
_FOR_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class Unloadable(Exception):
    """A file, or the whole directory, that gives no plugin; the text says why, with the line where there is one."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file and the classes in it that are to be plugins, or why there are none.

    `digest` tells one content from another. One that is known already is not run again, so it has no classes.
    """

    path: Path
    classes: tuple[type, ...] = ()
    problem: str = ""
    digest: bytes = b""


def read_directory(path: Path, known: Collection[bytes] = ()) -> list[Found]:
    """Every `*.py` and every package whose name begins with a letter or a digit, in order.

    `known` are the digests of what runs. Raises Unloadable for the directory itself.
    """
    try:
        _require_safe(path, path.stat())
        files = sorted(file for file in path.iterdir() if file.name[0].isalnum() and _is_meant(file))
    except OSError as error:
        raise Unloadable(f"it cannot be read: {error.strerror}") from error
    return [_read(file, known) for file in files]


def _is_meant(path: Path) -> bool:
    return path.suffix == ".py" or (path / "__init__.py").exists()


def _read(path: Path, known: Collection[bytes]) -> Found:
    try:
        source = _source(path)
        digest = sha256(os.fsencode(path) + b"\0" + source).digest()
        return Found(path, () if digest in known else tuple(_classes(_run(path, source))), digest=digest)
    except Unloadable as problem:
        return Found(path, problem=str(problem))
    except OSError as error:
        return Found(path, problem=f"it cannot be read: {error.strerror}")
    except BaseException as error:  # noqa: BLE001 - what a module holds may fail in any way when it is looked at
        return Found(path, problem=_told(error, path))


def _source(path: Path) -> bytes:
    """What is judged is what is read, whatever somebody puts there meanwhile; a pipe is waited for by nobody."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        _require_safe(path, found)
        if not stat.S_ISREG(found.st_mode):
            raise Unloadable(_NO_FILE)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _require_safe(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in {0, os.geteuid()}:
        raise Unloadable(f"{path} belongs to user {found.st_uid}, so its code is not run; give it to root or to ours")
    if found.st_mode & _FOR_OTHERS:
        raise Unloadable(f"others may write to {path}, so its code is not run; chmod go-w {path}")


def _run(path: Path, source: bytes) -> ModuleType:
    """The module, made anew: what ran before goes on with the one that it has."""
    module = ModuleType(f"{PACKAGE}.{path.stem}")
    module.__file__ = str(path)
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module  # models look here for what their annotations name
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - its purpose
    except BaseException as error:  # foreign code may fail in any way
        if before is not None:
            sys.modules[module.__name__] = before
        raise Unloadable(_told(error, path)) from error
    return module


def _classes(module: ModuleType) -> Iterator[type]:
    found = [
        each
        for name, each in vars(module).items()
        if isinstance(each, type)
        and issubclass(each, (NotificationPlugin, Analyzer))
        and each.__module__ == module.__name__
        and not name.startswith("_")
    ]
    if not found:
        raise Unloadable("there is no class in it that is derived from NotificationPlugin or Analyzer")
    yield from dict.fromkeys(found)  # one of them may have two names


def _told(error: BaseException, path: Path) -> str:
    line = error.lineno if isinstance(error, SyntaxError) else _line(error.__traceback__, path)
    place = f"line {line}: " if line is not None else ""
    said = error.msg if isinstance(error, SyntaxError) else said_by(error)
    return f"{place}{type(error).__name__}: {said}".rstrip(": ")


def said_by(error: BaseException) -> str:
    """Its text, unless that fails, too."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - it is foreign code
        return ""


def _line(trace: TracebackType | None, path: Path) -> int | None:
    """The last line of the file itself that took part."""
    lines = [line for frame, line in traceback.walk_tb(trace) if frame.f_code.co_filename == str(path)]
    return lines[-1] if lines else None
