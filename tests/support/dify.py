"""A Dify app as the real one behaves: the key selects the app, a stream of events answers, errors come as JSON.

`runs` counts what would have been billed. A run goes on when its reader is gone, and can be looked up.
"""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Literal, Self

from aiohttp import web

from tests.support.serving import serving

KEY = "app-CANARYdify0123456789"
RUN, TASK, MESSAGE, CONVERSATION = "run-1", "task-1", "message-1", "conversation-1"

# Source: docs.dify.ai, "Errors".
ERRORS: Mapping[str, tuple[int, str]] = {
    "invalid_param": (400, "alert_name is required in input form"),
    "app_unavailable": (400, "App unavailable, please check your app configurations."),
    "not_workflow_app": (400, "Please check if your app mode matches the right API route."),
    "provider_not_initialize": (400, "No valid model provider credentials found."),
    "provider_quota_exceeded": (400, "Your quota for Dify Hosted Model Provider has been exhausted."),
    "model_currently_not_support": (400, "Dify Hosted OpenAI trial currently not support the GPT-4 model."),
    "completion_request_error": (400, "Completion request failed."),
    "unauthorized": (401, f"Access token is invalid: {KEY}"),
    "forbidden": (403, "The api key is not allowed"),
    "not_found": (404, "The requested URL was not found on the server."),
    "file_too_large": (413, "File size exceeded."),
    "unsupported_file_type": (415, "File type not allowed."),
    "too_many_requests": (429, "Too many requests. Please try again later. The current maximum is 10."),
    "rate_limit_error": (429, "Rate Limit Error"),
    "internal_server_error": (500, "The server encountered an internal error."),
}

_KIND_OF = {"workflows/run": "workflow", "chat-messages": "chat", "completion-messages": "completion"}


class DifyApp:
    """An async context manager. `kind` is what the key opens: workflow, chat (agents, too), completion or chatflow.

    `drop_after` cuts the connection behind so many events; the run then ends by itself after `ends_after` look-ups.
    """

    def __init__(self, kind: Literal["workflow", "chat", "chatflow", "completion"] = "workflow") -> None:
        self.kind = kind
        self.outputs: Any = {"text": '{"summary": "disk full", "root_cause": "logs grew", "confidence": 0.8}'}
        self.answer = '{"summary": "disk full", "root_cause": "logs grew", "confidence": 0.8}'
        self.status = "succeeded"
        self.error: str | None = None
        self.drop_after: int | None = None
        self.ends_after = 0
        self.hangs = False
        self.stream_error: str | None = None
        self.runs = 0
        self.looked_up = 0
        self.requests: list[dict[str, Any]] = []
        self._next: deque[web.Response] = deque()
        self._stack = AsyncExitStack()
        self._origin = ""

    @property
    def url(self) -> str:
        return f"{self._origin}/v1"

    def refuse_next(self, *codes: str) -> None:
        for code in codes:
            status, message = ERRORS[code]
            body = {"code": code, "message": message, "status": status}
            self._next.append(web.json_response(body, status=status))

    def gateway_next(self, status: int) -> None:
        """As a proxy before Dify answers."""
        self._next.append(web.Response(status=status, text="<html>Bad gateway</html>", content_type="text/html"))

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/{path:.*}", self._run)
        app.router.add_get("/v1/workflows/run/{id}", self._run_detail)
        app.router.add_get("/v1/messages", self._messages)
        self._origin = await self._stack.enter_async_context(serving(app))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _run(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        if refused := self._refused(request) or self._wrong_kind(request.match_info["path"]):
            return refused
        assert body["response_mode"] == "streaming"
        assert body["user"]
        self.runs += 1
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number, event in enumerate(self._events()):
            if number == self.drop_after:
                assert request.transport is not None
                request.transport.abort()
                return response
            if self.hangs and number == 1:
                await asyncio.Event().wait()
            await response.write(event)
        return response

    def _refused(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            self.refuse_next("unauthorized")
        return self._next.popleft() if self._next else None

    def _wrong_kind(self, path: str) -> web.Response | None:
        kind = _KIND_OF.get(path)
        if kind == self.kind.replace("chatflow", "chat"):
            return None
        code = f"not_{kind}_app" if kind else "not_found"
        return web.json_response({"code": code, "message": "App mode mismatch.", "status": 400}, status=400)

    def _events(self) -> list[bytes]:
        ids: dict[str, Any] = {"task_id": TASK}
        if self.kind in {"workflow", "chatflow"}:
            ids["workflow_run_id"] = RUN
        if self.kind != "workflow":
            ids |= {"message_id": MESSAGE}
        if self.kind in {"chat", "chatflow"}:
            ids |= {"conversation_id": CONVERSATION}
        events: list[bytes] = []
        if "workflow_run_id" in ids:
            events.append(_event(event="workflow_started", **ids, data={"id": RUN, "workflow_id": "w"}))
        if self.stream_error:
            status, message = ERRORS[self.stream_error]
            return [*events, _event(event="error", **ids, status=status, code=self.stream_error, message=message)]
        events += [b"event: ping\n\n", _event(event="node_started", **ids, data={"id": "n", "title": "开始"})]
        if self.kind != "workflow":
            half = len(self.answer) // 2
            for part in (self.answer[:half], self.answer[half:]):
                events.append(_event(event="message", **ids, answer=part))
        if "workflow_run_id" in ids:
            events.append(_event(event="workflow_finished", **ids, data=self._result()))
        if self.kind != "workflow":
            events.append(_event(event="message_end", **ids, metadata={"usage": {"total_tokens": 42}}))
        return events

    def _result(self) -> dict[str, Any]:
        return {
            "id": RUN,
            "status": self.status,
            "outputs": self.outputs,
            "error": self.error,
            "total_tokens": 42,
            "total_steps": "1",
            "elapsed_time": 0.3,
        }

    async def _run_detail(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        self.looked_up += 1
        if request.match_info["id"] != RUN:
            return web.json_response({"code": "not_found", "message": "no run", "status": 404}, status=404)
        if self.looked_up <= self.ends_after:
            return web.json_response({**self._result(), "status": "running", "outputs": None})
        return web.json_response({**self._result(), "outputs": json.dumps(self.outputs)})

    async def _messages(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        self.looked_up += 1
        assert request.query["conversation_id"] == CONVERSATION
        answer = self.answer if self.looked_up > self.ends_after else ""
        return web.json_response({"data": [{"id": MESSAGE, "answer": answer}], "has_more": False, "limit": 20})


def _event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"
