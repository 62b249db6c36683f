"""Asking an analyzer about a made-up alert, so that people see whether it would answer."""

import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from alertagent.core.analysis.analyzers import Analyzers
from alertagent.core.analysis.model import AnalyzerSetup
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Delayed, Permanent, Problem
from alertagent.kernel.ids import new_id
from alertagent.kernel.labels import fingerprint
from alertagent.kernel.message import MessageAlert
from alertagent.plugins.analysis import AnalysisContext, Callback, Parked
from alertagent.plugins.transport import Transport
from alertagent.storage.breakers import Breakers

PATIENCE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of it."""

    outcome: Literal["analyzed", "parked", "retry_after", "refused"]
    code: str = ""
    message: str = ""
    analysis: dict[str, Any] | None = None
    duration_ms: int = 0


class Trials:
    """Asks past the breaker: this is how a person finds out that a provider is back. An answer closes it."""

    def __init__(
        self, analyzers: Analyzers, breakers: Breakers, transport: Transport, clock: Clock, *, callbacks_at: str
    ) -> None:
        self._analyzers = analyzers
        self._breakers = breakers
        self._transport = transport
        self._clock = clock
        self._callbacks_at = callbacks_at

    async def run(self, setup: AnalyzerSetup) -> Trial:
        """Raises NotFound for a plugin that is gone, Invalid for settings that it does not take any more."""
        chosen, now = self._analyzers.chosen(setup), self._clock.now()
        config = chosen.plugin.validate_config(chosen.config)
        started = time.perf_counter()
        run = _Passing(deadline=now + PATIENCE, callbacks_at=self._callbacks_at)
        try:
            answer = await chosen.plugin.analyze(config, _made_up(now), self._transport, run)
        except (Delayed, Permanent) as problem:
            return _refused(problem, started)
        if chosen.circuit is not None:
            await self._breakers.passed(chosen.circuit)
        if isinstance(answer, Parked):
            message = "the workflow took the question; a callback for a test is not waited for"
            return Trial(outcome="parked", message=message, duration_ms=_since(started))
        return Trial(outcome="analyzed", analysis=asdict(answer), duration_ms=_since(started))


class _Passing:
    """A run of which nothing is kept."""

    def __init__(self, *, deadline: datetime, callbacks_at: str) -> None:
        self.id = new_id()
        self.deadline = deadline
        self.notes: dict[str, str] = {}
        self._callbacks_at = callbacks_at

    async def note(self, **notes: str) -> None:
        self.notes |= notes

    async def open_callback(self, within: timedelta) -> Callback:
        return Callback(url=f"{self._callbacks_at}/{self.id}", token="test")  # noqa: S106 - opens nothing


def _refused(problem: Problem, started: float) -> Trial:
    outcome: Literal["retry_after", "refused"] = "retry_after" if isinstance(problem, Delayed) else "refused"
    return Trial(outcome=outcome, code=problem.code, message=problem.message, duration_ms=_since(started))


def _since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


def _made_up(now: datetime) -> AnalysisContext:
    labels = {"alertname": "AlertAgentTest", "severity": "info", "instance": "test"}
    annotations = {"summary": "A test alert from AlertAgent. Nothing is wrong. 这是一条测试告警。"}
    alert = MessageAlert(
        fingerprint=fingerprint(labels), status="firing", labels=labels, annotations=annotations, starts_at=now
    )
    return AnalysisContext(alert=alert, now=now)
