"""The sidecar's side of the server's contract: the long poll for a configuration, reports, and adoption."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from aiohttp import ClientError, ClientPayloadError, ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from alertagent.kernel.errors import Fatal
from alertagent.sidecar.bundle import is_tar
from alertagent.sidecar.model import Away, Discarded, Identity, Report, Unadopted
from alertagent.sidecar.offer import Offer
from alertagent.sidecar.refusals import away, envelope_of, expect, reason_of, words_of
from alertagent.sidecar.token import Token

MAX_BODY = 64 << 20
# What a long poll may take on top of the wait that was asked for.
POLL_SLACK = timedelta(seconds=15)

_REPORT_TIMEOUT = timedelta(seconds=10)
_ADOPTION_TIMEOUT = timedelta(seconds=60)


class Server:
    """AlertAgent as one sidecar sees it. Raises Away whenever there is no proper answer.

    The token goes into each request rather than into the session, and redirects are not followed, so that it
    reaches the named host only.
    """

    def __init__(
        self,
        session: ClientSession,
        endpoint: str,
        identity: Identity,
        *,
        token: Token,
        has_templates: bool = False,
    ) -> None:
        self._session = session
        self._identity = identity
        self._url = _endpoint(endpoint) / "api/v1/config"
        self._query = {"cluster_id": identity.cluster_id, "type": identity.config_type}
        self._format = {"format": "bundle"} if has_templates else {}
        self._token = token

    async def fetch(self, *, known: str | None, wait: timedelta) -> Offer | None:
        """The configuration that is wanted now; None when it is still the known one. Raises Discarded too."""
        headers = {"Accept-Encoding": "gzip"} | ({"If-None-Match": f'"{known}"'} if known else {})
        query = self._query | self._format | {"wait": str(wait // timedelta(seconds=1))}
        url = (self._url / "sync").with_query(query)
        async with self._asked("GET", url, within=wait + POLL_SLACK, headers=headers) as response:
            return await _offer(response)

    async def report(self, report: Report, moment: datetime) -> None:
        payload = report.payload(self._identity, moment)
        async with self._asked("POST", self._url / "sync/status", within=_REPORT_TIMEOUT, json=payload) as response:
            await expect(response, 200, 201, 202, 204)

    async def adopt(self, body: bytes) -> bool:
        """Give the server what runs here, a file or a bundle. False when it has a configuration already.

        Raises Unadopted when it cannot take this one.
        """
        url = (self._url / "adopt").with_query(self._query)
        headers = {"Content-Type": "application/x-tar" if is_tar(body) else "application/yaml"}
        async with self._asked("POST", url, within=_ADOPTION_TIMEOUT, headers=headers, data=body) as response:
            if response.status in {200, 201, 202, 204}:
                return True
            envelope = await envelope_of(response)
            if response.status == 409 and envelope["code"] == "adopt.not_empty":
                return False
            if response.status in {400, 413, 415}:
                raise Unadopted(
                    f"the server cannot adopt what runs here (HTTP {response.status}): {words_of(envelope)}"
                )
            raise away(response, envelope)

    @asynccontextmanager
    async def _asked(
        self, method: str, url: URL, *, within: timedelta, headers: dict[str, str] | None = None, **what: object
    ) -> AsyncIterator[ClientResponse]:
        try:
            async with self._session.request(
                method,
                url,
                headers=self._token.header() | (headers or {}),
                timeout=ClientTimeout(total=within.total_seconds()),
                allow_redirects=False,
                **what,  # type: ignore[arg-type]  # json or data
            ) as response:
                yield response
        except (ClientError, OSError, TimeoutError) as error:
            reason = reason_of(error) or "no answer in time"
            raise Away(f"the server at {self._url.host}:{self._url.port} is not reachable: {reason}") from error


async def _offer(response: ClientResponse) -> Offer | None:
    if response.status == 304:
        return None
    await expect(response, 200)
    body = await _read(response)
    return Offer.verified(body, announced=response.headers.get("X-Config-Hash"), etag=response.headers.get("ETag"))


async def _read(response: ClientResponse) -> bytes:
    body = bytearray()
    try:
        async for chunk in response.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > MAX_BODY:
                raise Discarded(f"the configuration is larger than {MAX_BODY >> 20} MiB")
    except ClientPayloadError as error:
        raise Discarded(f"the configuration broke off on its way: {reason_of(error)}") from error
    return bytes(body)


def _endpoint(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError as error:
        raise Fatal(f"the endpoint is not a URL: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise Fatal("the endpoint must look like https://HOST[:PORT]")
    return url
