"""Analyzers, the policy and analyses over HTTP."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from alertagent.core.alerts.api import AlertView, view
from alertagent.core.alerts.service import Alerts
from alertagent.core.analysis.analyzers import Analyzers
from alertagent.core.analysis.model import LONGEST_HOLD, AnalyzerSetup, Policy
from alertagent.core.analysis.policies import Policies
from alertagent.core.analysis.service import Analyses
from alertagent.core.analysis.trial import Trial, Trials
from alertagent.core.audit.model import actor_of
from alertagent.kernel.breaker import Breaker, State
from alertagent.kernel.clock import Clock
from alertagent.kernel.matchers import parse_matcher
from alertagent.storage.pages import PageRequest
from alertagent.web.access import PUBLIC, editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import NAMING, Duration, ListQuery, Model
from alertagent.web.replies import Page, Reply
from alertagent.web.routes import delete, get, post, put

Name = Annotated[str, Field(min_length=1, max_length=100), NAMING]
Default = Annotated[bool, Field(description="Is asked; the one before is not any more. Without one: the heuristic.")]


class AnalyzerRequest(Model):
    name: Name
    provider: Annotated[Name, Field(description="dify, n8n, openai, heuristic, or that of an installed plugin.")]
    config: dict[str, Any] = {}
    enabled: bool = True
    default: Default = False


class AnalyzerChange(Model):
    """What is given replaces, what is absent stays; `"***"` inside config keeps a secret."""

    name: Name | None = None
    provider: Name | None = None
    config: dict[str, Any] | None = None
    enabled: bool | None = None
    default: Default | None = None

    def changes(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {
            ("is_default" if name == "default" else name): value for name, value in given.items() if value is not None
        }


class CircuitView(Model):
    """Whether the provider is asked: `open` means that it failed too often and is left alone until then."""

    state: State
    until: datetime | None
    failures: Annotated[int, Field(description="Among the last 20 attempts.")]
    attempts: int


class AnalyzerView(Model):
    """An analyzer; secrets in `config` read as `"***"`. `circuit` is null where nothing can fail."""

    id: str
    name: str
    provider: str
    config: dict[str, Any]
    enabled: bool
    default: bool
    circuit: CircuitView | None
    created_at: datetime
    updated_at: datetime
    unreadable: Annotated[str | None, Field(description="Why its settings do not open, where that is so.")]


class TrialView(Model):
    """What the provider said to a made-up alert. `parked`: it took the question and would call back."""

    outcome: Literal["analyzed", "parked", "retry_after", "refused"]
    code: str
    message: str
    analysis: dict[str, Any] | None
    duration_ms: int


class PolicyRequest(Model):
    """What is given replaces, what is absent stays."""

    filter: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=2048)], ...], Field(max_length=20)] | None = (
        None
    )
    hold: Annotated[Duration, Field(ge=timedelta(0), le=LONGEST_HOLD)] | None = None
    max_per_hour: Annotated[int, Field(ge=0, le=100_000)] | None = None

    @field_validator("filter")
    @classmethod
    def _are_matchers(cls, filter: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in filter or ():
            parse_matcher(text)
        return filter

    def changes(self) -> dict[str, Any]:
        return {name: value for name in self.model_fields_set if (value := getattr(self, name)) is not None}


class PolicyView(Model):
    """An alert is analysed if all matchers of `filter` fit it."""

    filter: tuple[str, ...]
    hold: Annotated[Duration, Field(description="How long a notification waits for the analysis at most.")]
    max_per_hour: Annotated[int, Field(description="Runs of analyzers that somebody may bill.")]
    updated_by: str | None
    updated_at: datetime | None


def _finding(value: object) -> object:
    if value is None or isinstance(value, dict | str):
        return value
    raise ValueError("write an object or a text")


def _number(value: object) -> object:
    if value is None or isinstance(value, int | str):
        return value
    raise ValueError("write a text or a whole number")


class CallbackRequest(Model):
    """What a workflow found, as an object with `summary`, `root_cause`, `confidence`, `suggestions` … or as a text."""

    task_id: Annotated[str, Field(max_length=100)] | None = None
    status: Literal["succeeded", "failed"] = "succeeded"
    analysis: Annotated[dict[str, Any] | str | None, BeforeValidator(_finding)] = None
    error: str | None = None
    execution_id: Annotated[str | int | None, BeforeValidator(_number)] = None


class CallbackView(Model):
    task_id: str
    status: Annotated[str, Field(description="analyzed or failed")]


class FeedbackRequest(Model):
    verdict: Literal["up", "down"]
    comment: Annotated[str, Field(max_length=2_000)] = ""


class AnalysisApi:
    def __init__(
        self,
        alerts: Alerts,
        clock: Clock,
        *,
        analyzers: Analyzers,
        policies: Policies,
        analyses: Analyses,
        trials: Trials,
    ) -> None:
        self._alerts = alerts
        self._analyzers = analyzers
        self._policies = policies
        self._analyses = analyses
        self._trials = trials
        self._clock = clock

    @get("/analyzers", access=viewer("analyzers:read"))
    async def list(self, call: Call, query: ListQuery) -> Page[AnalyzerView]:
        """The analyzers, and whether their providers are asked. Where none is the default, the heuristic is."""
        setups, next_cursor, total = await self._analyzers.page(PageRequest(**query.model_dump()))
        circuits = await self._analyzers.circuits(setups)
        views = [self._view(setup, circuits.get(setup.id)) for setup in setups]
        return Page(items=views, next_cursor=next_cursor, total=total)

    @post("/analyzers", access=editor("analyzers:write"), status=201)
    async def add(self, call: Call, body: AnalyzerRequest) -> Reply[AnalyzerView]:
        """Make an analyzer."""
        values = body.model_dump(exclude={"default"}) | {"is_default": body.default}
        return await self._reply(await self._analyzers.add(actor_of(call), values))

    @get("/analyzers/{id}", access=viewer("analyzers:read"))
    async def read(self, call: Call, id: str) -> Reply[AnalyzerView]:
        """One analyzer."""
        return await self._reply(await self._analyzers.get(id))

    @put("/analyzers/{id}", access=editor("analyzers:write"))
    async def revise(self, call: Call, id: str, body: AnalyzerChange) -> Reply[AnalyzerView]:
        """Change an analyzer."""
        return await self._reply(await self._analyzers.revise(actor_of(call), id, body.changes(), call.expected))

    @delete("/analyzers/{id}", access=editor("analyzers:write"))
    async def remove(self, call: Call, id: str) -> None:
        """Delete an analyzer."""
        await self._analyzers.remove(actor_of(call), id, call.expected)

    @post("/analyzers/{id}/test", access=editor("analyzers:write"))
    async def test(self, call: Call, id: str) -> TrialView:
        """Ask about a made-up alert, also while the breaker is open; an answer closes that."""
        return _trial(await self._trials.run(await self._analyzers.get(id)))

    @post("/analyzers/{id}/breaker/reset", access=editor("analyzers:write"))
    async def reset(self, call: Call, id: str) -> CircuitView:
        """Close the breaker of an analyzer, and of all that share its credential: its provider is asked again."""
        await self._analyzers.reset(actor_of(call), await self._analyzers.get(id))
        return _circuit(Breaker(), self._clock.now())

    @get("/analysis/policy", access=viewer("analysis:read"))
    async def policy(self, call: Call) -> Reply[PolicyView]:
        """Which alerts are analysed, how often, and how long a notification waits for it."""
        return _policy(await self._policies.get())

    @put("/analysis/policy", access=editor("analysis:write"))
    async def revise_policy(self, call: Call, body: PolicyRequest) -> Reply[PolicyView]:
        """Change the policy."""
        return _policy(await self._policies.revise(actor_of(call), body.changes(), call.expected))

    @post("/analysis/callbacks/{task_id}", access=PUBLIC)
    async def callback(self, call: Call, task_id: str, body: CallbackRequest) -> CallbackView:
        """Deliver the result of an analysis, with the token that came with the question. Works once."""
        answer = body.model_dump()
        return CallbackView(task_id=task_id, status=await self._analyses.called_back(task_id, call.bearer, answer))

    @post("/alerts/{id}/analyze", access=editor("alerts:ack"), status=202)
    async def analyze(self, call: Call, id: str) -> Reply[AlertView]:
        """Have an alert analysed now, whatever the policy says."""
        await self._analyses.request(id)
        return Reply(data=await view(self._alerts, id))

    @post("/alerts/{id}/feedback", access=editor("alerts:ack"))
    async def feedback(self, call: Call, id: str, body: FeedbackRequest) -> Reply[AlertView]:
        """Say whether the analysis of an alert was of use; the next analysis of such an alert is told."""
        await self._analyses.give_feedback(actor_of(call), id, body.verdict, body.comment)
        return Reply(data=await view(self._alerts, id))

    def _view(self, setup: AnalyzerSetup, breaker: Breaker | None) -> AnalyzerView:
        names = AnalyzerView.model_fields.keys() - {"default", "circuit"}
        values = {name: getattr(setup, name) for name in names}
        circuit = _circuit(breaker, self._clock.now()) if breaker is not None else None
        shown = {"config": self._analyzers.masked(setup), "default": setup.is_default, "circuit": circuit}
        return AnalyzerView(**{**values, **shown})

    async def _reply(self, setup: AnalyzerSetup) -> Reply[AnalyzerView]:
        circuits = await self._analyzers.circuits([setup])
        return Reply(data=self._view(setup, circuits.get(setup.id)), etag=str(setup.revision))


def _circuit(breaker: Breaker, now: datetime) -> CircuitView:
    state = breaker.state(now)
    until = {State.OPEN: breaker.open_until, State.PAUSED: breaker.paused_until}.get(state)
    return CircuitView(state=state, until=until, failures=sum(breaker.recent), attempts=len(breaker.recent))


def _policy(policy: Policy) -> Reply[PolicyView]:
    values = {name: getattr(policy, name) for name in PolicyView.model_fields}
    return Reply(data=PolicyView(**values), etag=str(policy.revision))


def _trial(trial: Trial) -> TrialView:
    return TrialView(**{name: getattr(trial, name) for name in TrialView.model_fields})
