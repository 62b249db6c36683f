"""The sidecar's side of the server's contract: `GET /config/sync` as a long poll and `POST /config/sync/status`."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from aiohttp import ClientError, ClientPayloadError, ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Fatal
from alertagent.sidecar.model import Away, Discarded, Identity, Offer, Report

MAX_BODY = 64 << 20
# What a long poll may take on top of the wait that was asked for.
POLL_SLACK = timedelta(seconds=15)
# A longer pause would look like a hang, and one poll a minute harms no server.
MAX_RETRY_AFTER = timedelta(minutes=1)

_SECONDS = re.compile(r"[0-9]{1,9}")
_REPORT_TIMEOUT = ClientTimeout(total=10)
_LONGEST_ERROR = 4096
_HEARTBEAT = timedelta(seconds=15)

_log = structlog.get_logger()


class Server:
    """AlertAgent as one sidecar sees it. Raises Away whenever there is no proper answer.

    The token goes into each request rather than into the session, and redirects are not followed, so that it
    reaches the named host only.
    """

    def __init__(self, session: ClientSession, endpoint: str, identity: Identity, *, token: str | None) -> None:
        self._session = session
        self._identity = identity
        self._url = _endpoint(endpoint) / "api/v1/config/sync"
        self._query = {"cluster_id": identity.cluster_id, "type": identity.config_type}
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def fetch(self, *, known: str | None, wait: timedelta) -> Offer | None:
        """The configuration that is wanted now; None when it is still the known one. Raises Discarded too."""
        headers = self._headers | {"Accept-Encoding": "gzip"}
        if known:
            headers["If-None-Match"] = f'"{known}"'
        url = self._url.with_query(self._query | {"wait": str(wait // timedelta(seconds=1))})
        timeout = ClientTimeout(total=(wait + POLL_SLACK).total_seconds())
        try:
            async with self._session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
                return await _offer(response)
        except ClientPayloadError as error:
            raise Discarded(f"the configuration broke off on its way: {error}") from error
        except (ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def report(self, report: Report, moment: datetime) -> None:
        url, payload, headers = self._url / "status", report.payload(self._identity, moment), self._headers
        try:
            async with self._session.post(
                url, json=payload, headers=headers, timeout=_REPORT_TIMEOUT, allow_redirects=False
            ) as response:
                await _expect(response, 200, 201, 202, 204)
        except (ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Away:
        reason = str(error) or "no answer in time"
        return Away(f"the server at {self._url.host}:{self._url.port} is not reachable: {reason}")


class Reporter:
    """Keeps the server told: at once when something changed, else as a heartbeat.

    Only the latest report matters, so one that could not be sent is not queued: the next pass makes a newer one.
    """

    def __init__(self, server: Server, clock: Clock, *, heartbeat: timedelta = _HEARTBEAT) -> None:
        self._server = server
        self._clock = clock
        self._heartbeat = heartbeat.total_seconds()
        self._told: Report | None = None
        self._told_at = 0.0

    async def tell(self, report: Report) -> bool:
        """Whether the server knows it now. A failure is logged, not raised: it must not hold up the next pass."""
        news = replace(report, duration=timedelta())
        now = asyncio.get_running_loop().time()
        if news == self._told and now - self._told_at < self._heartbeat:
            return True
        try:
            await self._server.report(report, self._clock.now())
        except Away as failure:
            _log.warning("status.undelivered", error=failure.message)
            self._told = None
            return False
        self._told, self._told_at = news, now
        return True


async def _offer(response: ClientResponse) -> Offer | None:
    if response.status == 304:
        return None
    await _expect(response, 200)
    body = await _read(response)
    return Offer.verified(body, announced=response.headers.get("X-Config-Hash"), etag=response.headers.get("ETag"))


async def _read(response: ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > MAX_BODY:
            raise Discarded(f"the configuration is larger than {MAX_BODY >> 20} MiB")
    return bytes(body)


async def _expect(response: ClientResponse, *statuses: int) -> None:
    if response.status in statuses:
        return
    said = _message_of(await response.content.read(_LONGEST_ERROR))
    raise Away(f"{_advice(response.status)} (HTTP {response.status}): {said}", retry_after=_retry_after(response))


_ADVICE = {
    401: "the server does not know this token",
    403: "the token may not read this cluster",
    404: "the server does not know this cluster",
}


def _advice(status: int) -> str:
    if 300 <= status < 400:
        return "the endpoint redirects, which is not followed: name the final address"
    return _ADVICE.get(status, "the server refuses")


def _message_of(body: bytes) -> str:
    """The message of the server's error envelope, else the beginning of whatever came."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return body.decode(errors="replace")[:200]


def _retry_after(response: ClientResponse) -> timedelta | None:
    """Only the form in seconds; AlertAgent sends no dates."""
    text = response.headers.get("Retry-After", "")
    return min(timedelta(seconds=int(text)), MAX_RETRY_AFTER) if _SECONDS.fullmatch(text) else None


def _endpoint(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError as error:
        raise Fatal(f"the endpoint is not a URL: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise Fatal("the endpoint must look like https://HOST[:PORT]")
    return url
