"""Which channels an unacknowledged alert reaches, and when. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from alertagent.core.alerts.model import Alert
from alertagent.core.routing.model import USER
from alertagent.kernel.durations import format_duration, parse_duration
from alertagent.kernel.errors import Detail, Invalid
from alertagent.kernel.matchers import Matcher, parse_matcher


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationRule:
    """Alerts that all matchers fit reach these channels if nobody acknowledged them within `after`.

    A channel goes by its name; `user:<id>` is each channel of that user.
    """

    matchers: tuple[str, ...]
    after: timedelta
    channels: tuple[str, ...]
    parsed: tuple[Matcher, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises ValueError for what is no matcher."""
        object.__setattr__(self, "parsed", tuple(map(parse_matcher, self.matchers)))

    def due(self, alert: Alert) -> datetime | None:
        """None where the rule does not concern the alert. It counts from when we learnt that the alert fires."""
        concerns = all(matcher.matches(alert.labels) for matcher in self.parsed)
        return alert.fired_at + self.after if concerns else None

    def as_json(self) -> dict[str, Any]:
        return {
            "matchers": list(self.matchers),
            "after": format_duration(self.after),
            "channels": list(self.channels),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All rules. Revision 0: none was ever stored."""

    rules: tuple[EscalationRule, ...] = ()
    revision: int = 0
    updated_by: str | None = None
    updated_at: datetime | None = None

    @property
    def channels(self) -> list[str]:
        """The names of all channels and users that it can reach."""
        return list(dict.fromkeys(name for rule in self.rules for name in rule.channels))


def read_rule(document: Mapping[str, Any]) -> EscalationRule:
    """Read back what `as_json` wrote."""
    return EscalationRule(
        matchers=tuple(document["matchers"]),
        after=parse_duration(document["after"]),
        channels=tuple(document["channels"]),
    )


def is_open(alert: Alert) -> bool:
    """Whether there is a reason to escalate: it fires and nobody has acknowledged it."""
    return alert.is_firing and alert.acknowledged_by is None


def due_channels(rules: Iterable[EscalationRule], alert: Alert, now: datetime) -> list[str]:
    """The channels that an open alert has reached by now, the earliest first."""
    dues = [(due, rule) for rule in rules if (due := rule.due(alert)) is not None and due <= now]
    dues.sort(key=lambda pair: pair[0])
    return list(dict.fromkeys(name for _, rule in dues for name in rule.channels))


def next_due(rules: Iterable[EscalationRule], alert: Alert, now: datetime) -> datetime | None:
    """When an open alert reaches the next ones; None when no step is to come."""
    return min((due for rule in rules if (due := rule.due(alert)) is not None and due > now), default=None)


def require_known(rules: Sequence[EscalationRule], known: Iterable[str]) -> None:
    """Raises Invalid with the place of each channel or user that does not exist."""
    names = set(known)
    findings = [
        Detail(("rules", number, "channels", place), _unknown(name))
        for number, rule in enumerate(rules)
        for place, name in enumerate(rule.channels)
        if name not in names
    ]
    if findings:
        first = findings[0]
        message = f"{'.'.join(map(str, first.loc))}: {first.message}"
        raise Invalid(message, code="escalation.channel_unknown", details=findings)


def _unknown(name: str) -> str:
    if name.startswith(USER):
        return f'"{name}" leads to nobody: no channel has this "user_id"'
    return f'there is no channel "{name}"'
