"""The words in which a scenario is written. Pure.

A scenario is a route, what happens, and what people hear of it. The steps are played to Alertmanager and to
AlertAgent independently, each at its own pace. Whatever a sink got must be expected by a step, in this order; a
message that no step expects fails the scenario.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Labels = Mapping[str, str]

HOUR = 3600.0


def alert(alertname: str, **labels: str) -> Labels:
    return {"alertname": alertname, **labels}


@dataclass(frozen=True, slots=True)
class Fire:
    """One post with these alerts, as Prometheus makes it: with a start, and an end that lies ahead.

    `began` is how many seconds ago they began to fire. None, there and in `ends_in`, leaves it to the receiver.
    """

    alerts: Sequence[Labels]
    annotations: Labels = field(default_factory=dict)
    began: float | None = 0
    ends_in: float | None = HOUR
    generator: str = "http://prometheus.example/graph"


@dataclass(frozen=True, slots=True)
class Resolve:
    """One post that says that these alerts, which were posted before, end now."""

    alerts: Sequence[Labels]


@dataclass(frozen=True, slots=True)
class Again:
    """One post with these alerts just as they were posted before, by a sender that repeats itself.

    `firing`: as they were when they fired last, by a sender that lags behind.
    """

    alerts: Sequence[Labels]
    firing: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence over all alerts of the scenario that fit; it is in force when the step is over."""

    matchers: Sequence[str]
    lasts: float = HOUR


@dataclass(frozen=True, slots=True)
class EndSilence:
    """Take the last silence back."""


@dataclass(frozen=True, slots=True)
class Hears:
    """A receiver gets a message about exactly these alerts; with `annotations`, all of them have just these."""

    firing: Sequence[Labels] = ()
    resolved: Sequence[Labels] = ()
    receiver: str = "one"
    annotations: Labels | None = None


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing is heard for this long. The server tells the time: an alert is posted whose group waits so long."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Differs:
    """Where AlertAgent does something else on purpose, why, and what either does instead."""

    because: str
    alertmanager: Sequence["Step"] = ()
    alertagent: Sequence["Step"] = ()


Step = Fire | Resolve | Again | Silence | EndSilence | Hears | Quiet | Differs


@dataclass(frozen=True, slots=True)
class Scenario:
    """`route` and `inhibit_rules` say what differs from the usual ones, in Alertmanager's own words.

    They see the alerts of this scenario only: `label` is on every one of them.
    """

    name: str
    steps: Sequence[Step]
    route: Mapping[str, Any] = field(default_factory=dict)
    inhibit_rules: Sequence[Mapping[str, Any]] = ()

    @property
    def label(self) -> str:
        return re.sub(r"\W+", "-", self.name)
