"""An existing alertmanager.yml as a routing document: what is taken over, and who its receivers are here. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from alertagent.core.alertmanager.document import Document
from alertagent.core.alertmanager.findings import Finding, invalid, placed, problems, read, repeated
from alertagent.core.alertmanager.http import Integration
from alertagent.core.alertmanager.pagers import Webhook
from alertagent.core.alertmanager.receivers import Receiver
from alertagent.core.alertmanager.routes import (
    check_inhibitions,
    check_receivers,
    check_routes,
    repeated_intervals,
    routes_of,
    unused_receivers,
)
from alertagent.core.alertmanager.walk import Loc
from alertagent.core.routing.document import Judged, decoded, read_json
from alertagent.core.routing.text import values_of
from alertagent.kernel.errors import Detail, Invalid
from alertagent.kernel.yaml_guard import Node

INVALID = "routing.import_invalid"
UNKNOWN = "routing.receivers_unknown"

MAX_NAME = 100
"""How long the name of a channel may be."""

_TAKEN = ("route", "inhibit_rules", "time_intervals")

_INTEGRATIONS = "_configs"
_WEBHOOKS = "webhook_configs"
# These do not tell of ends unless they are asked to. Source: prometheus/alertmanager, `config/notifiers.go`.
_QUIET = frozenset({"email_configs", "rocketchat_configs", "slack_configs", "wechat_configs"})

_LEFT_OUT = {
    "global": "not taken over: resolve_timeout is alerts.resolve_timeout in the settings, and how to reach a receiver "
    "is said where its channel is made",
    "templates": "not taken over: a channel words its own messages",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A configuration that Alertmanager would take, as far as it concerns routing."""

    document: Document
    root: Node

    @property
    def receivers(self) -> list[tuple[Loc, Receiver]]:
        """Those that routes lead to, each with its place."""
        used = {route.receiver for _, route in routes_of(self.document)}
        return [
            (("receivers", index), receiver)
            for index, receiver in enumerate(self.document.receivers or ())
            if receiver.name in used
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChannel:
    """A webhook that has to become a channel; `loc` is the place of its URL."""

    name: str
    url: str
    loc: Loc


@dataclass(slots=True)
class Resolved:
    """The receivers of a configuration as channels: entries of our document, and channels that are still to be made."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    new: list[NewChannel] = field(default_factory=list)
    missing: list[Finding] = field(default_factory=list)


def read_alertmanager(body: bytes) -> Foreign:
    """Raises Invalid with the place of every finding."""
    document, root = read(decoded(body), Document, _check, code=INVALID)
    return Foreign(document=document, root=root)


def _check(document: Document) -> Iterator[Finding]:
    yield from problems(document)
    yield from check_routes(document, utf8=True)
    yield from check_receivers(document)
    yield from check_inhibitions(document, utf8=True)
    yield from repeated("receivers", [receiver.name for receiver in document.receivers or ()])
    yield from repeated_intervals(document)


def renames(texts: Iterable[str], foreign: Foreign) -> dict[str, str]:
    """Our channels by the receivers whose part they take, from `theirs:ours`. Raises Invalid.

    Either name may have colons; the first that leaves the name of a receiver before it counts.
    """
    theirs = {receiver.name for _, receiver in foreign.receivers}
    found: dict[str, str] = {}
    for text in texts:
        places = [place for place, character in enumerate(text) if character == ":" and text[:place] in theirs]
        if not places:
            message = f'map={text[:80]} names no receiver that a route of this file leads to; write it as "theirs:ours"'
            raise Invalid(message, code=INVALID, details=[Detail(("map",), message)])
        found[text[: places[0]]] = text[places[0] + 1 :]
    return found


def resolve(foreign: Foreign, channels: Collection[str], renamed: Mapping[str, str]) -> Resolved:
    """Find the channel of each receiver. Raises Invalid that lists every receiver without one."""
    resolved = Resolved()
    shared_http = foreign.document.global_ is not None and foreign.document.global_.http_config is not None
    for loc, receiver in foreign.receivers:
        name, integrations = receiver.name or "", _integrations(receiver)
        entry: dict[str, Any] = {}
        if name in renamed:
            entry["channels"] = [renamed[name]]
        elif not integrations:
            entry["channels"] = []
        elif name not in channels:
            _make(resolved, loc, name, integrations, url=None if shared_http else _url(integrations))
        if integrations and not _tells_ends(integrations):
            entry["send_resolved"] = False
        if entry:
            resolved.entries.append({"name": name, **entry})
    if resolved.missing:
        raise invalid(placed(foreign.root, resolved.missing), UNKNOWN)
    return resolved


def _make(
    resolved: Resolved, loc: Loc, name: str, integrations: Mapping[str, tuple[Integration, ...]], *, url: str | None
) -> None:
    """A channel of a webhook that has a URL and nothing else; whatever else it is, somebody must make it."""
    if url is not None and len(name) <= MAX_NAME:
        resolved.new.append(NewChannel(name=name, url=url, loc=(*loc, _WEBHOOKS, 0, "url")))
        return
    kinds = ", ".join(f"{len(each)} {key}" if len(each) > 1 else key for key, each in integrations.items())
    message = f'no channel is named "{name[:MAX_NAME]}", and none can be made of its {kinds}'
    resolved.missing.append((loc, f"{message}; create one of that name, or name another by map=THEIRS:OURS"))


def document_of(foreign: Foreign, resolved: Resolved) -> Judged:
    """Our document. Raises Invalid."""
    values = values_of(foreign.document)
    taken = {key: values[key] for key in _TAKEN if key in values}
    if resolved.entries:
        taken["receivers"] = resolved.entries
    return read_json(orjson.dumps(taken))


def left_out(foreign: Foreign) -> list[Detail]:
    """What stands in the file and has no effect here."""
    given = [key for key in _LEFT_OUT if getattr(foreign.document, foreign.document.keys()[key])]
    unused = unused_receivers(foreign.document, [receiver.name for receiver in foreign.document.receivers or ()])
    return placed(foreign.root, [*(((key,), _LEFT_OUT[key]) for key in given), *unused])


def _integrations(receiver: Receiver) -> dict[str, tuple[Integration, ...]]:
    several = {key: getattr(receiver, name) for key, name in Receiver.keys().items() if key.endswith(_INTEGRATIONS)}
    return {key: each for key, each in several.items() if each}


def _tells_ends(integrations: Mapping[str, tuple[Integration, ...]]) -> bool:
    return any(
        key not in _QUIET if each.send_resolved is None else each.send_resolved
        for key, several in integrations.items()
        for each in several
    )


def _url(integrations: Mapping[str, tuple[Integration, ...]]) -> str | None:
    """The URL of the one webhook that a receiver is, where that is all there is to say of it."""
    hooks = integrations.get(_WEBHOOKS, ())
    if len(integrations) != 1 or len(hooks) != 1:
        return None
    hook = hooks[0]
    if not isinstance(hook, Webhook) or hook.http_config is not None or hook.payload is not None:
        return None
    return hook.url if hook.url and "{{" not in hook.url else None
