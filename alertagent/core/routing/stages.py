"""What can hold an alert back from being told, stage by stage, each with its reason. Pure.

The stages are Alertmanager's. They look at an alert as it is now, and an end is held back like a beginning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from alertagent.core.routing.model import Route, RoutingTable


class Stage(StrEnum):
    """In the order in which they are asked. The last two are of one channel each; the others of all."""

    SILENCED = "silenced"
    INHIBITED = "inhibited"
    MUTED = "muted"
    INACTIVE = "inactive"
    BELOW_MINIMUM = "below_minimum"
    QUIET_HOURS = "quiet_hours"


@dataclass(frozen=True, slots=True)
class Keep:
    """It goes on to the next stage."""


@dataclass(frozen=True, slots=True)
class Drop:
    """It is held back. `by`: the silences, the inhibiting alerts or the time intervals that do it."""

    stage: Stage
    by: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"stage": self.stage, "by": list(self.by)}


Verdict = Keep | Drop

KEEP = Keep()


def silenced(ids: Sequence[str]) -> Verdict:
    """`ids`: the silences that mute the alert."""
    return Drop(Stage.SILENCED, tuple(ids)) if ids else KEEP


def inhibited(fingerprints: Sequence[str]) -> Verdict:
    """`fingerprints`: the firing alerts that inhibit it."""
    return Drop(Stage.INHIBITED, tuple(fingerprints)) if fingerprints else KEEP


def off_time(route: Route, table: RoutingTable, now: datetime) -> Verdict:
    """Whether a route tells anything at this time."""
    muting = tuple(name for name in route.mute_time_intervals if _covers(table, name, now))
    if muting:
        return Drop(Stage.MUTED, muting)
    active = route.active_time_intervals
    if active and not any(_covers(table, name, now) for name in active):
        return Drop(Stage.INACTIVE, active)
    return KEEP


def first_drop(*verdicts: Verdict) -> Drop | None:
    return next((verdict for verdict in verdicts if isinstance(verdict, Drop)), None)


def drop_of(document: Mapping[str, Any] | None) -> Drop | None:
    """Read back what `as_json` wrote."""
    return Drop(Stage(document["stage"]), tuple(document["by"])) if document else None


def _covers(table: RoutingTable, name: str, now: datetime) -> bool:
    interval = table.intervals.get(name)
    return interval is not None and interval.covers(now)
