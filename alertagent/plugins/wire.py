"""HTTP/1.1 as a client speaks it, and no more: kept connections, one request at a time on each.

It costs a third of what aiohttp's client costs for a small POST, because it makes no session, no request object and no
stream. llhttp reads the answers (by httptools), so what is no HTTP is refused as strictly as anywhere.

Nothing is ever sent twice from here. A kept connection that the other side closes at the moment when a request leaves
looks just like an answer that was lost, and only the caller knows what a repetition would mean.
"""

import asyncio
import re
import ssl
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast

import httptools
from multidict import CIMultiDict
from yarl import URL

from alertagent.plugins.addresses import AddressGuard, parse_url

MAX_HEAD = 64 * 1024
# Servers close kept connections after five seconds or more, or say when.
KEPT_FOR = timedelta(seconds=4)
MOST_CONNECTIONS = 100

# What goes out as it stands; it is parsed with the URL otherwise.
_PLAIN_QUERY = re.compile(r"(?:[\w.~=&+-]|%[0-9A-Fa-f]{2}){1,2000}", re.ASCII)


class NotConnected(Exception):
    """The request never left; the cause is an OSError that says why."""


class BrokenOff(Exception):
    """The request left, wholly or in part, and no whole answer came."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a request goes."""

    host: str
    port: int
    is_tls: bool
    authority: str
    target: str


def endpoint_of(url: str) -> Endpoint | None:
    """Read a URL; None for one with a user in it. Raises ValueError as parse_url does.

    A signature in the query makes each URL a new one, so only what stands before it is remembered.
    """
    base, mark, query = url.partition("?")
    if not mark or "#" in base or not _PLAIN_QUERY.fullmatch(query):
        return _remembered(url)
    endpoint = _remembered(base)
    return replace(endpoint, target=f"{endpoint.target}?{query}") if endpoint is not None else None


@lru_cache(maxsize=256)
def _remembered(url: str) -> Endpoint | None:
    parsed: URL = parse_url(url)
    host, port = parsed.raw_host, parsed.port
    if parsed.raw_user is not None or parsed.raw_password is not None or host is None or port is None:
        return None
    shown = f"[{host}]" if ":" in host else host
    authority = shown if parsed.is_default_port() else f"{shown}:{port}"
    return Endpoint(host, port, parsed.scheme == "https", authority, parsed.raw_path_qs)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """One connection, on which one request after the other is asked."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._is_kept = True
        self._begin(0)

    def _begin(self, limit: int) -> None:
        self._limit = limit
        self._head = 0
        self._has_headers = False
        self._headers: CIMultiDict[str] = CIMultiDict()
        self._body: list[bytes] = []
        self._size = 0

    @property
    def is_open(self) -> bool:
        return self._is_kept and self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        self._is_kept = False
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, request: bytes, *, timeout: float, limit: int) -> Answer:  # noqa: ASYNC109 - a timer is cheaper
        """Send a request and read at most `limit` bytes of the answer's body.

        Raises BrokenOff, or TimeoutError when the answer is not complete in time. The connection is good for another
        request if it `is_open` afterwards.
        """
        loop = asyncio.get_running_loop()
        if self._transport is None:
            raise BrokenOff("there is no connection")
        self._begin(limit)
        answer: asyncio.Future[Answer] = loop.create_future()
        self._answer = answer
        timer = loop.call_later(timeout, self._fail, TimeoutError())
        try:
            self._transport.write(request)
            return await answer
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            timer.cancel()
            self._answer = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._is_kept = False
        if error is None and self._has_headers and self._ends_with_the_connection:
            self._complete()
        else:
            self._fail(BrokenOff(type(error).__name__ if error else "the connection was closed"))

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # nobody asked
            return
        if not self._has_headers:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, UnicodeDecodeError) as error:
            self._fail(BrokenOff(f"the answer is not HTTP: {type(error).__name__}"))
        except httptools.HttpParserUpgrade:  # is none of the errors
            self._fail(BrokenOff("it changes to another protocol, which nobody asked for"))
        if not self._has_headers and self._head > MAX_HEAD:
            self._fail(BrokenOff("the answer's headers have no end"))

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # a second answer to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_headers:  # otherwise it stands behind the last chunk
            self._headers.add(name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))

    def on_headers_complete(self) -> None:
        self._has_headers = True

    def on_body(self, chunk: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._body.append(chunk)
            self._size += len(chunk)
            if self._size >= self._limit:
                self._is_kept = False
                self._complete()

    def on_message_complete(self) -> None:
        if self._answer is None or self._answer.done():
            return
        if 100 <= self._parser.get_status_code() < 200:
            self._has_headers = False  # it only says that an answer will come
            self._headers.clear()
        else:
            self._is_kept = self._is_kept and self._parser.should_keep_alive()
            self._complete()

    @property
    def _ends_with_the_connection(self) -> bool:
        return "Content-Length" not in self._headers and "Transfer-Encoding" not in self._headers

    def _complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            body = b"".join(self._body)[: self._limit]
            self._answer.set_result(Answer(self._parser.get_status_code(), self._headers, body))
            if self._transport is not None and self._transport.get_write_buffer_size():
                self._is_kept = False  # it has answered before it had heard everything
        if not self._is_kept:
            self.close()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.close()


class Connections:
    """Connections to guarded addresses, kept for a moment after each answer; at most a hundred at work at once."""

    def __init__(self, guard: AddressGuard, *, connect_timeout: timedelta) -> None:
        self._guard = guard
        self._connect_timeout = connect_timeout.total_seconds()
        self._idle: defaultdict[tuple[str, int, bool], list[tuple[float, Connection]]] = defaultdict(list)
        self._room = asyncio.Semaphore(MOST_CONNECTIONS)
        self._tls: ssl.SSLContext | None = None
        self._sweep: asyncio.TimerHandle | None = None

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for kept in self._idle.values():
            for _, connection in kept:
                connection.close()
        self._idle.clear()

    async def ask(self, endpoint: Endpoint, request: bytes, *, timeout: float, limit: int) -> Answer:  # noqa: ASYNC109
        """Send one request and read the answer. Raises NotConnected, BrokenOff or TimeoutError."""
        ends = asyncio.get_running_loop().time() + timeout
        connection = await self._connected(endpoint, min(timeout, self._connect_timeout))
        try:
            left = max(0.0, ends - asyncio.get_running_loop().time())
            return await connection.ask(request, timeout=left, limit=limit)
        finally:
            self._room.release()
            if connection.is_open:
                self._keep(endpoint, connection)

    async def _connected(self, endpoint: Endpoint, seconds: float) -> Connection:
        """A connection, with a place among those at work."""
        if not self._room.locked() and (kept := self._kept(endpoint)) is not None:
            await self._room.acquire()
            return kept
        try:
            async with asyncio.timeout(seconds):
                await self._room.acquire()
                try:
                    return self._kept(endpoint) or await self._connect(endpoint)
                except BaseException:
                    self._room.release()
                    raise
        except OSError as error:  # a timeout is one, and what TLS finds wrong
            raise NotConnected from error

    async def _connect(self, endpoint: Endpoint) -> Connection:
        loop = asyncio.get_running_loop()
        opened = await self._guard.connect(endpoint.host, endpoint.port)
        tls: dict[str, Any] = {}
        if endpoint.is_tls:
            tls = {"ssl": self._context(), "server_hostname": endpoint.host.removesuffix(".")}
        connection = Connection()
        try:
            await loop.create_connection(lambda: connection, sock=opened, **tls)
        except BaseException:
            opened.close()
            raise
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    def _kept(self, endpoint: Endpoint) -> Connection | None:
        kept = self._idle.get((endpoint.host, endpoint.port, endpoint.is_tls))
        oldest = asyncio.get_running_loop().time() - KEPT_FOR.total_seconds()
        while kept:
            since, connection = kept.pop()
            if connection.is_open and since >= oldest:
                return connection
            connection.close()
        return None

    def _keep(self, endpoint: Endpoint, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        self._idle[endpoint.host, endpoint.port, endpoint.is_tls].append((loop.time(), connection))
        if self._sweep is None:
            self._sweep = loop.call_later(KEPT_FOR.total_seconds(), self._let_go)

    def _let_go(self) -> None:
        """Close what was kept for too long."""
        self._sweep = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - KEPT_FOR.total_seconds()
        for place, kept in list(self._idle.items()):
            for since, connection in kept:
                if since < oldest:
                    connection.close()
            fresh = [(since, connection) for since, connection in kept if connection.is_open]
            if fresh:
                self._idle[place] = fresh
            else:
                del self._idle[place]
        if self._idle:
            self._sweep = loop.call_later(KEPT_FOR.total_seconds(), self._let_go)
