"""What stands in a YAML text beside its tree: comments, and the places inside a scalar. Pure."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from alertagent.kernel.yaml_guard import Mapping, Node, Scalar

_REST_OF_LINE = re.compile(r"[^\r\n\x85\u2028\u2029]*")
_BEFORE_COMMENTS = frozenset(" \t\r\n\x85\u2028\u2029")
_BLOCK_HEADER = re.compile(r"(?:[&!]\S*[ \t]+)*([|>])[-+0-9]*(?=[ \t\r\n]|$)")


class Comment(NamedTuple):
    """One comment without its sign. Line and column count from 1."""

    line: int
    column: int
    text: str


def comments(text: str, documents: Iterable[Node]) -> Iterator[Comment]:
    """The comments of a text, in order, given the trees that were read from it."""
    signs = list(_signs(text))
    if not signs:
        return
    spans = sorted({_span(text, scalar) for scalar in scalars(documents) if "#" in scalar.value})
    starts = [start for start, _ in spans]
    line, counted, end = 1, 0, 0
    for offset in signs:
        index = bisect_right(starts, offset) - 1
        if offset < end or (index >= 0 and offset < spans[index][1]):
            continue
        line += text.count("\n", counted, offset)
        rest = _REST_OF_LINE.match(text, offset + 1)
        counted, end = offset, rest.end() if rest else offset
        yield Comment(line, offset - text.rfind("\n", 0, offset), text[offset + 1 : end].removeprefix(" ").rstrip())


def _signs(text: str) -> Iterator[int]:
    """Where a comment may begin: at the start of a line, or after a space. In scalars a # there is only text."""
    offset = text.find("#")
    while offset >= 0:
        if offset == 0 or text[offset - 1] in _BEFORE_COMMENTS:
            yield offset
        offset = text.find("#", offset + 1)


def scalars(nodes: Iterable[Node]) -> list[Scalar]:
    """Every text below these nodes, keys included, in no order."""
    found: list[Scalar] = []
    waiting = list(nodes)
    while waiting:
        each = waiting.pop()
        if isinstance(each, Scalar):
            found.append(each)
        elif isinstance(each, Mapping):
            for entry in each.entries.values():
                waiting += entry
        else:
            waiting += each.items
    return found


def last_line(node: Node) -> int:
    """The last line on which something of this node stands. A block ends where the next line begins."""
    return max((_last_line(scalar) for scalar in scalars([node])), default=node.start.line)


def _last_line(scalar: Scalar) -> int:
    start, end = scalar.start, scalar.end
    return end.line - 1 if end.column == 1 and end.line > start.line else end.line


def _span(text: str, scalar: Scalar) -> tuple[int, int]:
    """Where the content of a scalar stands; the first line of a block may carry a comment."""
    start, end = scalar.start.offset, scalar.end.offset
    header = _BLOCK_HEADER.match(text, start, end)
    if header is not None:
        line_end = text.find("\n", start, end)
        start = line_end if line_end >= 0 else end
    return start, end


def place_inside(text: str, scalar: Scalar, line: int, column: int) -> tuple[int, int] | None:
    """The line and column of the file at which those of a scalar's value stand; None where it is written otherwise."""
    start = scalar.start
    raw = text[start.offset : scalar.end.offset]
    header = _BLOCK_HEADER.match(raw)
    if header is not None and header[1] == "|":
        written = raw.split("\n")[line : line + 1]
        content = scalar.value.split("\n")[line - 1]
        if not written or not written[0].rstrip("\r").endswith(content):
            return None
        return start.line + line, len(written[0].rstrip("\r")) - len(content) + column
    if line == 1 and scalar.value in {raw, raw[1:-1]}:
        return start.line, start.column + column - (raw == scalar.value)
    return None
