"""Asking an analyzer what may have caused an alert, and keeping its answer with the episodes it was about."""

import asyncio
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import structlog

from alertagent.core.alerts.model import Alert, AnalysisStatus
from alertagent.core.alerts.service import Alerts
from alertagent.core.analysis.analyzers import Analyzers, Chosen, sql
from alertagent.core.analysis.context import Surroundings
from alertagent.core.analysis.model import RunRecord, RunStatus, still_meant
from alertagent.core.analysis.planning import Planning
from alertagent.core.analysis.runs import Runs, digest
from alertagent.core.audit.model import Actor
from alertagent.kernel.breaker import State, Wait
from alertagent.kernel.clock import Clock, rfc3339
from alertagent.kernel.errors import (
    Conflict,
    Delayed,
    External,
    Invalid,
    Permanent,
    Problem,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from alertagent.plugins.analysis import Analysis, AnalysisContext, Callback, Parked
from alertagent.plugins.analyzers.answers import read_object, read_text
from alertagent.plugins.text import cut, one_line
from alertagent.plugins.transport import Transport
from alertagent.storage.breakers import Breakers
from alertagent.storage.database import Database

MAX_ERROR = 500
DEFAULT_PAUSE = timedelta(seconds=10)

log = structlog.get_logger()


class Analyses:
    """Makes the attempts, takes the callbacks, and keeps what people think of the results."""

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        analyzers: Analyzers,
        *,
        planning: Planning,
        runs: Runs,
        surroundings: Surroundings,
        breakers: Breakers,
        transport: Transport,
        clock: Clock,
    ) -> None:
        self._database = database
        self._alerts = alerts
        self._analyzers = analyzers
        self._planning = planning
        self._runs = runs
        self._surroundings = surroundings
        self._breakers = breakers
        self._transport = transport
        self._clock = clock

    async def analyze(self, id: str, *, is_last_attempt: bool) -> None:
        """Make one attempt at a run. Raises a Delayed to be called again; whatever ends a run is stored before."""
        run = await self._runs.find(id)
        if run is None or run.status is not RunStatus.OPEN:
            return
        alerts = await self._meant(run)
        if not alerts:
            await self._runs.end(run, RunStatus.DROPPED, None)
            return
        try:
            await self._attempt(run, alerts)
        except Delayed as problem:
            if isinstance(problem, Unavailable) or not (is_last_attempt or self._is_too_late(run, problem)):
                raise
            await self._fail(run, problem)
        except Problem as problem:
            await self._fail(run, problem)

    async def give_up(self, id: str) -> None:
        """The callback of a run has not come in time."""
        run = await self._runs.find(id)
        if run is not None and not run.is_over:
            await self._fail(run, Permanent(f"no answer came before {rfc3339(run.deadline)}", code="analysis.overdue"))

    async def called_back(self, id: str, token: str, answer: Mapping[str, Any]) -> RunStatus:
        """Take what a provider delivers for a run; the same once more changes nothing.

        Raises Unauthorized for a token that is not this run's, Conflict when the run ended without the callback.
        """
        run = await self._runs.find(id)
        if run is None or run.callback_digest is None or not hmac.compare_digest(run.callback_digest, digest(token)):
            raise Unauthorized("this token opens no analysis; each is good for one", code="analysis.token_invalid")
        if not run.is_over and self._clock.now() < run.deadline:
            status, result = _delivered(answer, await self._provider(run))
            if await self._runs.end(run, status, result, called_back=True):
                log.info("analysis.called_back", run=id, status=status)
                return status
            run = await self._runs.find(id) or run
        if run.called_back:
            return run.status
        raise Conflict(
            f"nobody waits for this analysis any more: its deadline was {rfc3339(run.deadline)}", code="analysis.over"
        )

    async def request(self, fingerprint: str) -> None:
        """A person wants this alert analysed now. Raises NotFound, and Conflict while an analysis runs."""
        alert = await self._alerts.get(fingerprint)
        if alert.analysis_status is AnalysisStatus.ANALYZING and await self._is_running(alert):
            raise Conflict("this alert is being analysed; wait for that", code="analysis.running")
        async with self._database.transaction() as transaction:
            await self._planning.request(transaction, alert)

    async def give_feedback(self, actor: Actor, fingerprint: str, verdict: str, comment: str) -> None:
        """Keep what somebody thinks of an analysis. Raises NotFound, and Conflict where there is none."""
        alert = await self._alerts.get(fingerprint)
        if alert.analysis_status is not AnalysisStatus.ANALYZED:
            raise Conflict("this alert has no analysis to judge", code="analysis.missing")
        async with self._database.transaction() as transaction:
            values = (fingerprint, alert.episode, actor.name, verdict, comment, self._clock.now())
            await transaction.execute(sql.give_feedback, *values)
            detail = {"verdict": verdict, "comment": comment}
            await self._alerts.note(transaction, [(fingerprint, alert.episode)], "feedback", detail, actor.name)

    async def tidy(self) -> None:
        for id in await self._runs.overdue():
            await self.give_up(id)
        await self._runs.forget_old()
        await self._breakers.forget_old()

    async def _attempt(self, run: RunRecord, alerts: Sequence[Alert]) -> None:
        chosen = await self._analyzers.of_run(run.analyzer_id)
        context = await self._surroundings.of(run.id, alerts, with_values=not chosen.plugin.is_free)
        started = time.perf_counter()
        answer = await self._asked(chosen, run, context)
        if isinstance(answer, Parked):
            await self._runs.park(run.id)
            return
        seconds = time.perf_counter() - started
        result = {**asdict(answer), "duration": round(seconds, 6), "analyzer": chosen.name}
        if await self._runs.end(run, RunStatus.ANALYZED, result):
            log.info("alert.analyzed", run=run.id, provider=answer.provider, seconds=round(seconds, 4))

    async def _asked(self, chosen: Chosen, run: RunRecord, context: AnalysisContext) -> Analysis | Parked:
        """The answer, through the provider's breaker. Raises Permanent at once where that is open."""
        kept = _KeptRun(self._runs, run)
        config = chosen.plugin.validate_config(chosen.config)
        circuit = chosen.circuit
        if circuit is None:
            return await chosen.plugin.analyze(config, context, self._transport, kept)
        # What runs at the provider already is fetched, however it fares.
        if run.notes.get("asked"):
            return await self._guarded(circuit, chosen, config, context, kept)
        async with self._breakers.admitted(circuit) as wait:
            if wait is not None:
                raise _shut(chosen.name, wait, self._clock.now())
            return await self._guarded(circuit, chosen, config, context, kept)

    async def _guarded(
        self, circuit: str, chosen: Chosen, config: Any, context: AnalysisContext, run: "_KeptRun"
    ) -> Analysis | Parked:
        left = (run.deadline - self._clock.now()).total_seconds()
        try:
            async with asyncio.timeout(max(left, 0.1)):
                answer = await chosen.plugin.analyze(config, context, self._transport, run)
        except RateLimited as problem:
            await self._breakers.paused(circuit, self._clock.now() + (problem.retry_after or DEFAULT_PAUSE))
            raise
        except External:
            await self._breakers.failed(circuit)
            raise
        except TimeoutError:
            await self._breakers.failed(circuit)
            raise Permanent("no answer before the deadline", code="analysis.overdue") from None
        except Permanent as problem:
            # A refusal shows that somebody is there; a connection that was cut does not.
            await (self._breakers.failed if problem.code.endswith("run_unknown") else self._breakers.passed)(circuit)
            raise
        await self._breakers.passed(circuit)
        return answer

    def _is_too_late(self, run: RunRecord, problem: Delayed) -> bool:
        """Whether another attempt would come when nobody waits any more."""
        return self._clock.now() + (problem.retry_after or timedelta()) >= run.deadline

    async def _fail(self, run: RunRecord, problem: Problem) -> None:
        reason = cut(one_line(problem.message), MAX_ERROR)
        if await self._runs.end(run, RunStatus.FAILED, {"error": reason, "code": problem.code}):
            log.warning("analysis.failed", run=run.id, code=problem.code, reason=reason)

    async def _meant(self, run: RunRecord) -> list[Alert]:
        found = await self._alerts.find([fingerprint for fingerprint, _ in run.episodes])
        return still_meant(run, found)

    async def _is_running(self, alert: Alert) -> bool:
        run = await self._runs.find(alert.task_id) if alert.task_id is not None else None
        return run is not None and not run.is_over and self._clock.now() < run.deadline

    async def _provider(self, run: RunRecord) -> str:
        try:
            return (await self._analyzers.of_run(run.analyzer_id)).plugin.name
        except Permanent:  # it was deleted meanwhile
            return "callback"


class _KeptRun:
    """A run as its plugin sees it: what it notes is a row."""

    def __init__(self, runs: Runs, run: RunRecord) -> None:
        self._runs = runs
        self.id = run.id
        self.deadline: datetime = run.deadline
        self._notes = dict(run.notes)

    @property
    def notes(self) -> Mapping[str, str]:
        return self._notes

    async def note(self, **notes: str) -> None:
        await self._runs.note(self.id, notes)
        self._notes |= notes

    async def open_callback(self, within: timedelta) -> Callback:
        callback, self.deadline = await self._runs.open_callback(self.id, within)
        return callback


def _shut(name: str, wait: Wait, now: datetime) -> Problem:
    """Open: the notification goes out without an analysis. Paused: a little later will do."""
    if wait.state is State.PAUSED:
        return RateLimited(f'analyzer "{name}" is asked too much', code="analyzer.paused", retry_after=wait.until - now)
    return Permanent(
        f'analyzer "{name}" has failed too often and is left alone until {rfc3339(wait.until)}', code="analyzer.open"
    )


def _delivered(answer: Mapping[str, Any], provider: str) -> tuple[RunStatus, Mapping[str, Any]]:
    """What a callback says, as the result of its run. Raises Invalid when it says nothing."""
    if answer.get("status") == "failed":
        reason = cut(one_line(str(answer.get("error") or "the workflow failed")), MAX_ERROR)
        return RunStatus.FAILED, {"error": reason, "code": "analysis.workflow_failed"}
    found = answer.get("analysis")
    analysis = (
        read_text(found, provider=provider) if isinstance(found, str) else read_object(found or {}, provider=provider)
    )
    if analysis is None:
        raise Invalid('"analysis" must have a summary or a root_cause', code="analysis.empty")
    return RunStatus.ANALYZED, asdict(analysis)
