"""Why somebody is told of an alert or not, in sentences for the person who asks at night. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from alertagent.core.alerts.model import Alert
from alertagent.core.notify.look import Group
from alertagent.core.routing.model import Route, Told
from alertagent.core.routing.stages import Drop, Stage
from alertagent.core.silences.model import Silence
from alertagent.kernel.clock import rfc3339
from alertagent.kernel.durations import format_duration
from alertagent.kernel.matchers import Operator, written

LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearer:
    """A channel that stands behind a receiver, as far as it exists, and what it knows of the group.

    `drop`: what of its own settings holds the alert back from it. Until `shut_until` its breaker holds back everything.
    """

    name: str
    id: str | None = None
    is_enabled: bool = False
    paused_until: datetime | None = None
    told: Told | None = None
    has_failed: bool = False
    is_being_told: bool = False
    drop: Drop | None = None
    shut_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One route that takes an alert, its group, and all that could hold the alert back there.

    `drops` has the stages that hold it back, and `known` what silences and alerts among them are, by id; `group` is
    None where the group does not exist yet.
    """

    route: Route
    key: str
    labels: Mapping[str, str]
    group: Group | None
    drops: tuple[Drop, ...]
    hearers: tuple[Hearer, ...]
    known: Mapping[str, str] = field(default_factory=dict)


_HELD = {
    Stage.SILENCED: "silenced by {}",
    Stage.INHIBITED: "inhibited by the firing alert {}",
    Stage.MUTED: "the route is muted now by the time interval {}",
    Stage.INACTIVE: "the route is active only in the time interval {}, which is not now",
    Stage.BELOW_MINIMUM: "it is told of nothing that is less than {}",
    Stage.QUIET_HOURS: "its quiet hours are on: {}",
}


def why_held(drop: Drop, known: Mapping[str, str] = MappingProxyType({})) -> str:
    by = [f"{each} ({known[each]})" if each in known else each for each in drop.by]
    return _HELD[drop.stage].format(" and ".join(by))


def silence_in_words(silence: Silence, now: datetime) -> str:
    """By whom, until when it mutes this time, and why."""
    window = silence.window(now)
    until = f" until {rfc3339(window.ends_at)}" if window is not None else ""
    return f"{silence.created_by}{until}: {clip(silence.comment)}"


def alert_in_words(alert: Alert) -> str:
    return clip(", ".join(written(name, Operator.EQUAL, value) for name, value in sorted(alert.labels.items())))


def clip(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def answers(path: Path, alert: Alert | None, now: datetime) -> Iterator[str]:
    """What happens on this path, and why nobody is told if so."""
    where = f'route {path.route.key} leads to receiver "{path.route.receiver}"'
    if path.drops:
        reasons = "; ".join(why_held(drop, path.known) for drop in path.drops)
        yield f"{where}, but the alert is held back: {reasons}"
    if not path.hearers:
        yield f"{where}, behind which there is no channel: nobody is told"
    for hearer in path.hearers:
        yield f"{where}, channel {hearer.name}: {_of_channel(path, hearer, alert, now)}"


def _of_channel(path: Path, hearer: Hearer, alert: Alert | None, now: datetime) -> str:
    if hearer.id is None:
        return "there is no channel of this name"
    if not hearer.is_enabled:
        return "it is switched off, or its plugin is"
    if hearer.is_being_told:
        return _on_its_way(hearer, now)
    if hearer.has_failed:
        return "the last message failed for good; its deliveries tell why, and a change of the channel tries again"
    return _kept(hearer.drop, hearer.told, alert) if hearer.drop is not None else _of_alert(path, hearer.told, alert)


def _on_its_way(hearer: Hearer, now: datetime) -> str:
    if hearer.paused_until is not None and now < hearer.paused_until:
        return f"a message is on its way, but the provider blocks the channel until {rfc3339(hearer.paused_until)}"
    if hearer.shut_until is not None and now < hearer.shut_until:
        until = rfc3339(hearer.shut_until)
        return f"a message is on its way, but the provider has failed too often and is left alone until {until}"
    return "a message is on its way or is being tried again"


def _kept(drop: Drop, told: Told | None, alert: Alert | None) -> str:
    reason = why_held(drop)
    if drop.stage is Stage.QUIET_HOURS:
        reason = f"{reason}; it is told afterwards if the alert still fires"
    if told is not None and alert is not None and alert.key in told.firing:
        return f"it was told at {rfc3339(told.at)}, and now {reason}"
    return reason


def _of_alert(path: Path, told: Told | None, alert: Alert | None) -> str:
    if alert is None:
        return "it would not be told while that lasts" if path.drops else "it would be told"
    if told is not None and alert.key in told.resolved:
        return f"it was told of the end at {rfc3339(told.at)}"
    if told is not None and alert.key in told.firing:
        return f"it was told at {rfc3339(told.at)}, {_repetition(path, told, alert)}"
    return _untold(path, alert)


def _untold(path: Path, alert: Alert) -> str:
    if not alert.is_firing:
        return "the alert is over and the channel was never told that it fired"
    if path.drops:
        return "it is not told while that lasts"
    if path.group is None or path.group.flush_at is None:
        return "it has not been told"
    return f"it will be told when the group is looked at, at {rfc3339(path.group.flush_at)}"


def _repetition(path: Path, told: Told, alert: Alert) -> str:
    if path.drops:
        return "and hears nothing more while that lasts"
    if not alert.is_firing:
        return "and hears of the end when the group is looked at next"
    if alert.acknowledged_by is not None:
        return f"and is not told again, because {alert.acknowledged_by} acknowledged the alert"
    every = format_duration(path.route.repeat_interval)
    return f"and is told again at {rfc3339(told.at + path.route.repeat_interval)} (repeat_interval {every})"
