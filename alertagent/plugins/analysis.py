"""What an analyzer is told about an alert and what it answers."""

import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson
from pydantic import SecretStr

from alertagent.kernel.labels import Labels
from alertagent.kernel.message import MessageAlert
from alertagent.plugins.addresses import AddressGuard, origin
from alertagent.plugins.config import ConfigT
from alertagent.plugins.plugin import Plugin
from alertagent.plugins.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """One new version of a rule: `rule` is its name, `summary` what was changed, in words."""

    rule: str
    version: str
    changed_at: datetime
    changed_by: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertingRule:
    """The rule that an alert comes from, as it is written."""

    name: str
    expression: str
    duration: timedelta
    labels: Labels
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values of one time series around the start of an alert, oldest first: the moment and Prometheus' own text."""

    labels: Labels
    points: tuple[tuple[datetime, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What an analyzer said of such an alert before, and what people thought of it: `+1 …`, `-1 …`."""

    at: datetime
    provider: str
    root_cause: str
    confidence: float
    feedback: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisContext:
    """The alert and what AlertAgent knows around it, gathered before the analyzer runs.

    `group` are the other alerts that the answer will stand for, `related` those that fire at `now` on the same
    things. `rule_changes` are the versions that the alert's rule got lately, `values` what its expression gave around
    the start, `silences` those in force for it. `episodes` counts how often it fired within the last 24 hours, this
    time included.
    """

    alert: MessageAlert
    now: datetime
    group: tuple[MessageAlert, ...] = ()
    related: tuple[MessageAlert, ...] = ()
    rule: AlertingRule | None = None
    rule_changes: tuple[RuleChange, ...] = ()
    values: tuple[Series, ...] = ()
    silences: tuple[str, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    episodes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """An analyzer's answer. It is text for people: nothing in it is ever run or rendered as a link.

    `confidence` is in [0, 1]. `tokens` is what the provider billed. Whoever runs the analyzer measures `duration`.
    """

    summary: str
    root_cause: str
    confidence: float
    provider: str
    evidence: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    runbook: str | None = None
    tokens: int | None = None
    duration: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Parked:
    """The provider took the question and will answer by the run's callback, or never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """Where a provider delivers its answer, once."""

    url: str
    token: str


class Run(Protocol):
    """One analysis, over all its attempts: what of it must outlive a process that dies in it.

    `notes` has what earlier attempts noted. After `deadline` nobody waits for the answer.
    """

    @property
    def id(self) -> str: ...

    @property
    def deadline(self) -> datetime: ...

    @property
    def notes(self) -> Mapping[str, str]: ...

    async def note(self, **notes: str) -> None:
        """Durable when it returns. What a provider bills is noted before it is asked."""

    async def open_callback(self, within: timedelta) -> Callback:
        """A fresh token; one that was given out before is worth nothing any more, and `deadline` moves."""


class Analyzer(Plugin[ConfigT]):
    """Explains an alert. `url_field` names the setting with the provider's address, where there is one."""

    url_field: str | None = None

    @abstractmethod
    async def analyze(
        self, config: ConfigT, context: AnalysisContext, transport: Transport, run: Run
    ) -> Analysis | Parked:
        """Make one attempt.

        Raises External where the provider failed and time may help, RateLimited where it works and is asked too much,
        Permanent where no repetition helps, and where a repetition might bill a second run of what runs already.
        """

    @property
    def is_free(self) -> bool:
        """Whether nobody bills it: then no budget limits it."""
        return self.url_field is None

    def endpoint(self, config: ConfigT) -> str | None:
        """The address that will be called; None: none."""
        value: str | SecretStr | None = getattr(config, self.url_field) if self.url_field else None
        return value.get_secret_value() if isinstance(value, SecretStr) else value

    async def check_config(self, config: ConfigT, guard: AddressGuard) -> None:
        url = self.endpoint(config)
        if url is not None and self.url_field is not None:
            await guard.check_url(url, loc=(self.url_field,))

    def circuit(self, raw: Mapping[str, Any]) -> str | None:
        """Who fails together: this plugin with one host and one credential. None where nobody can fail."""
        url = self.endpoint(self.validate_config(raw))
        if url is None:
            return None
        secrets = {name: raw[name] for name in sorted(self.secret_fields()) if name in raw}
        return f"{self.name} {origin(url)} {hashlib.sha256(orjson.dumps(secrets)).hexdigest()[:12]}"
