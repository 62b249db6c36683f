"""How a backlog becomes digests: which deliveries go together, and what a digest says of their alerts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from alertagent.core.alerts.model import Alert
from alertagent.core.notify.model import PlannedAlert

# So many alerts are told by one digest; channels that cannot name that many in one message get it in parts.
MOST_ALERTS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A delivery that could not be made in time."""

    id: str
    alerts: tuple[PlannedAlert, ...]


def refreshed(late: Late, known: Mapping[str, Alert]) -> Late:
    """The same with what has ended meanwhile, so that nobody is told that it fires and then that it does not."""
    return replace(late, alerts=tuple(_refreshed(planned, known.get(planned.fingerprint)) for planned in late.alerts))


def _refreshed(planned: PlannedAlert, alert: Alert | None) -> PlannedAlert:
    if alert is None or alert.episode != planned.episode or alert.is_firing:
        return planned
    return replace(planned, status=str(alert.status), ends_at=alert.ends_at, is_news=True)


def digests_of(members: Sequence[Late], *, most: int = MOST_ALERTS) -> list[list[Late]]:
    """Members by digest, in their order: each has at most so many alerts, unless one member alone has more."""
    digests: list[list[Late]] = []
    told: set[str] = set()
    for member in members:
        named = {planned.fingerprint for planned in member.alerts}
        if not digests or len(told | named) > most:
            digests.append([])
            told = set()
        digests[-1].append(member)
        told |= named
    return digests


def alerts_of(members: Sequence[Late]) -> list[PlannedAlert]:
    """What a digest of these says: each alert once, in the state that was planned last, oldest first."""
    latest = {planned.fingerprint: planned for member in members for planned in member.alerts}
    return sorted(latest.values(), key=lambda planned: (planned.starts_at, planned.fingerprint))
