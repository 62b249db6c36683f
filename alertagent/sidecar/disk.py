"""Durable writes: whoever reads a file finds the old or the new one whole, and a power cut takes nothing back."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alertagent.sidecar.model import Unwritable

_NEW_FILE_MODE = 0o644  # the target usually runs as another user
_NEW_DIRECTORY_MODE = 0o755


@contextmanager
def disk_failures(path: Path | None = None) -> Iterator[None]:
    """Turns every OSError into Unwritable. A full disk does not say whom it has no room for: `path` does."""
    try:
        yield
    except OSError as error:
        raise Unwritable(f"{error.filename or path or 'disk'}: {error.strerror}") from error


def read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Writer:
    """Writes files beside and below one model file, which lends them its owner and mode so that the target can read.

    Temporary files lie beside the model, even for files further down: there no glob of a target picks them up, and
    one sweep finds them all.
    """

    def __init__(self, model: Path, prefix: str) -> None:
        self._model = model
        self._prefix = prefix

    @contextmanager
    def temporary(self, purpose: str, body: bytes) -> Iterator[Path]:
        """A durable file, gone afterwards unless it was renamed."""
        path = self._model.with_name(f"{self._prefix}{os.getpid()}-{purpose}.tmp")
        try:
            with disk_failures(path):
                self._write(path, body)
            yield path
        finally:
            with disk_failures():
                path.unlink(missing_ok=True)

    def replace(self, path: Path, body: bytes, purpose: str) -> None:
        with self.temporary(purpose, body) as temporary:
            temporary.replace(path)
            sync_directory(path.parent)

    def make_directory(self, path: Path) -> None:
        """Raises Unwritable where something else has the name: behind a link anybody's files could lie."""
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise Unwritable(f"{path} is in the way: it must be a directory of AlertAgent's own; move it")
        if not path.exists():
            path.mkdir()
            path.chmod(_NEW_DIRECTORY_MODE)
            sync_directory(path.parent)

    @disk_failures()
    def sweep(self) -> None:
        """Remove what a killed predecessor left behind. Under the lock there is one writer, so none of it is in use."""
        for path in self._model.parent.iterdir():
            if path.name.startswith(self._prefix) and path.suffix == ".tmp":
                path.unlink()

    def _write(self, path: Path, body: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            self._give_away(descriptor)
            os.fchmod(descriptor, self._mode())
            file.write(body)
            file.flush()
            os.fsync(descriptor)

    def _mode(self) -> int:
        try:
            return self._model.stat().st_mode & 0o7777
        except FileNotFoundError:
            return _NEW_FILE_MODE

    def _give_away(self, descriptor: int) -> None:
        try:
            like = self._model.stat()
        except FileNotFoundError:
            return
        mine = os.fstat(descriptor)
        if (like.st_uid, like.st_gid) != (mine.st_uid, mine.st_gid):
            # Only root may give files away; for everyone else the mode must do.
            with suppress(PermissionError):
                os.fchown(descriptor, like.st_uid, like.st_gid)


def remove(path: Path) -> None:
    """Whatever it is; a link, not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
