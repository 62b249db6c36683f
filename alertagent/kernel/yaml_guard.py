"""YAML that strangers wrote, as a tree of texts that knows where everything stands.

The parser's events are counted as they come, and nothing is built past a limit. Loaders compose by recursion,
which overflows the stack of the whole process, and a few aliases of aliases stand for billions of nodes.

Scalars stay texts: whether `on` is a word or a truth is for the reader to say who knows what is wanted there.
Anchors, aliases and merge keys (`<<`) are resolved; duplicate keys, foreign tags and a second document are refused,
since the readers of this tree would silently lose what others see.
"""

from collections.abc import Iterator
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


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text. `is_plain`: it stands without quotes and without a tag, so that it may mean a number or a truth."""

    start: Mark
    end: Mark
    value: str
    is_plain: bool

    @property
    def is_null(self) -> bool:
        return self.is_plain and self.value in _NULLS


@dataclass(frozen=True, slots=True)
class Sequence:
    start: Mark
    end: Mark
    items: tuple["Node", ...]


class Entry(NamedTuple):
    """A key and its value."""

    key: Scalar
    value: "Node"


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys in the order in which they stand; those that were merged in come last."""

    start: Mark
    end: Mark
    entries: AbstractMapping[str, Entry]


Node: TypeAlias = Scalar | Sequence | Mapping


class Plain(str):
    """A text that stood without quotes."""

    __slots__ = ()


def load(text: str, limits: Limits | None = None) -> Node:
    """The one document of this text. Raises BadYaml."""
    return _Builder(text, limits or Limits()).document()


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
    """A collection whose end has not come yet. `size` and `height` are what an alias to it would add."""

    start: Mark
    anchor: str | None
    is_mapping: bool
    children: list[Node]
    size: int = 1
    height: int = 1


class _Anchored(NamedTuple):
    node: Node
    size: int
    height: int


class _Builder:
    """Builds the tree with a stack of its own."""

    def __init__(self, text: str, limits: Limits) -> None:
        self._text = text
        self._limits = limits
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0
        self._aliases = 0
        self._root: Node | None = None

    def document(self) -> Node:
        self._check_text()
        for event in self._events():
            self._take(event)
        if self._root is None:
            raise BadYaml("the document is empty", Mark(1, 1, 0))
        return self._root

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

    def _events(self) -> Iterator[events.Event]:
        try:
            yield from yaml.parse(self._text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            found = error.problem_mark or error.context_mark
            mark = Mark(found.line + 1, found.column + 1, found.index) if found else Mark(1, 1, 0)
            raise BadYaml(error.problem or error.context or "not YAML", mark) from error
        except yaml.reader.ReaderError as error:
            position = error.position if isinstance(error.position, int) else 0
            raise BadYaml(error.reason, self._at_byte(position)) from error

    def _take(self, event: events.Event) -> None:
        start = _mark(event.start_mark)
        if isinstance(event, events.DocumentStartEvent):
            if self._root is not None:
                raise BadYaml("a second document begins here; only one is read", start)
        elif isinstance(event, events.AliasEvent):
            self._alias(event.anchor, start)
        elif isinstance(event, events.ScalarEvent):
            self._scalar(event, start)
        elif isinstance(event, events.CollectionStartEvent):
            self._open(event, start)
        elif isinstance(event, events.CollectionEndEvent):
            self._close(_mark(event.end_mark))

    def _scalar(self, event: events.ScalarEvent, start: Mark) -> None:
        self._check_tag(event.tag, start)
        if "\x00" in event.value:
            raise BadYaml("the character U+0000 cannot be kept", start)
        node = Scalar(start, _mark(event.end_mark), event.value, is_plain=event.implicit[0])
        self._add(node, 1, 0)
        self._name(event.anchor, node, 1, 0)

    def _alias(self, name: str | None, start: Mark) -> None:
        self._aliases += 1
        if self._aliases > self._limits.aliases:
            raise BadYaml(f"more than {self._limits.aliases} aliases", start)
        found = self._anchors.get(name or "")
        if found is None:
            raise BadYaml(f'no anchor "{name}" stands before this alias, or it would contain itself', start)
        self._add(found.node, found.size, found.height, start)

    def _open(self, event: events.CollectionStartEvent, start: Mark) -> None:
        self._check_tag(event.tag, start)
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)
        is_mapping = isinstance(event, events.MappingStartEvent)
        self._stack.append(_Open(start, event.anchor, is_mapping, []))
        if len(self._stack) > self._limits.depth:
            raise BadYaml(f"nested more than {self._limits.depth} deep", start)

    def _close(self, end: Mark) -> None:
        done = self._stack.pop()
        node: Node = (
            Mapping(done.start, end, _entries(done.children))
            if done.is_mapping
            else Sequence(done.start, end, tuple(done.children))
        )
        self._add(node, done.size, done.height, counted=done.size - 1)
        self._name(done.anchor, node, done.size, done.height)

    def _add(self, node: Node, size: int, height: int, at: Mark | None = None, *, counted: int = 0) -> None:
        """Put a finished node where it belongs. `counted` is how much of its size has been counted before."""
        self._nodes += size - counted
        if self._nodes > self._limits.nodes:
            raise BadYaml(f"more than {self._limits.nodes} values", at or node.start)
        if len(self._stack) + height > self._limits.depth:
            raise BadYaml(f"nested more than {self._limits.depth} deep", at or node.start)
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        parent.children.append(node)
        parent.size += size
        parent.height = max(parent.height, height + 1)

    def _name(self, anchor: str | None, node: Node, size: int, height: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = _Anchored(node, size, height)

    def _check_tag(self, tag: str | None, start: Mark) -> None:
        if tag is not None and tag not in _TAGS:
            raise BadYaml(f"the tag {tag[:80]} means nothing here", start)

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
