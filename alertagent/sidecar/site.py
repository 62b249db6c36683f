"""The HTTP pages that all targets have in common, around the reload URL."""

from datetime import timedelta

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from alertagent.kernel.errors import Fatal
from alertagent.sidecar.model import ErrorClass, Rejected, Undecided
from alertagent.sidecar.refusals import reason_of

_RELOAD = "/-/reload"
_TIMEOUT = timedelta(seconds=10)
# No list of rules is as long; what is, is no page of a target, and the machine has better use for its memory.
_MAX_BODY = 256 << 20
_VAGUE = "one or more errors occurred"
_STARTING = frozenset({502, 503, 504})


class Site:
    """One target's pages. Raises Undecided when they cannot be had.

    No message holds the whole reload URL: there may be a password in it.
    """

    def __init__(
        self, session: ClientSession, reload_url: str, *, timeout: timedelta = _TIMEOUT, max_body: int = _MAX_BODY
    ) -> None:
        self._session = session
        self._reload_url = _parsed(reload_url)
        self._base = _base_of(self._reload_url)
        self._timeout = ClientTimeout(total=timeout.total_seconds())
        self._max_body = max_body
        self.name = f"the target at {self._base.host}:{self._base.port}"

    async def get(self, path: str, **query: str) -> tuple[int, bytes]:
        """Status and body of a page below the place where the target's pages begin."""
        response, body = await self._ask("GET", (self._base / path).with_query(query))
        return response.status, body

    async def page(self, path: str, **query: str) -> bytes:
        """The body of a page that must be there."""
        status, body = await self.get(path, **query)
        if status != 200:
            raise self._undecided(status, f"has no page {path}")
        return body

    async def reload(self) -> None:
        """Raises Rejected when the target refuses what it read."""
        # While it replays its log, Prometheus accepts a reload and leaves it unanswered.
        status, _ = await self.get("-/ready")
        if status in _STARTING:
            raise self._undecided(status, "is starting")
        response, body = await self._ask("POST", self._reload_url)
        if response.status == 500:
            raise Rejected(f"{self.name} refuses the file: {_refusal(body)}", ErrorClass.REFUSED)
        if response.status == 403:
            message = f"{self.name} does not allow reloads: start Prometheus with --web.enable-lifecycle"
            raise Undecided(message, ErrorClass.FORBIDDEN)
        if response.status not in {200, 204}:
            raise self._undecided(response.status, "did not reload")

    def misdirected(self, trouble: str) -> Undecided:
        return Undecided(f"{self.name} {trouble}: is the reload URL right?", ErrorClass.MISDIRECTED)

    def _undecided(self, status: int, trouble: str) -> Undecided:
        if status in _STARTING:
            return Undecided(f"{self.name} is not ready yet (HTTP {status})", ErrorClass.UNREACHABLE)
        return self.misdirected(f"{trouble} (HTTP {status})")

    async def _ask(self, method: str, url: URL) -> tuple[ClientResponse, bytes]:
        try:
            async with self._session.request(method, url, timeout=self._timeout, allow_redirects=False) as response:
                return response, await self._body(response)
        except (ClientError, OSError, TimeoutError) as error:
            reason = reason_of(error) or f"no answer in {self._timeout.total:g} s"
            raise Undecided(f"{self.name} is not reachable: {reason}", ErrorClass.UNREACHABLE) from error

    async def _body(self, response: ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > self._max_body:
                raise self.misdirected(f"answers with more than {self._max_body >> 20} MiB")
        return bytes(body)


def _parsed(reload_url: str) -> URL:
    try:
        url = URL(reload_url)
    except ValueError as error:
        raise Fatal(f"the reload URL is not a URL: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host or not url.path.endswith(_RELOAD):
        raise Fatal(f"the reload URL must look like http://HOST:PORT{_RELOAD}")
    return url


def _base_of(reload_url: URL) -> URL:
    """Where the target's pages begin: everything before `/-/reload`, a path prefix included."""
    return reload_url.with_path(reload_url.path.removesuffix(_RELOAD) or "/")


def _refusal(body: bytes) -> str:
    """Prometheus' own words, which do not say what is wrong: that stands in its log, and may be about another file."""
    words = _words(body)
    vague = _VAGUE in words
    return f"{words}; its log says what is wrong, which may be about another file that it loads" if vague else words


def _words(body: bytes) -> str:
    return " ".join(body.decode(errors="replace").split())[:1000]
