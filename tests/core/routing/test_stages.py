"""What holds an alert back, and in which order it is asked."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from alertagent.core.routing.model import DEFAULT_ROUTE, DEFAULT_TABLE, Calendar
from alertagent.core.routing.stages import (
    KEEP,
    Drop,
    Stage,
    Verdict,
    drop_of,
    first_drop,
    inhibited,
    off_time,
    silenced,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Always:
    """An interval without an end, or one that never comes."""

    covering: bool

    def covers(self, moment: datetime) -> bool:
        return self.covering


INTERVALS: dict[str, Calendar] = {"now": Always(True), "never": Always(False)}
TABLE = replace(DEFAULT_TABLE, intervals=INTERVALS)


@pytest.mark.parametrize(
    ("mute", "active", "verdict"),
    [
        ((), (), KEEP),
        (("never",), (), KEEP),
        (("never", "now"), (), Drop(Stage.MUTED, ("now",))),
        ((), ("now",), KEEP),
        ((), ("never", "now"), KEEP),
        ((), ("never",), Drop(Stage.INACTIVE, ("never",))),
        (("now",), ("now",), Drop(Stage.MUTED, ("now",))),
        (("never",), ("never",), Drop(Stage.INACTIVE, ("never",))),
    ],
)
def test_when_a_route_tells_nothing(mute: tuple[str, ...], active: tuple[str, ...], verdict: Verdict) -> None:
    route = replace(DEFAULT_ROUTE, mute_time_intervals=mute, active_time_intervals=active)

    assert off_time(route, TABLE, NOON) == verdict


def test_the_first_stage_that_holds_an_alert_back_is_the_reason() -> None:
    muted = Drop(Stage.MUTED, ("now",))

    assert first_drop(silenced([]), inhibited([]), KEEP) is None
    assert first_drop(silenced([]), inhibited([]), muted) == muted
    assert first_drop(silenced([]), inhibited(["a"]), muted) == Drop(Stage.INHIBITED, ("a",))
    assert first_drop(silenced(["s", "t"]), inhibited(["a"]), muted) == Drop(Stage.SILENCED, ("s", "t"))


def test_a_reason_comes_back_as_it_was_kept() -> None:
    drop = Drop(Stage.SILENCED, ("s", "t"))

    assert drop_of(drop.as_json()) == drop
    assert drop_of(None) is None
