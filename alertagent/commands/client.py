"""The HTTP API as commands call it.

On the standard library, because a command that asks one thing should not wait for a framework to be imported.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from alertagent import __version__
from alertagent.kernel.errors import Detail, Problem
from alertagent.kernel.strange_json import decoded

TIMEOUT_SECONDS = 60.0
PAGE = 500

# The server said that the request is wrong; any other error is about something else than what was asked.
_REFUSED = {400, 404, 405, 409, 412, 413, 415}
_LOCAL = re.compile(r"localhost|127(\.\d+){3}|::1")

Query = str | int | bool | Sequence[str] | None


class Refused(Problem):
    """The server understood what was asked and will not do it."""

    default_code = "refused"


class CouldNotRun(Problem):
    """The server could not be asked, or could not answer."""

    default_code = "could_not_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of status 2xx."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return decoded(self.body)


class Client:
    """One server, as one caller.

    A path is given in pieces, `client.get("queues", name, "dead", limit=5)`, so that nothing in a name can lead
    elsewhere. A query parameter that is None is left out, a list stands as often as it has items. What an answer holds
    as `data` is what the methods return.

    Raises Refused and CouldNotRun.
    """

    def __init__(self, server: str, token: str | None = None) -> None:
        self._server = server.rstrip("/")
        self._token = token
        parts = _split(server)
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CouldNotRun(f'"{server}" is not the address of a server; write it as http://host:8080')
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            raise CouldNotRun("what was given as the token holds characters that no token has")
        self._is_local = _LOCAL.fullmatch(parts.hostname) is not None

    def get(self, *path: str, **query: Query) -> Any:
        return self._data(self.call("GET", path, query))

    def post(self, *path: str, body: Any = None, **query: Query) -> Any:
        return self._data(self.call("POST", path, query, body=body))

    def put(self, *path: str, body: Any, **query: Query) -> Any:
        return self._data(self.call("PUT", path, query, body=body))

    def delete(self, *path: str, **query: Query) -> None:
        self.call("DELETE", path, query)

    def each(self, *path: str, limit: int | None = None, **query: Query) -> Iterator[Any]:
        """The items of a list, page by page, up to `limit`."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            answer = self.call("GET", path, {**query, "limit": size, "cursor": cursor})
            items = self._data(answer)
            yield from items
            cursor = answer.json["page"]["next_cursor"]
            left = None if left is None else left - len(items)
            if cursor is None:
                return

    def call(
        self,
        method: str,
        path: Sequence[str],
        query: Mapping[str, Query] | None = None,
        *,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Send once. `body` is sent as it is where it is bytes, as JSON otherwise."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Accept": "application/json, */*", "User-Agent": f"AlertAgent/{__version__}"}
        if content is not None:
            headers["Content-Type"] = content_type
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return self._send(method, self._url(path, query or {}), headers, content)

    def _data(self, answer: Answer) -> Any:
        try:
            return answer.json["data"]
        except (ValueError, KeyError, TypeError):
            raise self._foreign(answer.status) from None

    def _foreign(self, status: int) -> CouldNotRun:
        return CouldNotRun(f"{self._server} answered {status} and nothing that AlertAgent says: is it one?")

    def _url(self, path: Sequence[str], query: Mapping[str, Query]) -> str:
        pieces = "/".join(quote(piece, safe="") for piece in path)
        pairs = urlencode([pair for name, value in query.items() for pair in _pairs(name, value)])
        return f"{self._server}/api/v1/{pieces}" + (f"?{pairs}" if pairs else "")

    def _send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        # They take longer to import than all that a command needs before it asks.
        from http.client import HTTPException  # noqa: PLC0415
        from urllib.error import HTTPError  # noqa: PLC0415
        from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener  # noqa: PLC0415

        class Unfollowed(HTTPRedirectHandler):
            """A token is meant for the server that was named, and for no other."""

            def redirect_request(self, *_: Any) -> None:
                return None

        opener = build_opener(Unfollowed, *([ProxyHandler({})] if self._is_local else []))
        request = Request(url, data=content, headers=dict(headers), method=method)  # noqa: S310 - http or https
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                return Answer(status=response.status, headers=dict(response.headers), body=response.read())
        except HTTPError as error:
            with error:
                raise self._complaint(error.code, error.headers, error.read()) from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise CouldNotRun(
                f"{self._server} does not answer: {reason or type(error).__name__}. "
                "Name the server with --server or ALERTAGENT_SERVER"
            ) from error

    def _complaint(self, status: int, headers: Any, body: bytes) -> Problem:
        if 300 <= status < 400:
            return CouldNotRun(f"{self._server} sends us to {headers.get('Location')}: name that one, if you trust it")
        try:
            error = decoded(body)["error"]
            details = [_detail(each) for each in error["details"]]
            message, code = str(error["message"]), str(error["code"])
        except (ValueError, KeyError, TypeError):
            return self._foreign(status)
        if status == 401 and self._token is None:
            message = "the server wants a token: name its file with --token-file, or set ALERTAGENT_TOKEN"
        kind = Refused if status in _REFUSED else CouldNotRun
        return kind(message, code=code, details=details)


def _split(server: str) -> Any:
    try:
        parts = urlsplit(server)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _pairs(name: str, value: Query) -> list[tuple[str, str]]:
    if value is None:
        return []
    if isinstance(value, bool):
        return [(name, str(value).lower())]
    if isinstance(value, str | int):
        return [(name, str(value))]
    return [(name, each) for each in value]


def _detail(each: Mapping[str, Any]) -> Detail:
    return Detail(tuple(each["loc"]), str(each["message"]), each.get("line"), each.get("column"))
