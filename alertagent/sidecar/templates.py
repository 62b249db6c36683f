"""The template directories beside a live file: read, laid, swept.

A directory is written before the configuration that names it is put in place, and never changed while one names it,
except to put right what somebody else changed in it. So no kill can leave a configuration with the wrong templates.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from alertagent.sidecar.content import TEMPLATES, directories_in
from alertagent.sidecar.disk import Writer, read, remove, sync_directory

_OURS = re.compile(r"[0-9a-f]{16}")


class Templates:
    """Those of one live file. Its methods raise OSError or Unwritable."""

    def __init__(self, home: Path, writer: Writer) -> None:
        self._home = home
        self._root = home / TEMPLATES
        self._writer = writer

    def read(self, main: bytes) -> dict[str, bytes]:
        """Everything in the directories that a configuration names: what was added there would be loaded as well."""
        return {
            f"{directory}/{path.name}": (path.read_bytes() if path.is_file() else b"")
            for directory in directories_in(main)
            for path in _entries(self._home / directory)
        }

    def lay(self, templates: Mapping[str, bytes]) -> None:
        """Make the directories that are named in these paths hold exactly these files."""
        for directory in sorted({str(PurePosixPath(path).parent) for path in templates}):
            self._writer.make_directory(self._root)
            self._writer.make_directory(self._home / directory)
            for entry in _entries(self._home / directory):
                if f"{directory}/{entry.name}" not in templates or not entry.is_file() or entry.is_symlink():
                    remove(entry)
        for path, body in sorted(templates.items()):
            if read(self._home / path) != body:
                self._writer.replace(self._home / path, body, "template")

    def sweep(self, named: Collection[str]) -> None:
        """Remove the directories that no configuration names any more; what is not ours stays."""
        gone = [path for path in _entries(self._root) if _is_ours(path) and f"{TEMPLATES}/{path.name}" not in named]
        for path in gone:
            remove(path)
        if gone:
            sync_directory(self._root)


def _is_ours(path: Path) -> bool:
    return bool(_OURS.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()


def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []
