"""Walks a configuration's text and its schema side by side: which field stands where. Pure."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from alertagent.core.alertmanager.document import Document
from alertagent.core.alertmanager.fields import Confidential, Section, Since
from alertagent.kernel.yaml_guard import Mapping, Node, Scalar, Sequence

# A password inside a URL.
_USER_INFO = re.compile(r"://[^/@\s]*:[^/@\s]+@")

Loc = tuple[str | int, ...]


class Traits(NamedTuple):
    """What the schema says of a field: its section where it is one, and its marks."""

    section: type[Section] | None
    since: str | None
    is_confidential: bool


class Place(NamedTuple):
    """A known field as it stands in the text."""

    loc: Loc
    node: Node
    traits: Traits


def walk(node: Node, section: type[Section] = Document, loc: Loc = ()) -> Iterator[Place]:
    """Every known field, outer before inner; what the schema does not know is passed over."""
    if not isinstance(node, Mapping):
        return
    traits = traits_of(section)
    for key, entry in node.entries.items():
        if (known := traits.get(key)) is None:
            continue
        yield Place((*loc, key), entry.value, known)
        if known.section is not None:
            for inner_loc, inner in _sections(entry.value, known.section, (*loc, key)):
                yield from walk(inner, known.section, inner_loc)


def secrets(root: Node) -> list[tuple[Loc, Scalar]]:
    """Every value that nobody may read back, each place in the text once."""
    found: dict[int, tuple[Loc, Scalar]] = {}
    for place in walk(root):
        for loc, scalar in _scalars(place.node, place.loc):
            if scalar.value and (place.traits.is_confidential or _USER_INFO.search(scalar.value)):
                found.setdefault(scalar.start.offset, (loc, scalar))
    return [found[offset] for offset in sorted(found)]


def section_at(loc: Loc, root: type[Section] = Document) -> type[Section] | None:
    """The kind of section at a path, whether anything is there or not."""
    section: type[Section] | None = root
    for step in loc:
        if section is not None and isinstance(step, str):
            known = traits_of(section).get(step)
            section = known.section if known is not None else None
    return section


@cache
def traits_of(section: type[Section]) -> dict[str, Traits]:
    return {field.alias or name: _traits(field) for name, field in section.model_fields.items()}


def _traits(field: FieldInfo) -> Traits:
    marks = [*field.metadata, *_marks(field.annotation)]
    since = next((mark.version for mark in marks if isinstance(mark, Since)), None)
    return Traits(_section(field.annotation), since, any(isinstance(mark, Confidential) for mark in marks))


def _section(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(_section, get_args(annotation))), None)


def _marks(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from annotation.__metadata__
    for inner in get_args(annotation):
        yield from _marks(inner)


def _sections(node: Node, section: type[Section], loc: Loc) -> Iterator[tuple[Loc, Node]]:
    """The sections of a field that holds one, a list of them, or (`http_headers`) one under each name."""
    if isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield (*loc, index), item
    elif isinstance(node, Mapping):
        if node.entries.keys() & traits_of(section).keys() or not node.entries:
            yield loc, node
        else:
            for name, entry in node.entries.items():
                yield (*loc, name), entry.value


def _scalars(node: Node, loc: Loc) -> Iterator[tuple[Loc, Scalar]]:
    """The texts of a field itself; those of sections inside it are fields of their own."""
    if isinstance(node, Scalar):
        yield loc, node
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from _scalars(item, (*loc, index))
    else:
        for name, entry in node.entries.items():
            yield from _scalars(entry.value, (*loc, name))
