"""Answers that need nothing but memory, given before the ordinary way begins.

By far the most frequent request is a sidecar's question whether anything is new, by far the most frequent answer is no,
and most of the time thousands of them wait. Routing, middlewares and parsing would cost several times what aiohttp
itself does, in time and in memory. So a GET route may name a method that answers at once:

    @get("/config/sync", access=SYNC, at_once="at_hand")
    async def sync(self, call: Call, query: SyncQuery) -> Raw: ...

    def at_hand(self, asked: Asked, query: SyncQuery) -> Raw | Awaitable[Raw] | None: ...

It answers with what is current, a 304 where that is the tag in the question; or with something to wait for; or None.
Whatever is not certain goes the ordinary way: a caller who is not remembered, a question that cannot be read, another
tag than the current one, trouble. So nothing is decided otherwise here than there.
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
from alertagent.kernel.errors import Invalid, Problem
from alertagent.web.access import Principal
from alertagent.web.call import request_id_of, takes_gzip
from alertagent.web.parsing import read_query
from alertagent.web.replies import Raw
from alertagent.web.routes import Asked, Route

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
        self._recaller = recaller
        self._seconds = seconds
        self._fixed = _lines(fixed)
        self._questions: dict[str, Question] = {}
        self._heads: dict[str, tuple[Raw, bytes]] = {}
        # Looked up now: each time, it would cost more than to write nothing.
        self._log = structlog.get_logger().bind()
        self._is_told = self._log.is_enabled_for(logging.DEBUG)

    def before(self, ordinary: Ordinary) -> Ordinary:
        """Answer at once where that can be, and the ordinary way elsewhere."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            started = time.perf_counter()
            if (found := self._found(request)) is not None:
                route, asked, reply = found
                whole = reply if isinstance(reply, Raw) else await _waited(reply)
                if whole is not None:
                    return self._written(request, route, asked, whole, started)
            return await ordinary(request)

        return handle

    def _found(self, request: web.BaseRequest) -> tuple[Route, Asked, Raw | Awaitable[Raw]] | None:
        if (question := self._read(request)) is None:
            return None
        route, query = question
        if (asked := self._asked(request, route)) is None or route.at_once is None:
            return None
        reply = route.at_once(asked, query)
        if reply is None or (isinstance(reply, Raw) and reply.etag != asked.known):
            return None
        return route, asked, reply

    def _read(self, request: web.BaseRequest) -> Question | None:
        """The route and its query, read once for each way of asking."""
        question = self._questions.get(request.raw_path)
        if question is None and (route := self._routes.get(request.raw_path.partition("?")[0])) is not None:
            try:
                question = (route, read_query(request, route))
            except Invalid:
                return None
            _bounded(self._questions)[request.raw_path] = question
        return question

    def _asked(self, request: web.BaseRequest, route: Route) -> Asked | None:
        headers = request.headers
        tag, bearer = headers.get("If-None-Match", ""), headers.get("Authorization", "")
        if not tag.startswith('"') or not bearer.startswith(_SCHEME) or not _is_plain(request):
            return None
        principal = self._recaller.recalled(bearer[len(_SCHEME) :])
        if principal is None or not route.access.permits(principal):
            return None
        return Asked(principal, tag[1:-1], takes_gzip(headers))

    def _written(
        self, request: web.BaseRequest, route: Route, asked: Asked, reply: Raw, started: float
    ) -> web.StreamResponse:
        headers, is_known = request.headers, reply.etag == asked.known
        request_id, head = request_id_of(headers), self._head(request.raw_path, reply, is_known=is_known)
        traceparent, date = trace.accepted(headers.get("traceparent")), rfc822_formatted_time()
        own = f"X-Request-ID: {request_id}\r\ntraceparent: {traceparent}\r\nDate: {date}\r\n"
        status, elapsed = 304 if is_known else 200, time.perf_counter() - started
        self._seconds.labels(route.path, "GET", str(status)).observe(elapsed)
        if self._is_told:
            what = {"method": "GET", "route": route.path, "status": status, "seconds": round(elapsed, 4)}
            self._log.debug("request.served", **what, actor=asked.principal.name, request_id=request_id)
        return cast("web.StreamResponse", _Written(head + own.encode() + b"\r\n", b"" if is_known else reply.body))

    def _head(self, question: str, reply: Raw, *, is_known: bool) -> bytes:
        """All of the head that is the same next time."""
        kept = self._heads.get(question)
        if is_known and kept is not None and kept[0] is reply:
            return kept[1]
        own = _lines({**reply.headers, "ETag": f'"{reply.etag}"'})
        if not is_known:
            length = f"Content-Type: {reply.content_type}\r\nContent-Length: {len(reply.body)}\r\n".encode()
            return b"HTTP/1.1 200 OK\r\n" + length + own + self._fixed
        head = b"HTTP/1.1 304 Not Modified\r\n" + own + self._fixed
        _bounded(self._heads)[question] = (reply, head)
        return head


class _Written:
    """What aiohttp asks of a response, and no more: it is bytes already."""

    keep_alive = True
    status = 304

    def __init__(self, head: bytes, body: bytes) -> None:
        self._head = head
        self._body = body

    async def prepare(self, request: web.BaseRequest) -> None:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the caller hung up")
        transport.write(self._head + self._body if self._body else self._head)

    async def write_eof(self) -> None:
        pass


async def _waited(reply: Awaitable[Raw]) -> Raw | None:
    """None where it came to nothing: then the ordinary way says why."""
    try:
        return await reply
    except Problem:
        return None


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
