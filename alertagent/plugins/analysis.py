"""What an analyzer is told about an alert and what it answers."""

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta

from alertagent.kernel.message import MessageAlert
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
class AnalysisContext:
    """The alert and what AlertAgent knows around it, gathered before the analyzer runs.

    `related` are the other alerts firing at `now`; `rule_changes` the versions that the alert's rule got lately;
    `episodes` how often the alert fired within the last 24 hours, this time included.
    """

    alert: MessageAlert
    now: datetime
    related: tuple[MessageAlert, ...] = ()
    rule_changes: tuple[RuleChange, ...] = ()
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


class Analyzer(Plugin[ConfigT]):
    """Explains an alert."""

    @abstractmethod
    async def analyze(self, config: ConfigT, context: AnalysisContext, transport: Transport) -> Analysis:
        """Raises External where its provider failed and time may help, Permanent where it cannot."""
