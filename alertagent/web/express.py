"""Answers that need nothing but memory, given before the ordinary way begins.

By far the most frequent request is a sidecar's question whether anything is new, and by far the most frequent answer
is no. Routing, middlewares and parsing would cost several times what aiohttp itself does. So a GET route may name a
method that answers 304 at once:

    @get("/config/sync", access=SYNC, at_once="at_hand")
    async def sync(self, call: Call, query: SyncQuery) -> Raw: ...

    def at_hand(self, principal: Principal, query: SyncQuery) -> Raw | None: ...

Whatever is not certain here goes the ordinary way: a caller who is not remembered, a question that cannot be read, a
tag that is not just the current one, a method that answers None. So nothing is decided otherwise here than there.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, TypeVar, cast

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.helpers import rfc822_formatted_time
from prometheus_client import Histogram
from pydantic import BaseModel

from alertagent.kernel import trace
from alertagent.kernel.errors import Invalid
from alertagent.web.access import Principal
from alertagent.web.call import request_id_of
from alertagent.web.parsing import read_query
from alertagent.web.replies import Raw
from alertagent.web.routes import Route

# Different questions that are remembered as they were read, and answers as they are written.
MOST_REMEMBERED = 20_000

_SCHEME = "Bearer "

Ordinary = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
T = TypeVar("T")
Question = tuple[Route, BaseModel | None]


class Recaller(Protocol):
    def recalled(self, bearer: str) -> Principal | None:
        """Who holds this token, where that is known at once."""


class Express:
    """Stands before the application. `fixed` are the headers that every answer has."""

    def __init__(
        self, routes: Iterable[Route], recaller: Recaller, seconds: Histogram, *, fixed: Mapping[str, str]
    ) -> None:
        self._routes = {route.path: route for route in routes if route.method == "GET" and route.at_once is not None}
        self._seconds = {path: seconds.labels(path, "GET", "304") for path in self._routes}
        self._recaller = recaller
        self._fixed = _lines(fixed)
        self._questions: dict[str, Question] = {}
        self._heads: dict[str, tuple[Raw, bytes]] = {}
        # Looked up now: each time, it would cost more than to write nothing.
        self._log = structlog.get_logger().bind()
        self._is_told = self._log.is_enabled_for(logging.DEBUG)

    def before(self, ordinary: Ordinary) -> Ordinary:
        """Answer at once where that can be, and the ordinary way elsewhere."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return self._at_once(request) or await ordinary(request)

        return handle

    def _at_once(self, request: web.BaseRequest) -> web.StreamResponse | None:
        started = time.perf_counter()
        headers = request.headers
        tag, bearer = headers.get("If-None-Match"), headers.get("Authorization", "")
        if tag is None or not bearer.startswith(_SCHEME) or not _is_plain(request):
            return None
        if (question := self._read(request)) is None:
            return None
        route, query = question
        principal = self._recaller.recalled(bearer[len(_SCHEME) :])
        if principal is None or not route.access.permits(principal) or route.at_once is None:
            return None
        reply = route.at_once(principal, query)
        if reply is None or tag != f'"{reply.etag}"':
            return None
        request_id, head = request_id_of(headers), self._head(request.raw_path, reply)
        traceparent, date = trace.accepted(headers.get("traceparent")), rfc822_formatted_time()
        own = f"X-Request-ID: {request_id}\r\ntraceparent: {traceparent}\r\nDate: {date}\r\n"
        self._observe(route, principal, request_id, time.perf_counter() - started)
        return cast("web.StreamResponse", _Written(head + own.encode() + b"\r\n"))

    def _observe(self, route: Route, principal: Principal, request_id: str, elapsed: float) -> None:
        self._seconds[route.path].observe(elapsed)
        if self._is_told:
            seconds, actor = round(elapsed, 4), principal.name
            what = {"method": "GET", "route": route.path, "status": 304, "seconds": seconds, "actor": actor}
            self._log.debug("request.served", **what, request_id=request_id)

    def _read(self, request: web.BaseRequest) -> Question | None:
        """The route and its query, read once for each way of asking."""
        question = self._questions.get(request.raw_path)
        if question is None and (route := self._routes.get(request.raw_path.partition("?")[0])) is not None:
            try:
                question = (route, read_query(request, route.query))
            except Invalid:
                return None
            _bounded(self._questions)[request.raw_path] = question
        return question

    def _head(self, question: str, reply: Raw) -> bytes:
        """All of the answer that is the same next time."""
        kept = self._heads.get(question)
        if kept is not None and kept[0] is reply:
            return kept[1]
        head = b"HTTP/1.1 304 Not Modified\r\n" + _lines({**reply.headers, "ETag": f'"{reply.etag}"'}) + self._fixed
        _bounded(self._heads)[question] = (reply, head)
        return head


class _Written:
    """What aiohttp asks of a response, and no more: its head is bytes already, and it has no body."""

    keep_alive = True
    status = 304

    def __init__(self, head: bytes) -> None:
        self._head = head

    async def prepare(self, request: web.BaseRequest) -> None:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the caller hung up")
        transport.write(self._head)

    async def write_eof(self) -> None:
        pass


def _is_plain(request: web.BaseRequest) -> bool:
    return (
        request.method == "GET"
        and request.version == HttpVersion11
        and request.keep_alive
        and "Expect" not in request.headers
    )


def _lines(headers: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()


def _bounded(kept: dict[str, T]) -> dict[str, T]:
    if len(kept) >= MOST_REMEMBERED:
        kept.clear()
    return kept
