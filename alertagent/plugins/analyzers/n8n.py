"""n8n: a workflow behind a webhook, which answers at once (`sync`) or later by our callback.

What surprises: HTTP 200 with an empty body is a workflow that failed, or one that never reached its Respond node. A
workflow whose webhook is not registered answers 404, also for some seconds after n8n has started. Answers to errors
carry stack traces with paths of the server. And a workflow that was called knows no idempotency: what may have run is
not called again.

Source: a real n8n (1.64, 1.100 and 1.123), tried; docs.n8n.io, "Webhook".
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator

from alertagent import __version__
from alertagent.kernel.clock import rfc3339
from alertagent.kernel.durations import parse_duration
from alertagent.kernel.errors import External, Permanent, Problem
from alertagent.plugins.analysis import Analysis, AnalysisContext, Analyzer, Callback, Parked, Run
from alertagent.plugins.analyzers import question
from alertagent.plugins.analyzers.answers import object_of, read_object
from alertagent.plugins.analyzers.refusals import by_status, words
from alertagent.plugins.config import described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.n8n import N8nConfig as WebhookConfig
from alertagent.plugins.transport import HttpRequest, Transport, Unanswered, Unreachable

LEAST, LONGEST = timedelta(seconds=1), timedelta(minutes=5)
LONGEST_CALLBACK = timedelta(hours=1)
# What an instance that has to take the question has to answer within.
TAKEN_WITHIN = timedelta(seconds=30)
LARGEST = 1024 * 1024

_STARTED = "Workflow was started"
_NOT_REGISTERED = "not registered"
# A gateway waited no longer, and n8n may go on.
_GATEWAY_GAVE_UP = frozenset({504, 524})
# Answers with status 500 of a workflow that did run, or never can.
_FAILED_INSIDE = ("Error in workflow", "No Respond to Webhook node", "problem executing the workflow")


class Mode(StrEnum):
    SYNC = "sync"
    CALLBACK = "callback"


def _usable_deadline(text: str) -> str:
    if not LEAST <= parse_duration(text) <= LONGEST_CALLBACK:
        raise ValueError("the deadline must lie between 1s and 1h")
    return text


class N8nConfig(WebhookConfig):
    """The webhook as a channel has it, and how the answer comes."""

    mode: Annotated[
        Mode,
        described(
            Bilingual(zh="模式", en="Mode"),
            Bilingual(
                zh="sync：Webhook 的响应就是结果；callback：工作流稍后回调",
                en="sync: the webhook's answer is the result; callback: the workflow calls back later",
            ),
        ),
    ] = Mode.SYNC
    deadline: Annotated[
        Annotated[str, AfterValidator(_usable_deadline)],
        described(
            Bilingual(zh="期限", en="Deadline"),
            Bilingual(
                zh="等待结果的最长时间，例如 2m（sync 最多 5m，callback 最多 1h）",
                en="How long to wait for the result, such as 2m (at most 5m for sync, 1h for callback)",
            ),
        ),
    ] = "2m"

    @property
    def patience(self) -> timedelta:
        longest = LONGEST if self.mode is Mode.SYNC else LONGEST_CALLBACK
        return min(parse_duration(self.deadline), longest)


class N8n(Analyzer[N8nConfig]):
    """Calls a workflow."""

    name = "n8n"
    version = __version__
    display_name = Bilingual(zh="n8n", en="n8n")
    description = Bilingual(zh="由 n8n 工作流分析告警", en="Has an n8n workflow explain alerts")
    Config = N8nConfig
    url_field = "webhook_url"

    async def analyze(
        self, config: N8nConfig, context: AnalysisContext, transport: Transport, run: Run
    ) -> Analysis | Parked:
        if run.notes.get("asked"):
            if config.mode is Mode.CALLBACK:
                return Parked()
            raise Permanent(_UNKNOWN, code="n8n.run_unknown")
        callback = await run.open_callback(config.patience) if config.mode is Mode.CALLBACK else None
        deadline = run.deadline if callback is not None else min(run.deadline, context.now + config.patience)
        await run.note(asked="yes")
        try:
            answer = await transport.send(_request(config, context, run.id, deadline, callback))
        except Unreachable:
            await run.note(asked="")
            raise
        except Unanswered as problem:
            if callback is not None:
                return Parked()
            raise Permanent(f"{problem.message}. {_UNKNOWN}", code="n8n.run_unknown") from problem
        if answer.status in _GATEWAY_GAVE_UP:
            if callback is not None:
                return Parked()
            raise Permanent(f"A gateway before n8n gave up. {_UNKNOWN}", code="n8n.run_unknown")
        if not 200 <= answer.status < 300:
            await run.note(asked="")
            raise refusal(answer.status, answer.headers, answer.body, _secrets(config))
        return Parked() if callback is not None else read_reply(answer.body)


_UNKNOWN = "Whether the workflow ran is not known, and calling it again might run it twice"


def read_reply(body: bytes) -> Analysis:
    """The result inside an answer with status 200. Raises Permanent where it is none."""
    answer = object_of(body)
    if answer is None:
        raise Permanent(
            "n8n answered 200 without a result: the workflow failed, or its Respond to Webhook node did; look at its "
            "executions",
            code="n8n.workflow_failed",
        )
    if answer.get("message") == _STARTED:
        raise Permanent(
            "n8n answered that the workflow was started, and no more: let the Webhook node respond when the last node "
            "finishes or by a Respond to Webhook node, or use mode callback",
            code="n8n.responds_immediately",
        )
    analysis = read_object(answer, provider=N8n.name)
    if analysis is None:
        raise Permanent('n8n answered without an "analysis" that has a summary or a root_cause', code="n8n.no_analysis")
    return analysis


def refusal(status: int, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...] = ()) -> Problem:
    """What an answer other than 2xx means."""
    message = words(status, body, secrets)
    text = f"n8n: {message}"
    if status == 404 and _NOT_REGISTERED in message:
        # n8n says so also in its first seconds; when the tries are used up, it is true.
        return External(f"{text} Activate the workflow", code="n8n.not_registered", retry_after=timedelta(seconds=5))
    if status >= 500 and any(part in message for part in _FAILED_INSIDE):
        return Permanent(f"{text}; look at the workflow's executions", code="n8n.workflow_failed")
    return by_status(status, headers, text, code=f"http.{status}")


def _request(
    config: N8nConfig, context: AnalysisContext, id: str, deadline: datetime, callback: Callback | None
) -> HttpRequest:
    payload: dict[str, Any] = {
        "version": "1",
        "task_id": id,
        "idempotency_key": id,
        "analysis_type": question.ANALYSIS_TYPE,
        "alert": question.alert_of(context.alert),
        "context": question.surroundings(context),
        "deadline": rfc3339(deadline),
    }
    if callback is not None:
        payload |= {"callback_url": callback.url, "callback_token": callback.token}
    headers = {"Content-Type": "application/json", "webhook-id": id}
    if config.header_name and config.header_value is not None:
        headers[config.header_name] = config.header_value.get_secret_value()
    return HttpRequest(
        url=config.webhook_url.get_secret_value(),
        headers=headers,
        body=orjson.dumps(payload),
        timeout=TAKEN_WITHIN if callback is not None else config.patience,
        answer_limit=LARGEST,
    )


def _secrets(config: N8nConfig) -> tuple[str, ...]:
    value = config.header_value
    return (value.get_secret_value(),) if value is not None else ()
