"""The live file and its companions, written so that a kill at any point leaves the old or the new file whole.

Everything lives in one directory, because only there is a rename atomic and do relative paths mean the same to a
checker. The companions are dotfiles that do not end in `.yml`: Prometheus' globs do match dotfiles. Under the lock
there is one writer, so any temporary file found at the start is a dead one's, whatever its process id says.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alertagent.kernel.errors import Fatal
from alertagent.sidecar.model import Locked, State, Unwritable, digest

_NEW_FILE_MODE = 0o644  # the target usually runs as another user


@contextmanager
def _disk_failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritable(f"{error.filename or 'disk'}: {error.strerror}") from error


class LiveFile:
    """The file that the target loads. Every method but `locked` raises Unwritable when the disk refuses."""

    def __init__(self, path: Path) -> None:
        # Renaming onto a symbolic link would replace the link and leave the file behind it as it was.
        self.path = path.resolve()
        self._prefix = f".{self.path.name}.aa-"
        self._state = self._companion("state")
        self._last_good = self._companion("last-good")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own the directory until the end. Raises Locked, or Fatal when there is no such directory."""
        descriptor = _open_directory(self.path.parent)
        try:
            _lock(descriptor, self.path.parent)
            yield
        finally:
            os.close(descriptor)

    @_disk_failures()
    def sweep(self) -> None:
        """Remove what a killed predecessor left behind."""
        for path in self.path.parent.iterdir():
            if path.name.startswith(self._prefix) and path.suffix == ".tmp":
                path.unlink()

    @_disk_failures()
    def read(self) -> bytes | None:
        return _read(self.path)

    def hash(self) -> str | None:
        body = self.read()
        return None if body is None else digest(body)

    @contextmanager
    def staged(self, body: bytes) -> Iterator[Path]:
        """A durable copy beside the live file, gone afterwards unless it was swapped in."""
        with self._temporary("new", body) as path:
            yield path

    @_disk_failures()
    def swap(self, staged: Path) -> None:
        staged.replace(self.path)
        self._sync_directory()

    @_disk_failures()
    def keep(self, body: bytes) -> None:
        """Remember this as the last good one. A copy: an edit in place would reach through a hard link."""
        self._replace(self._last_good, body)

    @_disk_failures()
    def restore(self, expected: str | None) -> None:
        """Put the last good file back, or remove the live one where there never was any."""
        if expected is None:
            self.path.unlink(missing_ok=True)
            self._sync_directory()
            return
        body = _read(self._last_good)
        if body is None or digest(body) != expected:
            raise Unwritable(f"{self._last_good} is missing or damaged: nothing to go back to")
        self._replace(self.path, body)

    @_disk_failures()
    def load_state(self) -> State:
        """A fresh state where there is none. Raises ValueError for one that cannot be read."""
        data = _read(self._state)
        return State() if data is None else State.decode(data)

    @_disk_failures()
    def save_state(self, state: State) -> None:
        self._replace(self._state, state.encode())

    def _replace(self, path: Path, body: bytes) -> None:
        with self._temporary(path.name.removeprefix(self._prefix), body) as temporary:
            temporary.replace(path)
            self._sync_directory()

    @contextmanager
    def _temporary(self, purpose: str, body: bytes) -> Iterator[Path]:
        path = self._companion(f"{os.getpid()}-{purpose}.tmp")
        try:
            self._write(path, body)
            yield path
        finally:
            with _disk_failures():
                path.unlink(missing_ok=True)

    @_disk_failures()
    def _write(self, path: Path, body: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            self._dress(descriptor)
            file.write(body)
            file.flush()
            os.fsync(descriptor)

    def _dress(self, descriptor: int) -> None:
        """Give a new file the owner and mode of the live one, so that the target can still read it."""
        try:
            like = self.path.stat()
        except FileNotFoundError:
            os.fchmod(descriptor, _NEW_FILE_MODE)
            return
        mine = os.fstat(descriptor)
        if (like.st_uid, like.st_gid) != (mine.st_uid, mine.st_gid):
            # Only root may give files away; for everyone else the mode must do.
            with suppress(PermissionError):
                os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, like.st_mode & 0o7777)

    def _sync_directory(self) -> None:
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _companion(self, suffix: str) -> Path:
        return self.path.with_name(self._prefix + suffix)


def _open_directory(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Fatal(f"cannot use the directory {path} for the configuration: {error.strerror}") from error


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Locked(f"another sidecar already owns {path}; stop it first") from error


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
