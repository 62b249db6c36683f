"""What Dify says: events of a stream, a run or messages that are looked up, and refusals. Pure.

A run that failed is HTTP 200 with `status: failed`, and once a stream is open errors come as an event.

Source: docs.dify.ai, "API Access" and "Errors"; langgenius/dify, `api/controllers/service_api/app`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alertagent.kernel.errors import Permanent, Problem, RateLimited
from alertagent.plugins.analysis import Analysis
from alertagent.plugins.analyzers.answers import count_of, object_of, read_object, read_text
from alertagent.plugins.analyzers.refusals import COME_BACK, by_status, redacted, words
from alertagent.plugins.text import cut, one_line

PROVIDER = "dify"

# How the app is set up; what must be done about it is the same for each answer with this code.
# Source: docs.dify.ai, "Errors".
_ADVICE = {
    "provider_not_initialize": "give the app's model provider its credentials in Dify",
    "provider_quota_exceeded": "the model provider's quota is used up; top it up or use another key in Dify",
    "model_currently_not_support": "choose another model in the Dify app",
    "completion_request_error": "the model refused the request; try the app in Dify",
    "app_unavailable": "publish the app in Dify",
    "not_workflow_app": "the API key belongs to another kind of app; correct app_type",
    "not_chat_app": "the API key belongs to another kind of app; correct app_type",
    "not_completion_app": "the API key belongs to another kind of app; correct app_type",
    "invalid_param": "the Start node may declare alert_name, alert_json, analysis_type, context_json and your inputs",
    "unauthorized": "check the API key",
    "rate_limit_error": "the quota of the Dify plan is used up until it is reset",
}
# Two answers with status 429 that mean different things: too many at once, and a used up plan.
_BUSY, _QUOTA = "too_many_requests", "rate_limit_error"


@dataclass(slots=True)
class Heard:
    """What a stream has said so far."""

    answer: str = ""
    tokens: int | None = None
    outputs: Mapping[str, Any] | None = None
    ended: bool = False


def refusal(status: int, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...] = ()) -> Problem:
    """What an answer other than 200 means; a gateway's is HTML."""
    code = (object_of(body) or {}).get("code")
    return refusal_of(code if isinstance(code, str) else "", status, headers, words(status, body, secrets))


def refusal_of(code: str, status: int, headers: Mapping[str, str], message: str) -> Problem:
    """By the code if it is known, otherwise by the status."""
    code = one_line(code)[:100]
    advice = _ADVICE.get(code)
    text = f"Dify: {message}" + (f"; {advice}" if advice else "")
    if code == _BUSY:
        return RateLimited(text, code=f"dify.{code}", retry_after=COME_BACK)
    if code == _QUOTA or (advice is not None and status < 500):
        return Permanent(text, code=f"dify.{code}")
    return by_status(status, headers, text, code=f"dify.{code}" if code else "")


def hear(heard: Heard, event: Mapping[str, Any], secrets: tuple[str, ...]) -> None:
    """Take one event in. Raises what an error event means, and Permanent for a run that failed."""
    data = event.get("data")
    inner: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    match event.get("event"):
        case "message" | "agent_message":
            heard.answer += _delta(event)
        case "message_replace":
            heard.answer = _delta(event)
        case "message_end":
            usage = _mapping(_mapping(event.get("metadata")).get("usage"))
            heard.tokens = count_of(usage.get("total_tokens"))
            heard.ended = True
        case "workflow_finished":
            heard.tokens = count_of(inner.get("total_tokens"))
            _require_success(inner, secrets)
            heard.outputs = _mapping(inner.get("outputs"))
            # In a chatflow the end of the message follows.
            heard.ended = "conversation_id" not in event
        case "workflow_paused" | "human_input_required":
            raise Permanent(_PAUSED, code="dify.paused")
        case "error":
            message = redacted(cut(one_line(str(event.get("message") or "")), 300), secrets)
            status = event.get("status")
            raise refusal_of(str(event.get("code") or ""), status if isinstance(status, int) else 500, {}, message)


_PAUSED = "Dify: the workflow waits for a person; an app that explains alerts must run without one"


def run_of(found: Mapping[str, Any], secrets: tuple[str, ...]) -> Analysis | None:
    if found.get("status") == "running":
        return None
    _require_success(found, secrets)
    outputs = found.get("outputs")
    if isinstance(outputs, str):
        outputs = object_of(outputs.encode("utf-8", "replace"))
    tokens = count_of(found.get("total_tokens"))
    return analysis_of(Heard(outputs=_mapping(outputs), tokens=tokens, ended=True))


def message_of(found: Mapping[str, Any], id: str | None) -> Analysis | None:
    data = found.get("data")
    messages = [_mapping(message) for message in data] if isinstance(data, list) else []
    answer = next((str(message.get("answer") or "") for message in messages if id in {None, message.get("id")}), "")
    return analysis_of(Heard(answer=answer, ended=True)) if answer else None


def _require_success(run: Mapping[str, Any], secrets: tuple[str, ...]) -> None:
    status = str(run.get("status"))
    if status == "paused":
        raise Permanent(_PAUSED, code="dify.paused")
    if status not in {"succeeded", "partial-succeeded"}:
        reason = redacted(cut(one_line(str(run.get("error") or "")), 300), secrets) or "it does not say why"
        raise Permanent(f"Dify: the run ended as {one_line(status)[:50]}: {reason}", code="dify.run_failed")


def analysis_of(heard: Heard) -> Analysis:
    """Raises Permanent where nothing was said."""
    found = None
    if heard.outputs is not None and not heard.answer:
        found = read_object(heard.outputs, provider=PROVIDER, tokens=heard.tokens)
        texts = [value for value in heard.outputs.values() if isinstance(value, str) and value.strip()]
        if found is None and texts:
            found = read_text(max(texts, key=len), provider=PROVIDER, tokens=heard.tokens)
    elif heard.answer.strip():
        found = read_text(heard.answer, provider=PROVIDER, tokens=heard.tokens)
    if found is None:
        raise Permanent("Dify: the run ended without an answer", code="dify.empty")
    return found


def _delta(event: Mapping[str, Any]) -> str:
    answer = event.get("answer")
    return answer if isinstance(answer, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
