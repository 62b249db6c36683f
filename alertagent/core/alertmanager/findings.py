"""What is wrong with a text of sections, and where. Pure.

No message repeats a value, for any of them may be a secret that was put into the wrong field.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from pydantic import ValidationError

from alertagent.core.alertmanager.fields import Section
from alertagent.core.alertmanager.walk import Loc, section_at, traits_of
from alertagent.kernel import yaml_guard
from alertagent.kernel.errors import Detail, Invalid
from alertagent.kernel.yaml_guard import BadYaml, Node

# A text can hold thousands of mistakes; nobody reads past the first few.
MAX_FINDINGS = 100

# Pydantic's words for a value of the wrong shape, in those of somebody who writes YAML.
_SHAPES = {
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "tuple_type": "must be a list",
    "string_type": "must be a text",
}

Finding = tuple[Loc, str]

S = TypeVar("S", bound=Section)

Elsewhere = Callable[[Loc], str | None]
"""Where the unknown field at this path belongs, if that is known."""


def read(
    text: str,
    section: type[S],
    check: Callable[[S], Iterable[Finding]],
    *,
    code: str,
    elsewhere: Elsewhere | None = None,
) -> tuple[S, Node]:
    """The section that a text is, and the places in it. Raises Invalid with all that is wrong."""
    try:
        root = yaml_guard.load(text)
    except BadYaml as error:
        raise invalid([error.detail], code) from error
    try:
        found = section.model_validate(yaml_guard.data(root))
    except ValidationError as error:
        raise invalid(refusals(root, error, section, elsewhere), code) from error
    if details := placed(root, check(found)):
        raise invalid(details, code)
    return found, root


def placed(root: Node, findings: Iterable[Finding]) -> list[Detail]:
    """The first of many findings, with their places in the text."""
    details = []
    for loc, message in islice(findings, MAX_FINDINGS):
        mark = yaml_guard.place(root, loc)
        details.append(Detail(loc, message, line=mark.line, column=mark.column))
    return details


def refusals(
    root: Node, error: ValidationError, section: type[Section], elsewhere: Elsewhere | None = None
) -> list[Detail]:
    """Why a text is no such section; the first of many."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_FINDINGS]
    return [_refusal(root, dict(each), section, elsewhere) for each in found]


def _refusal(root: Node, finding: Mapping[str, Any], section: type[Section], elsewhere: Elsewhere | None) -> Detail:
    """A finding of pydantic's; its words never hold the value."""
    loc = tuple(step for step in finding["loc"] if step != "[key]")
    kind, message = finding["type"], str(finding["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        mark = yaml_guard.key_place(root, loc)
        place = elsewhere(loc) if elsewhere is not None else None
        message = place or f"unknown field.{_did_you_mean(root, loc, section)}"
    else:
        mark = yaml_guard.place(root, loc)
        message = _SHAPES.get(kind, message)
    return Detail(loc, message, line=mark.line, column=mark.column)


def _did_you_mean(root: Node, loc: Loc, section: type[Section]) -> str:
    """A field of the section in which the unknown key stands, and which it does not have yet."""
    parent, kind = yaml_guard.find(root, loc[:-1]), section_at(loc[:-1], section)
    taken = parent.entries.keys() if isinstance(parent, yaml_guard.Mapping) else ()
    known = sorted(set(traits_of(kind)) - set(taken)) if kind is not None else []
    close = difflib.get_close_matches(str(loc[-1])[:80], known, n=1)
    return f' Did you mean "{close[0]}"?' if close else ""


def problems(section: Section, loc: Loc = ()) -> Iterator[Finding]:
    """What each section says of itself."""
    keys = {name: key for key, name in section.keys().items()}
    for name, message in section.problems():
        yield (loc if name is None else (*loc, keys.get(name, name))), message
    for name, key in keys.items():
        for inner_loc, inner in _inner(getattr(section, name), (*loc, key)):
            yield from problems(inner, inner_loc)


def _inner(value: Any, loc: Loc) -> Iterator[tuple[Loc, Section]]:
    if isinstance(value, Section):
        yield loc, value
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _inner(item, (*loc, index))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _inner(item, (*loc, name))


def repeated(key: str, names: Iterable[str | None], seen: set[str] | None = None) -> Iterator[Finding]:
    """Which of the names of a list's items are taken already; `seen` are those that stand above it."""
    seen = set() if seen is None else seen
    for index, name in enumerate(names):
        if name and name in seen:
            yield (key, index, "name"), "this name is taken by another one above"
        seen.add(name or "")


def invalid(findings: Sequence[Detail], code: str) -> Invalid:
    """The first finding with its place, and how many there are."""
    first = findings[0]
    place = f" (line {first.line}, column {first.column})" if first.line is not None else ""
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    field = ".".join(map(str, first.loc))
    message = f"{field}: {first.message}" if field else first.message
    return Invalid(f"{message}{place}{more}", code=code, details=findings)
