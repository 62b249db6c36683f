"""The token as it is now: whoever changes a secret changes the file, and starts nothing anew."""

from contextlib import suppress
from pathlib import Path


class Token:
    """A token that was given, or that a file holds. A file that is away or empty for a moment changes nothing."""

    def __init__(self, text: str | None, file: Path | None = None) -> None:
        self._text = text
        self._file = file

    def header(self) -> dict[str, str]:
        if self._file is not None:
            with suppress(OSError, UnicodeDecodeError):
                self._text = self._file.read_text("utf-8").strip() or self._text
        return {"Authorization": f"Bearer {self._text}"} if self._text else {}
