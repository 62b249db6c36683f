"""The monitoring servers that a sidecar serves: how each is reloaded, and how it proves what it runs.

Prometheus answers a reload with 200 after it has read everything, and with 500 when it kept its old rules; but a
200 may also mean that it found no rule file at all. vmalert answers 200 before it has read anything. So for both
only the marker in `/api/v1/rules` counts as a proof.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from alertagent.core.configs import marker
from alertagent.kernel.errors import Fatal
from alertagent.sidecar.check import Command
from alertagent.sidecar.model import ErrorClass, Rejected, Undecided


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is special about a type: the tool that judges its files, and how long its proof may take."""

    check: Command
    proof: timedelta


KINDS: Mapping[str, Kind] = {
    "prometheus": Kind(check=Command("promtool", ("check", "rules")), proof=timedelta(seconds=30)),
    # A vmalert that just started holds a reload back until each group's first evaluation, up to an interval later.
    "vmalert": Kind(check=Command("vmalert", ("-dryRun", "-rule=")), proof=timedelta(seconds=90)),
}

_RELOAD = "/-/reload"
_TIMEOUT = timedelta(seconds=10)
_STARTING = frozenset({502, 503, 504})


class Target(Protocol):
    """A server that loads one file. Its methods raise Undecided when it cannot be asked."""

    def mark_of(self, body: bytes) -> str | None:
        """What a target running exactly these bytes shows; None when they are no configuration of its type."""
        ...

    async def running(self) -> frozenset[str]:
        """The marks it shows now; several when it loads several generated files."""
        ...

    async def reload(self) -> None:
        """Raises Rejected when it refuses the file. Returning proves nothing yet."""
        ...

    async def version(self) -> str | None: ...


class RuleTarget:
    """Prometheus or vmalert, which speak the same API."""

    def __init__(self, session: ClientSession, reload_url: str, *, timeout: timedelta = _TIMEOUT) -> None:
        self._session = session
        self._reload_url = _parsed(reload_url)
        self._base = _base_of(self._reload_url)
        self._timeout = ClientTimeout(total=timeout.total_seconds())

    def mark_of(self, body: bytes) -> str | None:
        return marker.revision_of(body)

    async def running(self) -> frozenset[str]:
        # Targets too old for the filter ignore it and answer with every rule.
        query = {"type": "alert", "rule_group[]": marker.GROUP}
        response, body = await self._ask("GET", (self._base / "api/v1/rules").with_query(query))
        if response.status != 200:
            raise self._undecided(response.status, "shows no rules")
        try:
            return revisions(json.loads(body))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Undecided(f"{self._name} does not list rules as Prometheus does", ErrorClass.MISDIRECTED) from error

    async def reload(self) -> None:
        # While it replays its log, Prometheus accepts a reload and leaves it unanswered.
        ready, _ = await self._ask("GET", self._base / "-/ready")
        if ready.status in _STARTING:
            raise self._undecided(ready.status, "is starting")
        response, body = await self._ask("POST", self._reload_url)
        if response.status == 500:
            raise Rejected(f"{self._name} refuses the file: {_words(body)}", ErrorClass.REFUSED)
        if response.status == 403:
            message = f"{self._name} does not allow reloads: start Prometheus with --web.enable-lifecycle"
            raise Undecided(message, ErrorClass.FORBIDDEN)
        if response.status not in {200, 204}:
            raise self._undecided(response.status, "did not reload")

    async def version(self) -> str | None:
        """None where it does not say; vmalert has no such page."""
        response, body = await self._ask("GET", self._base / "api/v1/status/buildinfo")
        try:
            return str(json.loads(body)["data"]["version"]) if response.status == 200 else None
        except (ValueError, LookupError, TypeError):
            return None

    async def _ask(self, method: str, url: URL) -> tuple[ClientResponse, bytes]:
        try:
            async with self._session.request(method, url, timeout=self._timeout, allow_redirects=False) as response:
                return response, await response.read()
        except (ClientError, OSError, TimeoutError) as error:
            reason = str(error) or f"no answer in {self._timeout.total:g} s"
            raise Undecided(f"{self._name} is not reachable: {reason}", ErrorClass.UNREACHABLE) from error

    def _undecided(self, status: int, trouble: str) -> Undecided:
        if status in _STARTING:
            return Undecided(f"{self._name} is not ready yet (HTTP {status})", ErrorClass.UNREACHABLE)
        message = f"{self._name} {trouble} (HTTP {status}): is the reload URL right?"
        return Undecided(message, ErrorClass.MISDIRECTED)

    @property
    def _name(self) -> str:
        # Never the whole URL: it may hold a password or an auth key.
        return f"the target at {self._base.host}:{self._base.port}"


def target_for(config_type: str, session: ClientSession, reload_url: str) -> Target:
    """Raises Fatal for a type or a URL that cannot work."""
    if config_type not in KINDS:
        raise Fatal(f"this sidecar cannot govern {config_type!r}; it can {', '.join(KINDS)}")
    return RuleTarget(session, reload_url)


def revisions(answer: Any) -> frozenset[str]:
    """The revisions that the markers in an answer of `/api/v1/rules` show."""
    return frozenset(
        rule["annotations"]["revision"]
        for group in answer["data"]["groups"]
        if group["name"] == marker.GROUP
        for rule in group["rules"]
        if rule["name"] == marker.ALERT
    )


def _parsed(reload_url: str) -> URL:
    try:
        url = URL(reload_url)
    except ValueError as error:
        raise Fatal(f"the reload URL is not a URL: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host or not url.path.endswith(_RELOAD):
        raise Fatal(f"the reload URL must look like http://HOST:PORT{_RELOAD}")
    return url


def _base_of(reload_url: URL) -> URL:
    """Where the target's pages begin: everything before `/-/reload`, a path prefix included."""
    return reload_url.with_path(reload_url.path.removesuffix(_RELOAD) or "/")


def _words(body: bytes) -> str:
    return " ".join(body.decode(errors="replace").split())[:1000]
