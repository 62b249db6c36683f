"""The routing document: Alertmanager's `route`, `inhibit_rules` and `time_intervals`, and who stands behind a receiver.

Matchers are read as by Alertmanager 0.27 and later. JSON is a form of YAML, so that both are read by one reader; only
of YAML that somebody wrote are lines and columns told.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import orjson
from pydantic import Field, ValidationError

from alertagent.core.alertmanager.document import Tree
from alertagent.core.alertmanager.fields import Flag, Section, Text, Texts
from alertagent.core.alertmanager.findings import (
    MAX_FINDINGS,
    Finding,
    invalid,
    problems,
    refusals,
    repeated,
)
from alertagent.core.alertmanager.routes import (
    check_inhibitions,
    check_routes,
    repeated_intervals,
    routes_of,
    suspicious_inhibitions,
    suspicious_routes,
    unused_receivers,
)
from alertagent.core.alertmanager.walk import Loc
from alertagent.core.routing.text import escaped, yaml_of
from alertagent.kernel import yaml_guard
from alertagent.kernel.errors import Detail, Invalid
from alertagent.kernel.yaml_guard import BadYaml, Node

INVALID = "routing.invalid"

_ELSEWHERE = {
    "global": "no part of the routing document: resolve_timeout is alerts.resolve_timeout in the settings, and how to "
    "reach a receiver is said where its channel is made",
    "templates": "no part of the routing document: a channel words its own messages",
    "tracing": "no part of the routing document: AlertAgent hands on the trace that a request brings",
    "event_recorder": "no part of the routing document: the timeline of each alert records what happened to it",
}
_INTEGRATION = (
    "a receiver here names channels; make a channel of this, or take in the whole file by POST /routing/import"
)


class ReceiverEntry(Section):
    """Several channels under one name, none at all, or one that is not told of ends."""

    at_least_one: ClassVar = (("name",),)

    name: Text | None = None
    channels: Annotated[Texts | None, Field(max_length=100)] = None
    send_resolved: Flag | None = None

    @property
    def leads_to(self) -> tuple[str, ...]:
        """The channels by name; where none are given, the one of the same name."""
        return self.channels if self.channels is not None else (self.name or "",)


class RoutingDocument(Tree):
    receivers: tuple[ReceiverEntry, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A document that may be stored if its channels exist. `text` is YAML: as given, or made of the JSON."""

    document: RoutingDocument
    text: str
    root: Node
    is_placed: bool

    def refused(self, findings: Iterable[Finding]) -> Invalid:
        """What is wrong with it beyond itself, such as a channel that does not exist."""
        return _invalid(_details(self.root, findings), is_placed=self.is_placed)


def read_json(body: bytes) -> Judged:
    """The document as a JSON object. Raises Invalid with the path of every finding."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(
            f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})",
            code=INVALID,
            details=[Detail((), error.msg, line=error.lineno, column=error.colno)],
        ) from error
    try:
        text = escaped(value)
    except orjson.JSONEncodeError as error:
        raise Invalid("the document is nested too deep", code=INVALID) from error
    document, root = _read(text, is_placed=False)
    return Judged(document=document, text=yaml_of(document), root=root, is_placed=False)


def read_yaml(body: bytes) -> Judged:
    """The document as YAML. Raises Invalid with the place of every finding."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"the document is not UTF-8 at byte {error.start}", code=INVALID) from error
    document, root = _read(text, is_placed=True)
    return Judged(document=document, text=text, root=root, is_placed=True)


def _read(text: str, *, is_placed: bool) -> tuple[RoutingDocument, Node]:
    try:
        root = yaml_guard.load(text)
    except BadYaml as error:
        raise _invalid([error.detail], is_placed=is_placed) from error
    try:
        document = RoutingDocument.model_validate(yaml_guard.data(root))
    except ValidationError as error:
        raise _invalid(refusals(root, error, RoutingDocument, _elsewhere), is_placed=is_placed) from error
    if found := _details(root, _check(document)):
        raise _invalid(found, is_placed=is_placed)
    return document, root


def _check(document: RoutingDocument) -> Iterator[Finding]:
    yield from problems(document)
    yield from check_routes(document, utf8=True)
    yield from check_inhibitions(document, utf8=True)
    yield from repeated("receivers", [entry.name for entry in document.receivers or ()])
    yield from repeated_intervals(document)


def suspicions(document: RoutingDocument) -> list[Detail]:
    """What is lawful and can hardly be meant."""
    found = [
        *suspicious_routes(document, utf8=True),
        *unused_receivers(document, [entry.name for entry in document.receivers or ()]),
        *suspicious_inhibitions(document, utf8=True),
    ]
    return [Detail(loc, message) for loc, message in found[:MAX_FINDINGS]]


def channels_named(document: RoutingDocument) -> Iterator[tuple[Loc, str]]:
    """Every channel that a receiver leads to, with the place that names it."""
    entries = document.receivers or ()
    for index, entry in enumerate(entries):
        if entry.channels is None:
            yield ("receivers", index, "name"), entry.name or ""
        for position, name in enumerate(entry.channels or ()):
            yield ("receivers", index, "channels", position), name
    listed = {entry.name for entry in entries}
    for loc, route in routes_of(document):
        if route.receiver and route.receiver not in listed:
            yield (*loc, "receiver"), route.receiver


def _elsewhere(loc: Loc) -> str | None:
    key = str(loc[-1])
    if len(loc) == 1:
        return _ELSEWHERE.get(key)
    return _INTEGRATION if loc[0] == "receivers" and key.endswith("_configs") else None


def _details(root: Node, findings: Iterable[Finding]) -> list[Detail]:
    details = []
    for loc, message in findings:
        mark = yaml_guard.place(root, loc)
        details.append(Detail(loc, message, line=mark.line, column=mark.column))
        if len(details) == MAX_FINDINGS:
            break
    return details


def _invalid(details: list[Detail], *, is_placed: bool) -> Invalid:
    return invalid(details if is_placed else [Detail(each.loc, each.message) for each in details], INVALID)
