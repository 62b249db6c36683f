"""Whom the engines run as: ourselves, or, as PostgreSQL refuses to be root, an unprivileged user of the machine."""

import asyncio
import os
import pwd
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from alertagent.kernel.errors import Fatal

CANDIDATES = ("alertagent", "postgres", "nobody")

# PGPORT, PGDATA, PGOPTIONS and their kin would reach into a server that is ours alone. TZ spares initdb its search
# through every time zone of the machine.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user that programs can be run as."""

    name: str
    uid: int
    gid: int

    @property
    def identity(self) -> _Identity:
        """The arguments by which `subprocess` becomes this user; none when it already is."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    async def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program that ends within moments. Raises OSError when this user cannot execute it."""
        return await asyncio.to_thread(self._run, command)

    def _run(self, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the command is ours
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env=ENVIRONMENT,
            **self.identity,
        )

    async def require_entry(self, directory: Path) -> None:
        """Raise Fatal, naming the closed door, unless this user can walk to `directory`."""
        if await self.can_enter(directory):
            return
        for path in (*reversed(directory.parents), directory):
            if not await self.can_enter(path):
                raise Fatal(
                    f"the embedded engines run as {self.name!r}, not as root, and {self.name!r} cannot enter {path}: "
                    f"choose another data_dir, such as /var/lib/alertagent, or allow it with `chmod o+x {path}`"
                )

    async def can_enter(self, directory: Path) -> bool:
        """Whether this user can walk to `directory`."""
        # Asking the kernel instead of reading mode bits: access lists and mounts have a say, too.
        return (await self.run("/bin/sh", "-c", 'cd -- "$0"', str(directory))).returncode == 0


def choose_account(homes: Iterable[Path]) -> Account:
    """Ourselves; for root the user that already owns one of the engines' `homes`, else the first of CANDIDATES."""
    if os.geteuid() != 0:
        return _account(os.geteuid())
    for home in homes:
        if home.is_dir() and (owner := home.stat().st_uid) != 0:
            return _account(owner)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise Fatal(
        "PostgreSQL does not run as root and this machine has no user alertagent, postgres or nobody: "
        "create one with `useradd --system alertagent`, or set database.url and redis.url"
    )


def _account(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:  # containers run as numbers without a name
        return Account(name=str(uid), uid=uid, gid=os.getegid() if uid == os.geteuid() else uid)
    return Account(name=entry.pw_name, uid=uid, gid=entry.pw_gid)
