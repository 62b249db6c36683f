"""Directories for engines. Run by root, pytest keeps its tmp_path where their user could not reach it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_directory() -> Iterator[Path]:
    """A fresh directory that other users may walk through, gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="alertagent-test-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path)
