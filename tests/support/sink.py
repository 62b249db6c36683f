"""A server that takes anything, remembers it, and answers as it was told, badly too."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Literal, Self

from aiohttp import web

from tests.support.serving import serving
from tests.support.waiting import Inbox


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request. Names in `headers` match in any case; `target` is path and query as they came.

    `is_taken`: it is answered as a success, so that its sender need not come again.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    is_taken: bool = True


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`fault` comes after the request was read whole: hang up without a word, say nothing, or break off the body.

    With `hold` it comes once `release` says so.
    """

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Literal["hang_up", "hang", "break_off"] | None = None
    hold: bool = False


class Sink:
    """An async context manager. Answers 200 `ok` unless `answer_next` or `answer_always` says otherwise."""

    def __init__(self) -> None:
        self._inbox: Inbox[Received] = Inbox()
        self._next: deque[Answer] = deque()
        self._otherwise = Answer()
        self._released = asyncio.Event()
        self._stack = AsyncExitStack()
        self.origin = ""

    @property
    def url(self) -> str:
        return f"{self.origin}/hook"

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    @property
    def requests(self) -> list[Received]:
        return self._inbox.items

    def answer_next(self, *answers: Answer) -> None:
        self._next.extend(answers)

    def answer_always(self, answer: Answer) -> None:
        self._otherwise = answer

    def release(self) -> None:
        """Let all answers go that are held."""
        self._released.set()

    async def wait_for(self, expected: int | Callable[[list[Received]], bool], timeout: float = 10) -> list[Received]:  # noqa: ASYNC109
        return await self._inbox.wait_for(expected, timeout)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self.origin = await self._stack.enter_async_context(serving(app))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        answer = self._next.popleft() if self._next else self._otherwise
        received = Received(
            method=request.method,
            target=request.raw_path,
            headers=request.headers,
            body=body,
            is_taken=200 <= answer.status < 300 and not answer.fault,
        )
        self._inbox.add(received)
        if answer.hold:
            await self._released.wait()
        if answer.fault:
            return await _misbehave(request, answer)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


async def _misbehave(request: web.Request, answer: Answer) -> web.StreamResponse:
    if answer.fault == "hang":
        await asyncio.Event().wait()
    response = web.StreamResponse(status=answer.status, headers={**answer.headers, "Content-Length": "1000"})
    if answer.fault == "break_off":
        await response.prepare(request)
        await response.write(b"half of it")
    if request.transport is not None:
        request.transport.close()
    return response
