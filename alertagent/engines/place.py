"""Where the engines keep their things, and the claim that no second process may lay on the same directory.

engines.lock            held for as long as the engines are ours; names the holder's pid
postgres/  valkey/      one private directory per engine
postgres.log            with the run before it in postgres.log.1; valkey.log likewise
postgres.password       the generated password, mode 0600
run/                    the sockets, where the path is short and plain enough for them
binaries/               copies of programs that the engines' user could not reach where they were installed
engines                 a link to where all this is instead, when the engines' user cannot enter the data directory
"""

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from alertagent.engines.account import Account, choose_account
from alertagent.kernel.errors import Fatal

LOCK = "engines.lock"
ELSEWHERE = Path("/var/lib/alertagent-engines")

log = structlog.get_logger()

# The kernel ends a socket's path at 107 bytes, libpq and asyncpg append a name of up to 20 to the directory's.
# Commas separate directories for PostgreSQL and hosts for asyncpg, so only characters without a meaning pass.
_FIT_FOR_SOCKETS = re.compile(r"[A-Za-z0-9/._+-]{1,78}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A claimed data directory. `sockets` is open to `account` (and root) only."""

    data_dir: Path
    account: Account
    sockets: Path

    def home(self, engine: str) -> Path:
        return self.data_dir / engine

    def log(self, engine: str) -> Path:
        return self.data_dir / f"{engine}.log"

    def password(self, engine: str) -> Path:
        return self.data_dir / f"{engine}.password"

    @property
    def binaries(self) -> Path:
        return self.data_dir / "binaries"


@asynccontextmanager
async def claim(data_dir: Path) -> AsyncIterator[Place]:
    """Make `data_dir` where it is missing and hold it.

    Raises Fatal when another process holds it, or when the engines' user can enter neither it nor the place that
    stands in for it.
    """
    data_dir = _open(data_dir)
    with ExitStack() as locks:
        locks.enter_context(_locked(data_dir / LOCK))
        home, account = await _home(data_dir)
        if home != data_dir:
            locks.enter_context(_locked(home / LOCK))
        sockets = _socket_directory(home)
        private_directory(sockets, account)
        try:
            yield Place(data_dir=home, account=account, sockets=sockets)
        finally:
            with suppress(OSError):  # not empty while an engine could not be stopped
                sockets.rmdir()


def private_directory(path: Path, account: Account) -> None:
    """Make `path` a directory that only `account` may enter. One that belongs to anybody else is never taken over."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Fatal(f"{path} is in the way of the embedded engines ({error.strerror}): move it away") from error
    try:
        if os.fstat(descriptor).st_uid not in {account.uid, os.geteuid()}:
            raise Fatal(f"{path} does not belong to {account.name!r}: move it away and start again")
        os.fchown(descriptor, account.uid, account.gid)
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def _open(data_dir: Path) -> Path:
    """The directory under its one real name, because an orphan is known by it."""
    data_dir = data_dir.resolve()
    if not data_dir.is_dir():
        data_dir.mkdir(parents=True)
        data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return data_dir


async def _home(data_dir: Path) -> tuple[Path, Account]:
    """Where the engines' files are, and whom to run the engines as.

    As root the engines' user may be unable to walk to the data directory: it lies in root's home, or in a private
    temporary directory. Opening foreign directories is not for us to do, so a directory below ELSEWHERE holds the
    files then, and a link in the data directory remembers which.
    """
    link = data_dir / "engines"
    home = link.resolve() if link.is_dir() else data_dir
    account = choose_account((home / "postgres", home / "valkey"))
    if home == data_dir and os.geteuid() == 0 and not await account.can_enter(data_dir):
        home = _elsewhere(link)
        log.warning("engines.elsewhere", data_dir=str(data_dir), engines=str(home), closed_to=account.name)
    await account.require_entry(home)
    return home, account


def _elsewhere(link: Path) -> Path:
    home = ELSEWHERE / secrets.token_hex(8)
    home.mkdir(parents=True)
    home.chmod(0o711)
    link.unlink(missing_ok=True)
    link.symlink_to(home)
    return home


def _socket_directory(data_dir: Path) -> Path:
    """The same for the same data directory on every start, or an engine left running could not be found again."""
    inside = data_dir / "run"
    if _FIT_FOR_SOCKETS.fullmatch(str(inside)):
        return inside
    # Not the tempfile module: $TMPDIR may be long, and may be another one at the next start.
    parent = "/run" if os.access("/run", os.W_OK) else "/tmp"  # noqa: S108 - private_directory() refuses a stranger's
    return Path(parent) / f"alertagent-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, path.parent)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode().strip() or "unknown"
        raise Fatal(
            f"the data directory {directory} is in use by another AlertAgent (pid {holder}): "
            "stop that one or choose another data_dir"
        ) from None
