"""Routes, declared once: the decorator and the handler's own signature say all there is to know.

    @put("/rules/{id}", access=editor("rules:write"))
    async def revise(self, call: Call, id: str, body: RuleChange) -> Reply[RuleView]: ...

From this come parsing, validation, the required role and the OpenAPI document. `body` is a pydantic model (JSON)
or `bytes` (as sent), `query` a pydantic model, every other parameter a part of the path.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from alertagent.web.access import Access, Principal
from alertagent.web.replies import Page, Raw, Reply, Stream
from alertagent.web.room import ORDINARY, Bound

BODY_LIMIT = 1024 * 1024
LARGE_BODY_LIMIT = 16 * 1024 * 1024

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks a question that may be answered at once, and the tag of what he has."""

    principal: Principal
    known: str
    takes_gzip: bool


AtOnce = Callable[[Asked, Any], Raw | Awaitable[Raw] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path. `reads` are the media types of a raw body; empty means any.

    `other_answer` is what it answers with 200 instead, in a dry run for instance.
    `foreign` routes follow somebody else's protocol, whose clients we do not choose: parameters that we do not know are
    their business, what they sent wrong is answered as a bare text, and a token may come as the password of HTTP basic
    authentication.
    `at_once` may answer a conditional GET from memory; see `express`.
    `bound` says how much may be in hand of what all routes that name it are sent; see `room`.
    """

    method: str
    path: str
    access: Access
    status: int
    summary: str
    tag: str
    body: type[BaseModel] | type[bytes] | None
    body_limit: int
    reads: tuple[str, ...]
    query: type[BaseModel] | None
    path_parameters: tuple[str, ...]
    answer: Any
    answer_shape: type[Page[Any]] | type[Raw] | type[Reply[Any]] | type[Stream] | None
    other_answer: Any
    secret: bool
    handler: Callable[..., Awaitable[Any]]
    at_once: AtOnce | None = None
    foreign: bool = False
    bound: Bound = ORDINARY

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class _Declared:
    method: str
    path: str
    access: Access
    status: int
    body_limit: int
    reads: tuple[str, ...]
    secret: bool
    at_once: str | None
    foreign: bool
    bound: Bound


def route(
    method: str,
    path: str,
    *,
    access: Access,
    status: int = 200,
    body_limit: int = BODY_LIMIT,
    reads: tuple[str, ...] = (),
    prefix: str = "/api/v1",
    secret: bool = False,
    at_once: str | None = None,
    foreign: bool = False,
    bound: Bound = ORDINARY,
) -> Callable[[Handler], Handler]:
    """Declare a handler. `secret`: its answer shows a secret once, so it is never kept for a repeated request.

    `at_once` names a method beside it that may answer from memory; see `express`. `foreign` and `bound`: see `Route`.
    """

    def declare(handler: Handler) -> Handler:
        declared = _Declared(method, prefix + path, access, status, body_limit, reads, secret, at_once, foreign, bound)
        handler.__dict__["declared"] = declared
        return handler

    return declare


def get(path: str, **options: Any) -> Callable[[Handler], Handler]:
    return route("GET", path, **options)


def post(path: str, **options: Any) -> Callable[[Handler], Handler]:
    return route("POST", path, **options)


def put(path: str, **options: Any) -> Callable[[Handler], Handler]:
    return route("PUT", path, **options)


def delete(path: str, **options: Any) -> Callable[[Handler], Handler]:
    return route("DELETE", path, **{"status": 204, **options})


def routes_of(api: object) -> Iterator[Route]:
    """The routes that the methods of an object declare; the tag is the feature's folder."""
    for _, method in inspect.getmembers(api, inspect.ismethod):
        declared = method.__func__.__dict__.get("declared")
        if declared is not None:
            yield _route(api, declared, method)


def _route(api: object, declared: _Declared, method: Callable[..., Awaitable[Any]]) -> Route:
    hints = get_type_hints(method)
    (answer, shape), other = _answers(hints.pop("return"))
    hints.pop("call", None)
    body, query = hints.pop("body", None), hints.pop("query", None)
    return Route(
        method=declared.method,
        path=declared.path,
        access=declared.access,
        status=declared.status,
        summary=(inspect.getdoc(method) or "").split("\n", 1)[0],
        tag=method.__module__.split(".")[-2],
        body=body,
        body_limit=declared.body_limit,
        reads=declared.reads,
        query=query,
        path_parameters=tuple(hints),
        answer=answer,
        answer_shape=shape,
        other_answer=other,
        secret=declared.secret,
        handler=method,
        at_once=getattr(api, declared.at_once) if declared.at_once else None,
        foreign=declared.foreign,
        bound=declared.bound,
    )


def _answers(hint: Any) -> tuple[tuple[Any, Any], Any]:
    """What `Reply[One] | Reply[Other]` says: the answer with its shape, and the other one."""
    if get_origin(hint) not in {Union, UnionType}:
        return _answer(hint), None
    # `| None` stands at the end and yet is the ordinary answer.
    first, other = sorted(get_args(hint), key=lambda part: part is not NoneType)
    return _answer(first), _answer(other)[0]


def _answer(hint: Any) -> tuple[Any, Any]:
    if hint in {Raw, Stream}:
        return None, hint
    origin = get_origin(hint)
    if origin in {Reply, Page}:
        return get_args(hint)[0], origin
    return (None, None) if hint is type(None) else (hint, Reply)
