"""What happens around every request: identity, errors, authentication, one log line, one observation."""

import base64
import binascii
import time
from typing import Protocol

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, Histogram
from structlog.contextvars import bind_contextvars, reset_contextvars

from alertagent.kernel import trace
from alertagent.kernel.errors import Invalid, MethodNotAllowed, NotFound, Problem, TooLarge, Unauthorized
from alertagent.web.access import Principal
from alertagent.web.call import CALL, bearer_of, open_call
from alertagent.web.errors import bare, envelope
from alertagent.web.express import Recaller
from alertagent.web.routes import Route

ROUTE_OF = web.AppKey("route_of", dict[object, Route])

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
}

log = structlog.get_logger()


class Authenticator(Recaller, Protocol):
    async def authenticate(self, bearer: str) -> Principal | None:
        """Who holds this token; None when nobody does."""


def middlewares(authenticator: Authenticator, seconds: Histogram) -> list[Middleware]:
    """Outermost first."""
    return [_observed(seconds), _explained, _authenticated(authenticator)]


def request_seconds(registry: CollectorRegistry) -> Histogram:
    return Histogram(
        "alertagent_http_request_duration_seconds",
        "Time to answer, by route template.",
        ("route", "method", "code"),
        registry=registry,
    )


def _observed(seconds: Histogram) -> Middleware:
    @web.middleware
    async def observed(request: web.Request, handler: Handler) -> web.StreamResponse:
        call = request[CALL] = open_call(request)
        started = time.perf_counter()
        # As bound_contextvars(), at a fifth of its cost.
        bound = bind_contextvars(request_id=call.request_id, trace_id=trace.id_of(call.trace))
        try:
            with trace.following(call.trace):
                response = await handler(request)
                elapsed = time.perf_counter() - started
                template = _template(request)
                if isinstance(response, web.Response):  # how long somebody reads a stream says nothing about us
                    seconds.labels(template, _method(request), str(response.status)).observe(elapsed)
                _log(request, response, template, elapsed)
            return response
        finally:
            reset_contextvars(**bound)

    return observed


@web.middleware
async def _explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever was raised into the envelope, or into what the clients of a foreign route understand.

    The error must not outlive its clause: a variable of a frame of its own traceback, it would keep the body of the
    request in memory until somebody collects cycles.
    """
    try:
        return await handler(request)
    except Exception as error:
        if not isinstance(error, Problem | web.HTTPException):
            log.exception("request.crashed", method=request.method, path=request.path, error=type(error).__name__)
        return _told(error, request)


def _told(error: Exception, request: web.Request) -> web.Response:
    if isinstance(error, Invalid) and (route := _route(request)) is not None and route.foreign:
        return bare(error)
    return envelope(_problem(error, request), path=request.path, request_id=request[CALL].request_id)


def _problem(error: Exception, request: web.Request) -> Problem:
    match error:
        case Problem():
            return error
        case web.HTTPMethodNotAllowed():
            allowed = sorted(error.allowed_methods)
            return MethodNotAllowed(f"{request.path} does not take {request.method}", allowed=allowed)
        case web.HTTPNotFound():
            return NotFound(f"there is nothing at {request.path}", code="route.not_found")
        case web.HTTPRequestEntityTooLarge():
            return TooLarge(error.text or "the body is too large")
        case web.HTTPException():
            return Invalid(error.reason)
    return Problem("an unexpected error; the server's log has it under this request_id")


def _authenticated(authenticator: Authenticator) -> Middleware:
    """Authentication comes before routing below /api: a stranger cannot learn which routes or things exist."""

    @web.middleware
    async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = _route(request)
        if request.path.startswith("/api") and not (route and route.access.public):
            token = _token(request.headers.get("Authorization", ""), foreign=route is not None and route.foreign)
            request[CALL].principal = await _principal(token, authenticator)
        return await handler(request)

    return authenticated


async def _principal(token: str, authenticator: Authenticator) -> Principal:
    principal = await authenticator.authenticate(token) if token else None
    if principal is None and token:
        raise Unauthorized("this token is unknown, expired or revoked", code="auth.token_invalid")
    if principal is None:
        raise Unauthorized('send "Authorization: Bearer <token>"')
    return principal


def _token(authorization: str, *, foreign: bool) -> str:
    """The token that a request bears, or nothing.

    No answer asks for a password, so a browser never learns to send one by itself, for pages of others too.
    """
    scheme, _, credential = authorization.partition(" ")
    if foreign and scheme.lower() == "basic":
        return _password(credential.strip())
    return bearer_of(authorization)


def _password(credential: str) -> str:
    """The password of basic authentication, whoever is named as its user; nothing where it cannot be read."""
    try:
        _, _, password = base64.b64decode(credential, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return ""
    return password


def _route(request: web.Request) -> Route | None:
    return request.app[ROUTE_OF].get(request.match_info.handler)


def _template(request: web.Request) -> str:
    """The route's path with its parameters by name: a raw path would give every id a series of its own."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


def _method(request: web.Request) -> str:
    return request.method if request.match_info.route.resource is not None else "any"


def _log(request: web.Request, response: web.StreamResponse, template: str, elapsed: float) -> None:
    """Reads and machine traffic are told at debug level, so that what people did stays visible."""
    route = _route(request)
    routine = request.method in {"GET", "HEAD"} or (route is not None and route.access.role is None)
    tell = log.warning if response.status >= 500 else log.debug if routine else log.info
    tell(
        "request.served",
        method=request.method,
        route=template,
        status=response.status,
        seconds=round(elapsed, 4),
        actor=request[CALL].actor,
    )
