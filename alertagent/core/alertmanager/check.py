"""Everything that a configuration must be before it is stored, and what is lawful but suspicious. Pure.

What is refused here Alertmanager itself would refuse, and with it the whole file. Its own tool has the last word,
beside the target.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pydantic import ValidationError

from alertagent.core.alertmanager.document import Document
from alertagent.core.alertmanager.fields import Section
from alertagent.core.alertmanager.inheritance import check_inherited
from alertagent.core.alertmanager.routes import (
    check_inhibitions,
    check_routes,
    suspicious_inhibitions,
    suspicious_routes,
)
from alertagent.core.alertmanager.templates import check_templates
from alertagent.core.alertmanager.walk import Loc, secrets, section_at, traits_of, walk
from alertagent.kernel import yaml_guard
from alertagent.kernel.errors import Detail
from alertagent.kernel.yaml_guard import BadYaml, Node

ROOT = "config"
"""The field of the request that holds the text; every place begins with it."""

# A text can hold thousands of mistakes; nobody reads past the first few.
MAX_FINDINGS = 100

_UTF8_SINCE = "0.27"

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


@dataclass(frozen=True, slots=True)
class Target:
    """The release of the Alertmanager that is to run a configuration; None: nobody has told."""

    version: str | None = None

    @property
    def knows_utf8(self) -> bool:
        return not self.is_before(_UTF8_SINCE)

    def is_before(self, version: str) -> bool:
        own = _release(self.version)
        return own is not None and own < (_release(version) or own)


def oldest(versions: Iterable[str]) -> Target:
    """The target that knows least, for a configuration goes to all of a cluster's Alertmanagers."""
    known = [version for version in versions if _release(version) is not None]
    return Target(min(known, key=lambda version: _release(version) or (), default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The verdict on a text. `document` is there unless the text cannot be read as a configuration at all."""

    root: Node | None = None
    document: Document | None = None
    findings: list[Detail] = field(default_factory=list)
    warnings: list[Detail] = field(default_factory=list)


def check(text: str, templates: Mapping[str, str] | None = None, target: Target | None = None) -> Checked:
    """Judge a configuration and the template files that go with it."""
    target = target or Target()
    try:
        root = yaml_guard.load(text)
    except BadYaml as error:
        return Checked(findings=[_located(error.detail)])
    try:
        document = Document.model_validate(yaml_guard.data(root))
    except ValidationError as error:
        refused = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_FINDINGS]
        refusals = [_refusal(root, dict(finding)) for finding in refused]
        return Checked(root=root, findings=[*refusals, *_details(root, _too_new(root, target))])
    found = [*_too_new(root, target), *_check(document, root, target), *check_templates(document, templates or {})]
    return Checked(
        root=root,
        document=document,
        findings=_details(root, found),
        warnings=_details(root, _suspicions(document, root, target)),
    )


def _check(document: Document, root: Node, target: Target) -> Iterator[Finding]:
    yield from _problems(document, ())
    yield from check_routes(document, utf8=target.knows_utf8)
    yield from check_inhibitions(document, utf8=target.knows_utf8)
    yield from check_inherited(document)
    yield from _check_names(document)


def _problems(section: Section, loc: Loc) -> Iterator[Finding]:
    """What each section says of itself."""
    keys = {name: key for key, name in section.keys().items()}
    for name, message in section.problems():
        yield (loc if name is None else (*loc, keys.get(name, name))), message
    for name, key in keys.items():
        for inner_loc, inner in _inner(getattr(section, name), (*loc, key)):
            yield from _problems(inner, inner_loc)


def _inner(value: Any, loc: Loc) -> Iterator[tuple[Loc, Section]]:
    if isinstance(value, Section):
        yield loc, value
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _inner(item, (*loc, index))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _inner(item, (*loc, name))


def _check_names(document: Document) -> Iterator[Finding]:
    yield from _twice("receivers", [receiver.name for receiver in document.receivers or ()], set())
    intervals: set[str] = set()
    for key in ("mute_time_intervals", "time_intervals"):
        yield from _twice(key, [interval.name for interval in getattr(document, key) or ()], intervals)


def _twice(key: str, names: list[str | None], seen: set[str]) -> Iterator[Finding]:
    for index, name in enumerate(names):
        if name and name in seen:
            yield (key, index, "name"), "this name is taken by another one above"
        seen.add(name or "")


def _too_new(root: Node, target: Target) -> Iterator[Finding]:
    for place in walk(root):
        since = place.traits.since
        if since is not None and target.is_before(since):
            name = place.loc[-1]
            yield place.loc, f"{name} came with Alertmanager {since}; this cluster runs {target.version}"


def _suspicions(document: Document, root: Node, target: Target) -> Iterator[Finding]:
    yield from suspicious_routes(document, utf8=target.knows_utf8)
    yield from suspicious_inhibitions(document, utf8=target.knows_utf8)
    for loc, _ in secrets(root):
        yield loc, "a secret stands in the file itself; where there is a field ending in _file it can stay outside"


def _refusal(root: Node, finding: Mapping[str, Any]) -> Detail:
    """A finding of pydantic's; its words never hold the value."""
    loc = tuple(step for step in finding["loc"] if step != "[key]")
    kind, message = finding["type"], str(finding["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        mark = yaml_guard.key_place(root, loc)
        message = f"unknown field.{_did_you_mean(root, loc)}"
    else:
        mark = yaml_guard.place(root, loc)
        message = _SHAPES.get(kind, message)
    return Detail((ROOT, *loc), message, line=mark.line, column=mark.column)


def _did_you_mean(root: Node, loc: Loc) -> str:
    """A field of the section in which the unknown key stands, and which it does not have yet."""
    parent, section = yaml_guard.find(root, loc[:-1]), section_at(loc[:-1])
    taken = parent.entries.keys() if isinstance(parent, yaml_guard.Mapping) else ()
    known = sorted(set(traits_of(section)) - set(taken)) if section is not None else []
    close = difflib.get_close_matches(str(loc[-1])[:80], known, n=1)
    return f' Did you mean "{close[0]}"?' if close else ""


def _details(root: Node, findings: Iterable[Finding]) -> list[Detail]:
    found = []
    for loc, message in islice(findings, MAX_FINDINGS):
        mark = yaml_guard.place(root, loc)
        in_text = loc[:1] != ("templates",) or len(loc) == 1 or isinstance(loc[1], int)
        place = (mark.line, mark.column) if in_text else (None, None)
        found.append(Detail((ROOT, *loc) if in_text else loc, message, *place))
    return found


def _located(detail: Detail) -> Detail:
    return Detail((ROOT,), detail.message, line=detail.line, column=detail.column)


def _release(version: str | None) -> tuple[int, int] | None:
    """`(0, 28)` of `v0.28.1`; None where the text is no such version."""
    major, dot, rest = (version or "").removeprefix("v").partition(".")
    minor = rest.partition(".")[0].partition("-")[0]
    return (int(major), int(minor)) if dot and major.isdecimal() and minor.isdecimal() else None
