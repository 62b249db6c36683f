"""YAML as a tree of texts, safe for any input. Pure.

The tree is built from the parser's events: PyYAML's composer recurses, and its C version takes the process down on a
deeply nested document. Scalars stay texts. An alias is the node that it names, so nothing can be blown up by them.
"""

from typing import Any, TypeAlias

import yaml

Tree: TypeAlias = dict[str, "Tree"] | list["Tree"] | str

MAX_DEPTH = 64
MAX_NODES = 1_000_000

_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"
# libyaml reads ahead, and newer ones have a limit of their own, far beyond ours.
_TOO_DEEP = "exceeded maximum nesting depth"

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Malformed(ValueError):
    """Not one YAML document of bearable size."""


def parsed(text: bytes) -> Tree:
    """The one document in this text. Raises Malformed."""
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Malformed(_words(error)) from error
    if builder.root is None:
        raise Malformed("it is empty")
    return builder.root


class _Builder:
    def __init__(self) -> None:
        self.root: Tree | None = None
        self._open: list[tuple[Tree, list[Tree]]] = []
        self._anchors: dict[str, Tree] = {}
        self._nodes = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self._add(event.value, event.anchor)
            case yaml.AliasEvent():
                self._add(self._named(event), None)
            case yaml.MappingStartEvent():
                self._enter({}, event.anchor)
            case yaml.SequenceStartEvent():
                self._enter([], event.anchor)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._leave()
            case yaml.DocumentStartEvent() if self.root is not None:
                raise Malformed(f"{_place(event)}a second document begins; targets read one only")

    def _named(self, event: yaml.AliasEvent) -> Tree:
        if event.anchor not in self._anchors:
            raise Malformed(f"{_place(event)}*{event.anchor} names nothing")
        return self._anchors[event.anchor]

    def _enter(self, node: Tree, anchor: str | None) -> None:
        self._add(node, anchor)
        if len(self._open) == MAX_DEPTH:
            raise Malformed(_DEEP)
        self._open.append((node, []))

    def _leave(self) -> None:
        node, members = self._open.pop()
        if isinstance(node, list):
            node.extend(members)
        elif isinstance(node, dict):
            keys = (key if isinstance(key, str) else repr(type(key)) for key in members[::2])
            node.update(zip(keys, members[1::2], strict=True))

    def _add(self, node: Tree, anchor: str | None) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise Malformed(f"it has more than {MAX_NODES} parts")
        if anchor is not None:
            self._anchors[anchor] = node
        if self._open:
            self._open[-1][1].append(node)
        else:
            self.root = node


def _place(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}: " if event.start_mark else ""


def _words(error: Exception) -> str:
    """One line, with the place where there is one. The text around it may hold secrets and is left out."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        problem = _DEEP if error.problem == _TOO_DEEP else error.problem
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    return " ".join(str(error).split())[:200]
