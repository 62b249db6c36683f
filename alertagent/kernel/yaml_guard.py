"""YAML that strangers wrote, as a tree of texts that knows where everything stands.

The parser's events are counted as they come, and nothing is built past a limit. Loaders compose by recursion,
which overflows the stack of the whole process, and a few aliases of aliases stand for billions of nodes.

Scalars stay texts: whether `on` is a word or a truth is for the reader to say who knows what is wanted there.
Anchors, aliases and merge keys (`<<`) are resolved; duplicate keys, foreign tags and a second document are refused,
since the readers of this tree would silently lose what others see.
"""

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import yaml
from yaml import events

from alertagent.kernel.errors import Detail

_CORE = "tag:yaml.org,2002:"
_TAGS = frozenset(_CORE + name for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_MERGE = "<<"

# The one in C: Prometheus and Alertmanager read with a port of it, and it is twenty times faster.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# libyaml reads ahead, and newer ones have a limit of their own, far beyond ours.
_TOO_DEEP = "exceeded maximum nesting depth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one text may hold. `nodes` counts an alias as all that it stands for."""

    size: int = 1024 * 1024
    depth: int = 64
    nodes: int = 100_000
    aliases: int = 100


class BadYaml(ValueError):
    """The text is not one YAML document within the limits. `detail` has the line and the column."""

    def __init__(self, message: str, mark: "Mark") -> None:
        super().__init__(f"line {mark.line}, column {mark.column}: {message}")
        self.detail = Detail((), message, line=mark.line, column=mark.column)


class Mark(NamedTuple):
    """A place: line and column count from 1, `offset` counts characters from 0."""

    line: int
    column: int
    offset: int


class _Placed:
    """Keeps its places as bare numbers: they are asked for where something is wrong, which is hardly ever."""

    __slots__ = ("_column", "_end_column", "_end_line", "_end_offset", "_line", "_offset")

    def __init__(self, start: Any, end: Any) -> None:
        self._line: int = start.line
        self._column: int = start.column
        self._offset: int = start.index
        self._end_line: int = end.line
        self._end_column: int = end.column
        self._end_offset: int = end.index

    @property
    def start(self) -> Mark:
        return Mark(self._line + 1, self._column + 1, self._offset)

    @property
    def end(self) -> Mark:
        return Mark(self._end_line + 1, self._end_column + 1, self._end_offset)


class Scalar(_Placed):
    """A text. `is_plain`: it stands without quotes and without a tag, so that it may mean a number or a truth."""

    __slots__ = ("is_plain", "value")

    def __init__(self, start: Any, end: Any, value: str, *, is_plain: bool) -> None:
        super().__init__(start, end)
        self.value = value
        self.is_plain = is_plain

    @property
    def is_null(self) -> bool:
        return self.is_plain and self.value in _NULLS


class Sequence(_Placed):
    __slots__ = ("items",)

    def __init__(self, start: Any, end: Any, items: tuple["Node", ...]) -> None:
        super().__init__(start, end)
        self.items = items


class Entry(NamedTuple):
    """A key and its value."""

    key: Scalar
    value: "Node"


class Mapping(_Placed):
    """Keys in the order in which they stand; those that were merged in come last."""

    __slots__ = ("entries",)

    def __init__(self, start: Any, end: Any, entries: AbstractMapping[str, Entry]) -> None:
        super().__init__(start, end)
        self.entries = entries


Node: TypeAlias = Scalar | Sequence | Mapping


class Plain(str):
    """A text that stood without quotes."""

    __slots__ = ()


def load(text: str, limits: Limits | None = None) -> Node:
    """The one document of this text. Raises BadYaml."""
    documents = _Builder(text, limits or Limits()).documents(most=1)
    if not documents:
        raise BadYaml("the document is empty", Mark(1, 1, 0))
    return documents[0]


def load_all(text: str, limits: Limits | None = None) -> list[Node]:
    """Every document of this text; the limits are for all of them together. Raises BadYaml."""
    return _Builder(text, limits or Limits()).documents(most=None)


def data(node: Node) -> Any:
    """The tree as dicts, lists, texts (`Plain` where they were not quoted) and None."""
    if isinstance(node, Mapping):
        return {name: data(entry.value) for name, entry in node.entries.items()}
    if isinstance(node, Sequence):
        return [data(item) for item in node.items]
    if node.is_null:
        return None
    return Plain(node.value) if node.is_plain else node.value


def find(node: Node, loc: tuple[str | int, ...]) -> Node | None:
    """The node at a path such as `("groups", 0, "name")`."""
    for step in loc:
        found = _child(node, step)
        if found is None:
            return None
        node = found
    return node


def place(node: Node, loc: tuple[str | int, ...]) -> Mark:
    """Where to look for what is wrong at a path: the deepest part of it that exists.

    A value that is a mapping or a list is shown by its key, because that is what a person reads first.
    """
    mark = node.start
    for step in loc:
        found = _child(node, step)
        if found is None:
            break
        is_named = isinstance(node, Mapping) and not isinstance(found, Scalar)
        mark = node.entries[str(step)].key.start if isinstance(node, Mapping) and is_named else found.start
        node = found
    return mark


def key_place(node: Node, loc: tuple[str | int, ...]) -> Mark:
    """Where the key at the end of a path stands, for a field that should not be there at all."""
    parent = find(node, loc[:-1])
    if isinstance(parent, Mapping) and (entry := parent.entries.get(str(loc[-1]))) is not None:
        return entry.key.start
    return place(node, loc)


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node, Mapping):
        entry = node.entries.get(str(step))
        return entry.value if entry is not None else None
    if isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet. `before` counts the nodes that came before it."""

    start: Any
    anchor: str | None
    is_mapping: bool
    before: int
    children: list[Node]
    height: int = 1


class _Anchored(NamedTuple):
    """What an alias stands for, with what it would add to the count and to the depth."""

    node: Node
    size: int
    height: int


class _Builder:
    """Builds the trees with a stack of its own."""

    def __init__(self, text: str, limits: Limits) -> None:
        self._text = text
        self._limits = limits
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0
        self._aliases = 0
        self._roots: list[Node] = []

    def documents(self, *, most: int | None) -> list[Node]:
        self._check_text()
        try:
            self._read(most)
        except yaml.MarkedYAMLError as error:
            found = error.problem_mark or error.context_mark
            problem = error.problem or error.context or "not YAML"
            if problem == _TOO_DEEP:
                problem = f"nested more than {self._limits.depth} deep"
            raise BadYaml(problem, _mark(found) if found else Mark(1, 1, 0)) from error
        except yaml.reader.ReaderError as error:
            position = error.position if isinstance(error.position, int) else 0
            raise BadYaml(error.reason, self._at_byte(position)) from error
        return self._roots

    def _check_text(self) -> None:
        try:
            size = len(self._text.encode())
        except UnicodeEncodeError as error:
            raise BadYaml(
                "a character that is no character: half of a surrogate pair", self._at(error.start)
            ) from error
        if size > self._limits.size:
            raise BadYaml(f"the text has {size} bytes; at most {self._limits.size} are read", Mark(1, 1, 0))
        if self._text.startswith("\ufeff"):
            raise BadYaml("the text begins with a byte order mark; save it as UTF-8 without one", Mark(1, 1, 0))

    def _read(self, most: int | None) -> None:
        parser = _LOADER(self._text)
        try:
            for event in iter(parser.get_event, None):
                kind = type(event)
                if kind is events.ScalarEvent:
                    self._scalar(event)
                elif kind is events.MappingStartEvent or kind is events.SequenceStartEvent:
                    self._open(event)
                elif kind is events.MappingEndEvent or kind is events.SequenceEndEvent:
                    self._close(event.end_mark)
                elif kind is events.AliasEvent:
                    self._alias(event.anchor, event.start_mark)
                elif kind is events.DocumentStartEvent:
                    self._anchors.clear()
                    if len(self._roots) == most:
                        raise BadYaml("a second document begins here; only one is read", _mark(event.start_mark))
        finally:
            parser.dispose()

    def _scalar(self, event: events.ScalarEvent) -> None:
        value = event.value
        if event.tag is not None:
            self._check_tag(event.tag, event.start_mark)
        if "\x00" in value:
            raise BadYaml("the character U+0000 cannot be kept", _mark(event.start_mark))
        node = Scalar(event.start_mark, event.end_mark, value, is_plain=event.implicit[0])
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            self._count(0, event.start_mark)
        if self._stack:
            self._stack[-1].children.append(node)
        else:
            self._roots.append(node)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(node, 1, 0)

    def _alias(self, name: str | None, start: Any) -> None:
        self._aliases += 1
        if self._aliases > self._limits.aliases:
            raise BadYaml(f"more than {self._limits.aliases} aliases", _mark(start))
        found = self._anchors.get(name or "")
        if found is None:
            raise BadYaml(f'no anchor "{name}" stands before this alias, or it would contain itself', _mark(start))
        self._count(found.size, start)
        if len(self._stack) + found.height > self._limits.depth:
            raise BadYaml(f"nested more than {self._limits.depth} deep", _mark(start))
        self._add(found.node, found.height)

    def _open(self, event: events.CollectionStartEvent) -> None:
        self._check_tag(event.tag, event.start_mark)
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)
        is_mapping = isinstance(event, events.MappingStartEvent)
        self._stack.append(_Open(event.start_mark, event.anchor, is_mapping, self._nodes, []))
        if len(self._stack) > self._limits.depth:
            raise BadYaml(f"nested more than {self._limits.depth} deep", _mark(event.start_mark))

    def _close(self, end: Any) -> None:
        done = self._stack.pop()
        node: Node = (
            Mapping(done.start, end, _entries(done.children))
            if done.is_mapping
            else Sequence(done.start, end, tuple(done.children))
        )
        self._count(1, done.start)
        self._add(node, done.height)
        if done.anchor is not None:
            self._anchors[done.anchor] = _Anchored(node, self._nodes - done.before, done.height)

    def _count(self, nodes: int, at: Any) -> None:
        self._nodes += nodes
        if self._nodes > self._limits.nodes:
            raise BadYaml(f"more than {self._limits.nodes} values", _mark(at))

    def _add(self, node: Node, height: int) -> None:
        """Put a finished node where it belongs."""
        if not self._stack:
            self._roots.append(node)
            return
        parent = self._stack[-1]
        parent.children.append(node)
        parent.height = max(parent.height, height + 1)

    def _check_tag(self, tag: str | None, start: Any) -> None:
        if tag is not None and tag not in _TAGS:
            raise BadYaml(f"the tag {tag[:80]} means nothing here", _mark(start))

    def _at(self, offset: int) -> Mark:
        before = self._text[:offset]
        return Mark(before.count("\n") + 1, offset - before.rfind("\n"), offset)

    def _at_byte(self, position: int) -> Mark:
        return self._at(len(self._text.encode()[:position].decode(errors="ignore")))


def _entries(children: list[Node]) -> dict[str, Entry]:
    """The keys of a mapping; its own win over those that it merges in, and the first merged over the next."""
    entries: dict[str, Entry] = {}
    merged: list[Node] = []
    for key, value in zip(children[::2], children[1::2], strict=True):
        if not isinstance(key, Scalar):
            raise BadYaml("a key must be a text", key.start)
        if key.is_plain and key.value == _MERGE:
            merged += value.items if isinstance(value, Sequence) else [value]
        elif key.value in entries:
            raise BadYaml(f'"{key.value[:80]}" stands here a second time', key.start)
        else:
            entries[key.value] = Entry(key, value)
    for source in merged:
        if not isinstance(source, Mapping):
            raise BadYaml("only a mapping can be merged in", source.start)
        entries |= {name: entry for name, entry in source.entries.items() if name not in entries}
    return entries


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1, mark.index)
