"""The routing document: Alertmanager's `route`, `inhibit_rules` and `time_intervals`, and who stands behind a receiver.

Matchers are read as by Alertmanager 0.27 and later. JSON is a form of YAML, so that both are read by one reader; only
of YAML that somebody wrote are lines and columns told.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import Field

from alertagent.core.alertmanager.document import Tree
from alertagent.core.alertmanager.fields import Flag, Section, Text, Texts
from alertagent.core.alertmanager.findings import (
    MAX_FINDINGS,
    Finding,
    invalid,
    placed,
    problems,
    read,
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
from alertagent.kernel.yaml_guard import Limits, Node

INVALID = "routing.invalid"

# What was stored has passed narrower limits; escapes and aliases that are written out make it longer.
_KEPT = Limits(size=64 * 1024 * 1024, nodes=1_000_000)

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
        """The channels by name, and users; where none are given, the one of the same name."""
        return self.channels if self.channels is not None else (self.name or "",)


class RoutingDocument(Tree):
    receivers: tuple[ReceiverEntry, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A document that may be stored if its channels exist. `text` is YAML: as given, or made of the JSON.

    `root` knows the place of everything in it, where that is of use to somebody.
    """

    document: RoutingDocument
    text: str
    root: Node | None = None

    def refused(self, findings: Iterable[Finding]) -> Invalid:
        """What is wrong with it beyond itself, such as a channel that does not exist."""
        if self.root is not None:
            return invalid(placed(self.root, findings), INVALID)
        return invalid([Detail(loc, message) for loc, message in islice(findings, MAX_FINDINGS)], INVALID)


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
    try:
        document, _ = _read(text)
    except Invalid as problem:
        # The places are those in a text that nobody has seen.
        raise invalid([Detail(each.loc, each.message) for each in problem.details], INVALID) from problem
    return Judged(document=document, text=yaml_of(document))


def read_yaml(body: bytes) -> Judged:
    """The document as YAML. Raises Invalid with the place of every finding."""
    text = decoded(body)
    document, root = _read(text)
    return Judged(document=document, text=text, root=root)


def decoded(body: bytes) -> str:
    """Raises Invalid."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"the document is not UTF-8 at byte {error.start}", code=INVALID) from error


def restored(values: Mapping[str, Any]) -> RoutingDocument:
    """The document of the values that were stored, whatever the checks say by now: it is in force."""
    return RoutingDocument.model_validate(yaml_guard.data(yaml_guard.load(escaped(values), _KEPT)))


def _read(text: str) -> tuple[RoutingDocument, Node]:
    return read(text, RoutingDocument, _check, code=INVALID, elsewhere=_elsewhere)


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
    """Every channel or user that a receiver leads to, with the place that names it."""
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
