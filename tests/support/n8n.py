"""An n8n webhook as the real one behaves: stack traces, the empty 200 of a failed workflow and the hang included."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Self

from aiohttp import web

from tests.support.serving import serving
from tests.support.waiting import Inbox

SECRET = "CANARY-n8n-header"
HEADER = ("X-N8N-Secret", SECRET)
STACK = "NotFoundError: …\n    at LiveWebhooks.findWebhook (/usr/local/lib/node_modules/n8n/dist/live-webhooks.js:128)"

RESULT = {
    "analysis": {"summary": "disk full", "root_cause": "logs grew", "confidence": 0.7, "suggestions": ["rotate"]},
    "execution_id": "3",
}

# Source: n8n 1.64.3, 1.100.1 and 1.123.50, tried.
ANSWERS: Mapping[str, tuple[int, Any]] = {
    "result": (200, RESULT),
    "started": (200, {"message": "Workflow was started"}),
    "accepted": (202, {"status": "accepted", "execution_id": "12"}),
    "not_registered": (
        404,
        {
            "code": 404,
            "message": 'The requested webhook "POST alerts" is not registered.',
            "hint": "The workflow must be active for a production URL to run successfully. You can activate the "
            "workflow using the toggle in the top-right of the editor. Note that unlike test URL calls, production URL "
            "calls aren't shown on the canvas (only in the executions list)",
            "stacktrace": STACK,
        },
    ),
    "test_not_registered": (
        404,
        {
            "code": 404,
            "message": 'The requested webhook "alerts" is not registered.',
            "hint": "Click the 'Execute workflow' button on the canvas, then try again. (In test mode, the webhook "
            "only works for one call after you click this button)",
            "stacktrace": STACK,
        },
    ),
    "wrong_method": (
        404,
        {
            "code": 404,
            "message": "This webhook is not registered for GET requests. Did you mean to make a POST request?",
            "stacktrace": STACK,
        },
    ),
    "unauthorized": (403, "Authorization data is wrong!"),
    "workflow_error": (500, {"message": "Error in workflow"}),
    "empty": (200, b""),
    "no_respond_node": (
        500,
        {"code": 0, "message": "No Respond to Webhook node found in the workflow", "stacktrace": STACK},
    ),
    "not_json": (422, {"code": 422, "message": "Failed to parse request body", "hint": "…", "stacktrace": STACK}),
    "too_large": (
        500,
        {"code": 0, "message": "There was a problem executing the workflow", "stacktrace": STACK},
    ),
    "gateway": (502, b"<html>Bad Gateway</html>"),
    "gateway_timeout": (504, b"<html>Gateway Time-out</html>"),
    "busy": (429, {"message": "Too many requests"}),
}


class N8nWebhook:
    """An async context manager. Answers the `result` unless `answer_next` or `answer` says otherwise; `hang` and
    `hang_up` are answers, too. `calls` has the bodies, as the workflow sees them. Its `test_url` answers nobody."""

    def __init__(self, answer: str = "result", *, header: str | None = None) -> None:
        self.answer = answer
        self._header = header
        self._next: deque[str] = deque()
        self._inbox: Inbox[dict[str, Any]] = Inbox()
        self._stack = AsyncExitStack()
        self._origin = ""

    @property
    def url(self) -> str:
        return f"{self._origin}/webhook/alerts"

    @property
    def test_url(self) -> str:
        return f"{self._origin}/webhook-test/alerts"

    @property
    def calls(self) -> list[dict[str, Any]]:
        return self._inbox.items

    async def wait_for(self, calls: int) -> list[dict[str, Any]]:
        return await self._inbox.wait_for(calls)

    def answer_next(self, *answers: str) -> None:
        self._next.extend(answers)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/webhook/alerts", self._take)
        app.router.add_post("/webhook-test/alerts", self._take_test)
        self._origin = await self._stack.enter_async_context(serving(app))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        if self._header is not None and request.headers.get(self._header) != SECRET:
            return _written("unauthorized")
        self._inbox.add(json.loads(await request.read()))
        answer = self._next.popleft() if self._next else self.answer
        if answer == "hang":
            await asyncio.Event().wait()
        if answer == "hang_up":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return _written(answer)

    async def _take_test(self, _request: web.Request) -> web.Response:
        return _written("test_not_registered")


def _written(name: str) -> web.Response:
    status, body = ANSWERS[name]
    if isinstance(body, bytes):
        return web.Response(status=status, body=body, content_type="application/json" if not body else "text/html")
    if isinstance(body, str):
        return web.Response(status=status, text=body, headers={"WWW-Authenticate": 'Basic realm="Webhook"'})
    return web.json_response(body, status=status)
