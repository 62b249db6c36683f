"""An OpenAI-compatible server: chat completions, and the errors that it has."""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Self

from aiohttp import web

from tests.support.serving import serving

KEY = "sk-CANARYopenai0123456789"

# Source: platform.openai.com, "Error codes".
ERRORS: Mapping[str, tuple[int, dict[str, Any]]] = {
    "invalid_api_key": (
        401,
        {"message": f"Incorrect API key provided: {KEY}.", "type": "invalid_request_error", "code": "invalid_api_key"},
    ),
    "model_not_found": (
        404,
        {"message": "The model `m` does not exist", "type": "invalid_request_error", "code": "model_not_found"},
    ),
    "context_length_exceeded": (
        400,
        {
            "message": "This model's maximum context length is 4097 tokens.",
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
        },
    ),
    "rate_limit_exceeded": (
        429,
        {"message": "Rate limit reached for m", "type": "requests", "code": "rate_limit_exceeded"},
    ),
    "insufficient_quota": (
        429,
        {
            "message": "You exceeded your current quota, please check your plan and billing details.",
            "type": "insufficient_quota",
            "code": "insufficient_quota",
        },
    ),
    "server_error": (
        500,
        {"message": "The server had an error while processing your request", "type": "server_error", "code": None},
    ),
    "overloaded": (503, {"message": "The engine is currently overloaded", "type": "server_error", "code": None}),
}


class ChatModel:
    """An async context manager. Answers with `content` unless told otherwise."""

    def __init__(self, content: Any = '{"summary": "disk full", "root_cause": "logs grew", "confidence": 0.9}') -> None:
        self.content = content
        self.takes_response_format = True
        self.requests: list[dict[str, Any]] = []
        self._next: deque[web.Response] = deque()
        self._open = asyncio.Event()
        self._open.set()
        self._stack = AsyncExitStack()
        self._origin = ""

    @property
    def url(self) -> str:
        return f"{self._origin}/v1"

    def refuse_next(self, code: str, **headers: str) -> None:
        status, error = ERRORS[code]
        self._next.append(web.json_response({"error": error}, status=status, headers=headers))

    def answer_next(self, body: bytes, status: int = 200) -> None:
        self._next.append(web.Response(body=body, status=status))

    def hold(self) -> None:
        """Answer nobody before `release`."""
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        self._origin = await self._stack.enter_async_context(serving(app))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        await self._open.wait()
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            self.refuse_next("invalid_api_key")
        if self._next:
            return self._next.popleft()
        if "response_format" in body and not self.takes_response_format:
            error = {"message": "Unknown field: response_format", "type": "invalid_request_error", "code": None}
            return web.json_response({"error": error}, status=400)
        return web.json_response(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "model": body["model"],
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": self.content},
                        "finish_reason": "stop",
                    }
                ],
                "usage": {"prompt_tokens": 100, "completion_tokens": 23, "total_tokens": 123},
            }
        )
