"""What a server says when it does not do what was asked, turned into words for the operator."""

import re
from datetime import timedelta
from typing import Any

from aiohttp import ClientResponse, ClientResponseError

from alertagent.kernel.strange_json import decoded
from alertagent.sidecar.model import Away

# A longer pause would look like a hang, and one poll a minute harms no server.
MAX_RETRY_AFTER = timedelta(minutes=1)

_LONGEST = 16_384
_MOST_DETAILS = 5
_SECONDS = re.compile(r"[0-9]{1,9}")

_ADVICE = {
    401: "the server does not know this token",
    403: "the token may not read this cluster",
    404: "the server does not know this cluster",
}


async def expect(response: ClientResponse, *statuses: int) -> None:
    """Raises Away for any other status."""
    if response.status not in statuses:
        raise away(response, await envelope_of(response))


def away(response: ClientResponse, envelope: dict[str, Any]) -> Away:
    message = f"{_advice(response.status)} (HTTP {response.status}): {words_of(envelope)}"
    return Away(message, retry_after=_retry_after(response))


async def envelope_of(response: ClientResponse) -> dict[str, Any]:
    """The server's error; of anything else the beginning, as its message."""
    body = await response.content.read(_LONGEST)
    try:
        error = decoded(body)["error"]
        return {"message": str(error["message"]), "code": error.get("code"), "details": error.get("details") or []}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {"message": body.decode(errors="replace")[:200], "code": None, "details": []}


def reason_of(error: Exception) -> str:
    """Why there was no answer, in one line and without the address: there may be a password in it."""
    if isinstance(error, ClientResponseError):
        return f"what answers does not speak HTTP as it should: {_line(error.message)}"
    return _line(str(error))


def words_of(envelope: dict[str, Any]) -> str:
    """The message, and the first places that it is about."""
    details = [_place(detail) for detail in envelope["details"][:_MOST_DETAILS] if isinstance(detail, dict)]
    return "; ".join([envelope["message"], *details])


def _place(detail: dict[str, Any]) -> str:
    place = ".".join(map(str, detail.get("loc") or ()))
    line = f" line {detail['line']}" if detail.get("line") else ""
    return f"{place}{line}: {detail.get('message', '')}".strip(": ")


def _line(text: str) -> str:
    return " ".join(text.split())[:300]


def _advice(status: int) -> str:
    if 300 <= status < 400:
        return "the endpoint redirects, which is not followed: name the final address"
    return _ADVICE.get(status, "the server refuses")


def _retry_after(response: ClientResponse) -> timedelta | None:
    """Only the form in seconds; AlertAgent sends no dates."""
    text = response.headers.get("Retry-After", "")
    return min(timedelta(seconds=int(text)), MAX_RETRY_AFTER) if _SECONDS.fullmatch(text) else None
