"""The live file and its companions, written so that a kill at any point leaves the old or the new one whole.

Everything lives in one directory, because only there is a rename atomic and do relative paths mean the same to a
checker. The companions are dotfiles that do not end in `.yml`: Prometheus' globs do match dotfiles.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from alertagent.kernel.errors import Fatal
from alertagent.sidecar.bundle import packed, unpacked
from alertagent.sidecar.content import Content, directories_in
from alertagent.sidecar.disk import Writer, disk_failures, read, sync_directory
from alertagent.sidecar.model import Discarded, Locked, State, Unwritable
from alertagent.sidecar.templates import Templates


class LiveFile:
    """The file that the target loads. Every method but `locked` raises Unwritable when the disk refuses."""

    def __init__(self, path: Path) -> None:
        # Renaming onto a symbolic link would replace the link and leave the file behind it as it was.
        self.path = path.resolve()
        self._prefix = f".{self.path.name}.aa-"
        self._state = self._companion("state")
        self._last_good = self._companion("last-good")
        self._writer = Writer(self.path, self._prefix)
        self._templates = Templates(self.path.parent, self._writer)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own the directory until the end. Raises Locked, or Fatal when there is no such directory."""
        descriptor = _open_directory(self.path.parent)
        try:
            _lock(descriptor, self.path.parent)
            yield
        finally:
            os.close(descriptor)

    @disk_failures()
    def sweep(self) -> None:
        """Remove temporary files, and templates that neither the live nor the last good configuration names."""
        self._writer.sweep()
        self.sweep_templates()

    @disk_failures()
    def sweep_templates(self) -> None:
        kept = self._kept()
        named = [directories_in(main) for main in (read(self.path), kept and kept.main) if main]
        self._templates.sweep(frozenset().union(*named))

    @disk_failures()
    def read(self) -> Content | None:
        main = read(self.path)
        return None if main is None else Content(main, self._templates.read(main))

    @disk_failures()
    def changed_at(self) -> datetime | None:
        """When the file that stands there was written."""
        try:
            return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    @contextmanager
    def staged(self, content: Content) -> Iterator[Path]:
        """The templates in their place, and a durable copy of the main file beside the live one.

        All of it is gone afterwards unless the copy was swapped in.
        """
        try:
            with disk_failures():
                self._templates.lay(content.templates)
            with self._writer.temporary("new", content.main) as path:
                yield path
        finally:
            self.sweep_templates()

    @disk_failures()
    def swap(self, staged: Path) -> None:
        staged.replace(self.path)
        sync_directory(self.path.parent)

    @disk_failures()
    def keep(self, content: Content) -> None:
        """Remember this as the last good one. A copy: an edit in place would reach through a hard link."""
        self._writer.replace(self._last_good, packed(content), "last-good")

    @disk_failures()
    def keeps(self, expected: str) -> bool:
        """Whether `restore` could put this content back."""
        kept = self._kept()
        return kept is not None and kept.digest == expected

    @disk_failures()
    def restore(self, expected: str | None) -> None:
        """Put the last good content back, or remove the live file where there never was any."""
        if expected is None:
            self.path.unlink(missing_ok=True)
            sync_directory(self.path.parent)
            return
        kept = self._kept()
        if kept is None or kept.digest != expected:
            raise Unwritable(f"{self._last_good} is missing or damaged: nothing to go back to")
        self._templates.lay(kept.templates)
        self._writer.replace(self.path, kept.main, "restored")

    @disk_failures()
    def load_state(self) -> State:
        """A fresh state where there is none. Raises ValueError for one that cannot be read."""
        data = read(self._state)
        return State() if data is None else State.decode(data)

    @disk_failures()
    def save_state(self, state: State) -> None:
        self._writer.replace(self._state, state.encode(), "state")

    def _kept(self) -> Content | None:
        body = read(self._last_good)
        with suppress(Discarded):
            return None if body is None else unpacked(body)
        return None

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
