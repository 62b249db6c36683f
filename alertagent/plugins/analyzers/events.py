"""Server-sent events as they come in: pieces of bytes in, events out. Pure.

Source: the HTML standard, "Server-sent events", 9.2.6: an empty line ends an event, and `data` may span several lines.
Of the ends of lines that it allows, a lone CR is not understood. Dify sends a bare `event: ping` to keep a connection
open.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_LINE = 256 * 1024


class TooLong(ValueError):
    """A line without an end."""


@dataclass(slots=True)
class EventReader:
    """Holds what is not a whole line yet."""

    _rest: bytes = b""
    _data: list[str] = field(default_factory=list)
    _name: str = ""

    def feed(self, piece: bytes) -> Iterator[tuple[str, str]]:
        """The events that are whole now: name (`message` where none was given) and data. Raises TooLong."""
        *lines, self._rest = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise TooLong(f"a line of more than {MAX_LINE} bytes")
        for line in lines:
            text = line.decode("utf-8", "replace").removesuffix("\r")
            if text:
                self._take(text)
            elif self._data or self._name:
                yield self._name or "message", "\n".join(self._data)
                self._data, self._name = [], ""

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
