"""Everything that a configuration must be before it is stored, and what is lawful but suspicious. Pure.

What is refused here Alertmanager itself would refuse, and with it the whole file. Its own tool has the last word,
beside the target.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from pydantic import ValidationError

from alertagent.core.alertmanager.document import Document
from alertagent.core.alertmanager.findings import MAX_FINDINGS, Finding, problems, refusals, repeated
from alertagent.core.alertmanager.inheritance import check_inherited
from alertagent.core.alertmanager.routes import (
    check_inhibitions,
    check_receivers,
    check_routes,
    repeated_intervals,
    suspicious_inhibitions,
    suspicious_routes,
    unused_receivers,
)
from alertagent.core.alertmanager.templates import check_templates
from alertagent.core.alertmanager.walk import secrets, walk
from alertagent.kernel import yaml_guard
from alertagent.kernel.errors import Detail
from alertagent.kernel.yaml_guard import BadYaml, Node

ROOT = "config"
"""The field of the request that holds the text; every place begins with it."""

_UTF8_SINCE = "0.27"


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
        refused = [replace(found, loc=(ROOT, *found.loc)) for found in refusals(root, error, Document)]
        return Checked(root=root, findings=[*refused, *_details(root, _too_new(root, target))])
    found = [*_too_new(root, target), *_check(document, root, target), *check_templates(document, templates or {})]
    return Checked(
        root=root,
        document=document,
        findings=_details(root, found),
        warnings=_details(root, _suspicions(document, root, target)),
    )


def _check(document: Document, root: Node, target: Target) -> Iterator[Finding]:
    yield from problems(document)
    yield from check_routes(document, utf8=target.knows_utf8)
    yield from check_receivers(document)
    yield from check_inhibitions(document, utf8=target.knows_utf8)
    yield from check_inherited(document)
    yield from repeated("receivers", [receiver.name for receiver in document.receivers or ()])
    yield from repeated_intervals(document)


def _too_new(root: Node, target: Target) -> Iterator[Finding]:
    for place in walk(root):
        since = place.traits.since
        if since is not None and target.is_before(since):
            name = place.loc[-1]
            yield place.loc, f"{name} came with Alertmanager {since}; this cluster runs {target.version}"


def _suspicions(document: Document, root: Node, target: Target) -> Iterator[Finding]:
    yield from suspicious_routes(document, utf8=target.knows_utf8)
    yield from unused_receivers(document, [receiver.name for receiver in document.receivers or ()])
    yield from suspicious_inhibitions(document, utf8=target.knows_utf8)
    for loc, _ in secrets(root):
        yield loc, "a secret stands in the file itself; where there is a field ending in _file it can stay outside"


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
