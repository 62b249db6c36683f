"""When a group is looked at, and whether a channel must be told. Pure.

The rules are Alertmanager's (dispatch and the deduplication stage of its notification pipeline), with one
addition: an alert that was over before anybody could be told, because *we* were away, is told all the same.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from math import floor

from alertagent.core.alerts.model import Alert
from alertagent.core.routing.model import GroupId, Route, Told
from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import Operator, written

# A key is the key of a row and travels inside tasks; a label may be of any length.
MAX_KEY = 500

# What a busy group waits at least before it is looked at again, however short its interval.
SOONEST = timedelta(seconds=1)

# A group whose channels are being told all there is waits this long before somebody sees whether they have been.
UNHURRIED = timedelta(minutes=1)


def group_of(route: Route, labels: Labels) -> GroupId:
    """The group that an alert with these labels falls into; the key looks like Alertmanager's."""
    common = {
        name: labels[name] for name in sorted(labels if route.group_by is None else route.group_by) if name in labels
    }
    shown = ", ".join(written(name, Operator.EQUAL, value) for name, value in common.items())
    return GroupId(key=_bounded(f"{route.key}:{{{shown}}}"), labels=common)


def _bounded(key: str) -> str:
    """At most MAX_KEY bytes; a longer key keeps its beginning and is told apart by its digest."""
    whole = key.encode()
    if len(whole) <= MAX_KEY:
        return key
    digest = sha256(whole).hexdigest()
    return f"{whole[: MAX_KEY - len(digest) - 1].decode(errors='ignore')}~{digest}"


def next_flush(route: Route, ticks_from: datetime | None, *, oldest_start: datetime, now: datetime) -> datetime:
    """When a change must be looked at.

    A new group waits `group_wait`, unless its alert has been firing for that long already; afterwards flushes
    fall on multiples of `group_interval`, so that what comes in between is told together.
    """
    if ticks_from is None:
        return now if oldest_start + route.group_wait <= now else now + route.group_wait
    if route.group_interval <= timedelta():
        return now
    return ticks_from + (floor((now - ticks_from) / route.group_interval) + 1) * route.group_interval


def next_look(
    route: Route,
    ticks_from: datetime,
    alerts: Collection[Alert],
    told: Collection[Told],
    now: datetime,
    *,
    is_busy: bool,
    is_telling: bool = False,
) -> datetime | None:
    """When a group that was just looked at must be looked at again, even if nothing changes.

    At the next tick while a channel still hears of something older (`is_busy`) or has to hear of an end; otherwise when
    it is time to repeat. While all that is known is on its way to the others (`is_telling`) nothing is urgent, however
    short the ticks are: in a storm that takes a while, and each look costs.
    None: there is nothing to repeat, because nobody was told anything or somebody acknowledged everything.
    """
    tick = max(next_flush(route, ticks_from, oldest_start=now, now=now), now + SOONEST)
    if is_busy or any(not alert.is_firing for alert in alerts):
        return tick
    dues = [now + min(UNHURRIED, route.repeat_interval / 2)] if is_telling else []
    if any(is_unattended(alert) for alert in alerts):
        dues += [known.at + route.repeat_interval for known in told]
    return max(min(dues), tick) if dues else None


def must_tell(
    route: Route,
    alerts: Iterable[Alert],
    told: Told | None,
    now: datetime,
    *,
    send_resolved: bool = True,
    others: Iterable[Told] = (),
    held: Collection[str] = (),
) -> bool:
    """Whether a channel that was told this must hear of the group now.

    `others` is what the other channels were told: an alert that is over and that one of them knew was not missed,
    and a channel that came later need not hear of it. Nor was one of `held` missed, the fingerprints of those that
    were held back so far.
    """
    members = list(alerts)
    firing = {alert.key for alert in members if alert.is_firing}
    resolved = {alert.key for alert in members if not alert.is_firing}
    candidates = [alert for alert in members if alert.fingerprint not in held]
    if told is None:
        known = frozenset[str]().union(*(other.firing | other.resolved for other in others))
        return bool(firing) or any(was_missed(route, alert) and alert.key not in known for alert in candidates)
    if not firing <= told.firing:
        return True
    if not firing:
        unknown = [alert for alert in candidates if alert.key not in told.resolved]
        return bool(told.firing) or any(was_missed(route, alert, is_new=False) for alert in unknown)
    if send_resolved and not resolved <= told.resolved:
        return True
    return any(is_unattended(alert) for alert in members) and told.at + route.repeat_interval <= now


def is_unattended(alert: Alert) -> bool:
    """Whether it fires and nobody has acknowledged it: only such an alert is told again and again."""
    return alert.is_firing and alert.acknowledged_by is None


def was_missed(route: Route, alert: Alert, *, is_new: bool = True) -> bool:
    """Whether an alert that is over fired for long enough to have been told while it did.

    A new group would have been told after `group_wait`, any other at its next look.
    """
    wait = max(route.group_wait, timedelta(seconds=1), timedelta() if is_new else route.group_interval)
    return not alert.is_firing and alert.updated_at - alert.fired_at >= wait


def has_heard(told: Told, alert: Alert) -> bool:
    """Whether this channel was told of an alert in the state in which it is."""
    return not told.has_failed and alert.key in (told.firing if alert.is_firing else told.resolved)


def is_told_over(alert: Alert, told: Collection[Told | None]) -> bool:
    """Whether each of these channels was told that this alert is over: another message need not name it again."""
    knows = (known is not None and alert.key in known.resolved for known in told)
    return not alert.is_firing and bool(told) and all(knows)


def is_settled(alert: Alert, told: Iterable[Told]) -> bool:
    """Whether a resolved alert concerns nobody any more: each channel knows its end, or never knew it fired."""
    return not alert.is_firing and all(alert.key not in known.firing for known in told)
