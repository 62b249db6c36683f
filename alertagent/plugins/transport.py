"""The only place that sends on behalf of users: guarded addresses, no redirects, bounded time and size.

A POST, as nearly every message is one, goes the short way (`wire.py`); everything else goes by aiohttp.

Nothing of a URL but its origin ever appears in an error: robots carry their credentials in path and query.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Self

from aiohttp import (
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    SocketTimeoutError,
)

from alertagent import __version__
from alertagent.kernel.errors import External, Permanent
from alertagent.kernel.trace import child_of
from alertagent.plugins.addresses import SETTING, AddressGuard, ForbiddenAddress, Unresolvable, origin, parse_url
from alertagent.plugins.wire import BrokenOff, Connections, Endpoint, NotConnected, endpoint_of

MAX_BODY = 64 * 1024

# `identity` and no decompression: a small answer must not unfold into a large one.
_DEFAULTS = {"User-Agent": f"AlertAgent/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
# Who sets one of these leaves the plain path.
_RESERVED = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "expect", *map(str.lower, _DEFAULTS)}
)
_BREAKING = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CLOSED = "the transport is not open; use it as `async with Transport(...)`"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request as it will be on the wire. Its repr shows no URL, header or body: any of them may be secret.

    `timeout` replaces that of the transport; of the answer no more than `answer_limit` bytes are read.
    """

    method: str = "POST"
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    timeout: timedelta | None = None
    answer_limit: int = MAX_BODY


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What came back, whatever the status. Names in `headers` match in any case; `body` is cut at the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpStream:
    """An answer that is still coming; `chunks` has the rest of its body, once."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]

    async def read(self, limit: int = MAX_BODY) -> bytes:
        """The body, or as much of it as `limit` allows."""
        body = bytearray()
        async for chunk in self.chunks:
            body += chunk
            if len(body) >= limit:
                break
        return bytes(body[:limit])


class Unreachable(External):
    """The request never left: no address, no connection, no TLS. Trying again cannot make a duplicate."""

    default_code = "outgoing.unreachable"


class Unanswered(External):
    """The connection stood, but no whole answer came: the other side may have acted on the request or not."""

    default_code = "outgoing.unanswered"


class Transport:
    """Sends requests through one pool of guarded connections. An async context manager.

    `trace` names the W3C traceparent of the work at hand; each request goes out as a child of it.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        timeout: timedelta = timedelta(seconds=10),
        connect_timeout: timedelta = timedelta(seconds=5),
        trace: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._guard = guard
        self._timeout = ClientTimeout(total=timeout.total_seconds(), connect=connect_timeout.total_seconds())
        self._total, self._connect_timeout = timeout, connect_timeout
        self._trace = trace
        self._session: ClientSession | None = None
        self._connections: Connections | None = None

    async def __aenter__(self) -> Self:
        self._session = ClientSession(
            connector=self._guard.connector(),
            timeout=self._timeout,
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            headers=_DEFAULTS,
        )
        self._connections = Connections(self._guard, connect_timeout=self._connect_timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connections is not None:
            self._connections.close()
        if self._session is not None:
            await self._session.close()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send once and read the answer, of whatever status; a redirect is an answer like any other.

        Raises Unreachable, Unanswered, or Permanent where the address is forbidden or the request malformed.
        """
        with _explained(request.url, self._patience(request)):
            return await self._exchange(request)

    @asynccontextmanager
    async def stream(self, request: HttpRequest, *, silence: timedelta) -> AsyncIterator[HttpStream]:
        """Send once and read the answer as it comes, under the same guard and limits as `send`.

        No two chunks lie further apart than `silence`, and the whole takes no longer than the request's timeout. More
        than its `answer_limit` is not read: a stream that does not end there is Unanswered. Raises what `send` raises;
        so does reading the chunks.
        """
        usual = self._patience(request)
        patience = ClientTimeout(total=usual.total, connect=usual.connect, sock_read=silence.total_seconds())
        async with AsyncExitStack() as stack:
            with _explained(request.url, patience):
                response = await stack.enter_async_context(self._asked(request, patience))
            chunks = _chunks(response, request.answer_limit, request.url, patience)
            yield HttpStream(status=response.status, headers=response.headers, chunks=chunks)

    async def connect(self, host: str, port: int) -> socket.socket:
        """A guarded connection for what is not HTTP; whoever asks for it closes it.

        Raises Unreachable, or Permanent where the address is forbidden.
        """
        try:
            async with asyncio.timeout(self._connect_timeout.total_seconds()):
                return await self._guard.connect(host, port)
        except OSError as error:
            raise _not_connected(f"{host}:{port}", error) from error

    def _patience(self, request: HttpRequest) -> ClientTimeout:
        if request.timeout is None:
            return self._timeout
        return ClientTimeout(total=request.timeout.total_seconds(), connect=self._timeout.connect)

    async def _exchange(self, request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and _RESERVED.isdisjoint(name.lower() for name in request.headers):
            endpoint = endpoint_of(request.url)
            if endpoint is not None:
                return await self._post(endpoint, request)
        async with self._asked(request, self._patience(request)) as response:
            body = await _read(response, request.answer_limit)
            return HttpResponse(status=response.status, headers=response.headers, body=body)

    async def _post(self, endpoint: Endpoint, request: HttpRequest) -> HttpResponse:
        if self._connections is None:
            raise RuntimeError(_CLOSED)
        headers = {**request.headers, "traceparent": child_of(self._trace())}
        answer = await self._connections.ask(
            endpoint,
            _head(endpoint, headers, len(request.body)) + request.body,
            timeout=(request.timeout or self._total).total_seconds(),
            limit=request.answer_limit,
        )
        return HttpResponse(status=answer.status, headers=answer.headers, body=answer.body)

    def _asked(self, request: HttpRequest, patience: ClientTimeout) -> AbstractAsyncContextManager[ClientResponse]:
        if self._session is None:
            raise RuntimeError(_CLOSED)
        return self._session.request(
            request.method,
            parse_url(request.url),
            data=request.body,
            headers={**request.headers, "traceparent": child_of(self._trace())},
            allow_redirects=False,
            timeout=patience,
        )


@contextmanager
def _explained(url: str, patience: ClientTimeout) -> Iterator[None]:
    """Turn what aiohttp and the short way raise into Unreachable, Unanswered or Permanent."""
    try:
        yield
    except (NotConnected, BrokenOff, ClientError, OSError) as error:
        raise _meaning(error, origin(url), patience) from error
    except ValueError:
        # aiohttp's InvalidURL is one, and repeats the URL.
        raise Permanent(
            f"{origin(url)} cannot be called: the URL or a header is malformed", code="outgoing.malformed"
        ) from None


def _meaning(error: Exception, where: str, patience: ClientTimeout) -> Unreachable | Unanswered | Permanent:
    match error:
        case NotConnected():
            return _not_connected(where, error.__cause__)
        case ClientConnectorError():
            return _unconnected(where, error)
        case ConnectionTimeoutError():
            return Unreachable(f"{where} did not accept a connection in time")
        case SocketTimeoutError():
            return Unanswered(f"{where} sent nothing for {patience.sock_read:g} s")
        case TimeoutError():
            return Unanswered(f"{where} did not answer in {patience.total:g} s")
        case _:
            detail = error if isinstance(error, BrokenOff) else type(error).__name__
            return Unanswered(f"{where} broke off before it had answered ({detail})")


async def _chunks(response: ClientResponse, limit: int, url: str, patience: ClientTimeout) -> AsyncIterator[bytes]:
    size = 0
    with _explained(url, patience):
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > limit:
                raise Unanswered(
                    f"{origin(url)} answered with more than {limit} bytes", code="outgoing.answer_too_large"
                )
            yield chunk


def _head(endpoint: Endpoint, headers: Mapping[str, str], length: int) -> bytes:
    """The request line and all headers of a POST. Raises ValueError for a header that would become several."""
    lines = [f"POST {endpoint.target} HTTP/1.1", f"Host: {endpoint.authority}"]
    lines += [f"{name}: {value}" for name, value in {**_DEFAULTS, **headers}.items()]
    if _BREAKING.search("".join(lines)):
        raise ValueError("a header has a control character in it")
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


async def _read(response: ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(MAX_BODY):
        body += chunk
        if len(body) >= limit:
            break
    return bytes(body[:limit])


def _not_connected(where: str, error: BaseException | None) -> Unreachable | Permanent:
    if isinstance(error, ForbiddenAddress):
        return _forbidden(where)
    if isinstance(error, TimeoutError):
        return Unreachable(f"{where} did not accept a connection in time")
    if isinstance(error, ssl.SSLError):
        return Unreachable(f"{where} could not be reached: the TLS handshake failed")
    if isinstance(error, Unresolvable):
        return Unreachable(f"{where} does not resolve to any address")
    return Unreachable(f"{where} could not be reached: {type(error).__name__}")


def _forbidden(where: str) -> Permanent:
    return Permanent(
        f"{where} leads to an address that is not public; add its network to `{SETTING}` to allow it",
        code="outgoing.forbidden",
    )


def _unconnected(where: str, error: ClientConnectorError) -> Unreachable | Permanent:
    if isinstance(error, ClientSSLError):
        return Unreachable(f"{where} could not be reached: the TLS handshake failed")
    if isinstance(error.os_error, ForbiddenAddress):
        return _forbidden(where)
    if isinstance(error, ClientConnectorDNSError):
        return Unreachable(f"{where} does not resolve to any address")
    return Unreachable(f"{where} could not be reached: {type(error.os_error).__name__}")
