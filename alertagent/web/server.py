"""From declared routes to a running aiohttp application."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from pydantic_core import to_json

from alertagent.kernel.errors import Forbidden, Problem, Unavailable
from alertagent.web.call import CALL
from alertagent.web.express import Express
from alertagent.web.idempotency import KeptReplies, once
from alertagent.web.middleware import ROUTE_OF, SECURITY_HEADERS, Authenticator, middlewares, request_seconds
from alertagent.web.parsing import parse_body, read_body, read_path, read_query
from alertagent.web.replies import Page, Raw, Reply, Stream
from alertagent.web.room import Room
from alertagent.web.routes import LARGE_BODY_LIMIT, Route, routes_of

log = structlog.get_logger()

EXPRESS = web.AppKey("express", Express)

# Without a version: whoever looks for a vulnerable one shall not be told.
SERVER = "AlertAgent"

# How long one who reads a stream may keep its next part waiting.
WRITE_TIMEOUT_SECONDS = 10.0


def collect(apis: Iterable[object]) -> list[Route]:
    """Every route of these features. Raises ValueError when two declare the same one."""
    routes = [route for api in apis for route in routes_of(api)]
    names = [route.name for route in routes]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"declared twice: {', '.join(sorted(twice))}")
    return sorted(routes, key=lambda route: (route.path, route.method))


def application(
    routes: Sequence[Route],
    *,
    authenticator: Authenticator,
    replies: KeptReplies,
    registry: CollectorRegistry,
) -> web.Application:
    """The application that serves these routes."""
    seconds = request_seconds(registry)
    app = web.Application(
        middlewares=middlewares(authenticator, seconds),
        client_max_size=LARGE_BODY_LIMIT,
        handler_args={"auto_decompress": False},
    )
    app[ROUTE_OF] = {}
    app[EXPRESS] = Express(routes, authenticator, seconds, fixed={**SECURITY_HEADERS, "Server": SERVER})
    app.on_response_prepare.append(_sign)
    rooms = {bound: Room(bound) for bound in {route.bound for route in routes}}
    for route in routes:
        endpoint = _endpoint(route, replies, rooms[route.bound])
        app[ROUTE_OF][endpoint] = route
        app.router.add_route(route.method, route.path, endpoint)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, endpoint)
    return app


def _endpoint(route: Route, replies: KeptReplies, room: Room) -> Any:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        call = request[CALL]
        if not route.access.permits(call.principal):
            raise Forbidden(f"{call.principal.name} may not {route.method} {request.path}")
        arguments: dict[str, Any] = {"call": call, **read_path(request, route.path_parameters)}
        query = read_query(request, route)
        if query is not None:
            arguments["query"] = query
        with room.entry() as entry:
            raw = await read_body(request, route, entry)
            if route.body is not None:
                arguments["body"] = parse_body(raw, route)

            if route.answer_shape is Stream:
                return await _streamed(request, await route.handler(**arguments))

            async def work() -> web.Response:
                return _response(request, route, await route.handler(**arguments))

            return await once(request, route, raw, replies, work)

    return endpoint


def _response(request: web.Request, route: Route, result: Any) -> web.Response:
    if result is None:
        return web.Response(status=route.status)
    if isinstance(result, Page):
        page = {"next_cursor": result.next_cursor, "total": result.total}
        return _json(route.status, {"data": result.items, "page": page})
    reply = result if isinstance(result, Raw | Reply) else Reply(data=result)
    if reply.etag is not None and request.method in {"GET", "HEAD"} and request[CALL].knows(reply.etag):
        return web.Response(status=304, headers={**reply.headers, "ETag": f'"{reply.etag}"'})
    status = reply.status or route.status
    if isinstance(reply, Raw):
        response = web.Response(status=status, body=reply.body, content_type=reply.content_type)
    else:
        response = _json(status, {"data": reply.data})
    response.headers.update(reply.headers)
    if reply.etag is not None:
        response.headers["ETag"] = f'"{reply.etag}"'
    return response


def _json(status: int, content: Any) -> web.Response:
    return web.Response(status=status, body=to_json(content), content_type="application/json")


async def _streamed(request: web.Request, stream: Stream) -> web.StreamResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter tells nginx not to collect
    response: web.StreamResponse | None = None
    async with contextlib.aclosing(stream.parts) as parts:
        if request.method == "HEAD":
            return web.Response(headers=headers, content_type=stream.content_type)
        try:
            async with asyncio.timeout(stream.within.total_seconds() if stream.within is not None else None):
                first, is_all = await _gathered(request, parts, stream.whole)
                if is_all:
                    return web.Response(body=first, headers=headers, content_type=stream.content_type)
                response = web.StreamResponse(headers=headers)
                response.content_type = stream.content_type
                await response.prepare(request)
                await _write(response, first)
                async for part in parts:
                    await _write(response, part)
        except (TimeoutError, ConnectionError) as error:
            if response is None:
                raise Unavailable("this answer takes too long to make; ask for less", code="answer.too_slow") from error
            # Who reads too slowly or has left gets no proper end, which would wait for him as well.
            log.info("request.cut_off", path=request.path, reason=type(error).__name__)
            _cut(request)
        except Exception as error:
            if response is None:
                raise
            # An answer has begun, and it must not look complete.
            reason = error.message if isinstance(error, Problem) else repr(error)
            log.warning("request.broken_off", path=request.path, reason=reason)
            _cut(request)
    return response


async def _gathered(request: web.Request, parts: AsyncGenerator[bytes, None], limit: int) -> tuple[bytes, bool]:
    """What comes first, and whether that is all; of parts without an end nothing is waited for.

    Raises ConnectionResetError once nobody is there any more to read it.
    """
    found = bytearray()
    while len(found) < limit:
        if request.transport is None:
            raise ConnectionResetError
        part = await anext(parts, None)
        if part is None:
            return bytes(found), True
        found += part
    return bytes(found), False


async def _write(response: web.StreamResponse, part: bytes) -> None:
    if part:
        async with asyncio.timeout(WRITE_TIMEOUT_SECONDS):
            await response.write(part)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    """The headers of every answer."""
    response.headers["Server"] = SERVER
    response.headers.update(SECURITY_HEADERS)
    if (call := request.get(CALL)) is not None:
        response.headers["X-Request-ID"] = call.request_id
        response.headers["traceparent"] = call.trace
