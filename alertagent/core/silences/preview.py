"""What a silence would mute among what fires: told beforehand, and refused where it is everything."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from alertagent.core.alerts.firing import FiringAlert, FiringAlerts
from alertagent.core.silences.coverage import Coverage
from alertagent.core.silences.guard import MANY, fits_any, refusal
from alertagent.core.silences.model import Silence, SilenceMatcher
from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import Operator
from alertagent.storage.database import Executor

SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """`total` of the `firing` alerts would be muted, first among them `alerts`; `overlaps` fit some of them, too."""

    total: int
    firing: int
    alerts: Sequence[FiringAlert]
    overlaps: Sequence[Silence]


async def preview(matchers: Sequence[SilenceMatcher], firing: FiringAlerts, unexpired: Coverage) -> Preview:
    """Look at all that could be meant."""
    total, shown, overlaps = 0, list[FiringAlert](), dict[str, Silence]()
    async for some in firing.having(_demanded(matchers)):
        fitting = [alert for alert in some if _fit(matchers, alert.labels)]
        total += len(fitting)
        shown += fitting[: SHOWN - len(shown)]
        overlaps |= {silence.id: silence for alert in fitting for silence in unexpired.fitting(alert.labels)}
    same = [silence for silence in unexpired.silences if set(silence.matchers) == set(matchers)]
    overlaps |= {silence.id: silence for silence in same}
    return Preview(
        total=total,
        firing=max(total, await firing.count()),
        alerts=shown,
        overlaps=[overlaps[id] for id in sorted(overlaps)],
    )


async def refuse_all(matchers: Sequence[SilenceMatcher], firing: FiringAlerts, executor: Executor) -> None:
    """Raises Invalid when they fit whatever may fire, or each of the many alerts that do."""
    any_alert = fits_any(matchers)
    if not any_alert and not await _fit_all(matchers, firing, executor):
        return
    count = await firing.count(executor)
    muted = 0
    async for some in firing.having(_demanded(matchers), executor):
        muted += sum(_fit(matchers, alert.labels) for alert in some)
    if any_alert or count >= MANY:
        raise refusal(muted, count, any_alert=any_alert)


async def _fit_all(matchers: Sequence[SilenceMatcher], firing: FiringAlerts, executor: Executor) -> bool:
    """Nearly always the first few alerts have one that they do not fit."""
    async with aclosing(firing.having({}, executor)) as everything:
        async for some in everything:
            if not all(_fit(matchers, alert.labels) for alert in some):
                return False
    return True


def _fit(matchers: Sequence[SilenceMatcher], labels: Labels) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)


def _demanded(matchers: Sequence[SilenceMatcher]) -> Labels:
    """What the database can choose by; that two values are demanded of one label is found out later."""
    return {matcher.name: matcher.value for matcher in matchers if matcher.operator is Operator.EQUAL and matcher.value}
