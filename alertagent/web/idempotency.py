"""`Idempotency-Key` on POST: the same reply again, not the same work again."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from aiohttp import web

from alertagent.kernel.errors import Conflict, Invalid
from alertagent.web.call import CALL
from alertagent.web.routes import Route

MAX_KEY = 255

_KEPT_HEADERS = ("Content-Type", "ETag", "Location")


class KeptReply(Protocol):
    """A reply and the digest of the request it answered; `status` is None while that request still runs."""

    @property
    def digest(self) -> bytes: ...

    @property
    def status(self) -> int | None: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def body(self) -> bytes: ...


class KeptReplies(Protocol):
    """Where replies are kept, for 24 h."""

    async def claim(self, key: str, digest: bytes) -> KeptReply | None:
        """None when the key is new and now the caller's; otherwise what is known of the request that had it."""

    async def keep(self, key: str, status: int, headers: Mapping[str, str], body: bytes) -> None: ...

    async def release(self, key: str) -> None: ...


async def once(
    request: web.Request,
    route: Route,
    raw: bytes,
    replies: KeptReplies,
    work: Callable[[], Awaitable[web.Response]],
) -> web.Response:
    """Do the work unless a request with this key did it before.

    A reply that is an error of the server's is not kept: the client is right to try again.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None or route.method != "POST" or route.secret:
        return await work()
    key = _scoped(key, request, route)
    digest = hashlib.sha256(raw).digest()
    kept = await replies.claim(key, digest)
    if kept is not None:
        return _again(kept, digest)
    try:
        response = await work()
    except BaseException:
        await replies.release(key)
        raise
    if response.status >= 400:
        await replies.release(key)
        return response
    body = response.body if isinstance(response.body, bytes) else b""
    shown = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    await replies.keep(key, response.status, shown, body)
    return response


def _scoped(key: str, request: web.Request, route: Route) -> str:
    if not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise Invalid(f"Idempotency-Key must have 1 to {MAX_KEY} printable characters", code="request.idempotency_key")
    place = f"{request[CALL].principal.id}\n{route.name}\n{request.path_qs}\n{key}"
    return hashlib.sha256(place.encode()).hexdigest()


def _again(kept: KeptReply, digest: bytes) -> web.Response:
    if kept.digest != digest:
        raise Conflict("this Idempotency-Key was used with another body", code="request.idempotency_key_reused")
    if kept.status is None:
        raise Conflict("the first request with this Idempotency-Key still runs", code="request.idempotency_in_progress")
    return web.Response(status=kept.status, headers={**kept.headers, "Idempotent-Replayed": "true"}, body=kept.body)
