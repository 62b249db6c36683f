"""The token as it is now: whoever changes a secret changes the file, and starts nothing anew."""

from contextlib import suppress
from pathlib import Path

from alertagent.kernel.errors import Fatal


class Token:
    """A token that was given, or that a file holds. A file that holds none for a moment changes nothing.

    Raises Fatal where what was given cannot be a token.
    """

    def __init__(self, text: str | None, file: Path | None = None) -> None:
        if text and not _can_be_sent(text):
            raise Fatal("the token must be one line of ASCII: look at its file, or at ALERTAGENT_TOKEN")
        self._text = text
        self._file = file

    def header(self) -> dict[str, str]:
        if self._file is not None:
            with suppress(OSError, UnicodeDecodeError):
                text = self._file.read_text("utf-8").strip()
                self._text = text if text and _can_be_sent(text) else self._text
        return {"Authorization": f"Bearer {self._text}"} if self._text else {}


def _can_be_sent(text: str) -> bool:
    return text.isascii() and text.isprintable()
