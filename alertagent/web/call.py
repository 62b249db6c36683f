"""One request as its handler sees it."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from alertagent.kernel import trace
from alertagent.kernel.ids import new_id
from alertagent.web.access import Principal

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
# A tag is a revision, and for some resources what else the answer shows: `"7"`, `"7-active"`. Only the revision
# guards a change.
_STRONG_TAG = re.compile(r'(?<!W/)"(\d{1,9})(?:-\w+)?"')

# Named, and not by `gzip;q=0`.
_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:\s*,|\s*$))", re.IGNORECASE)

# No revision is negative: an If-Match that names none of ours can never hold.
_NEVER = frozenset({-1})


@dataclass(slots=True, kw_only=True)
class Call:
    """Who calls, and what the headers ask for.

    `expected` are the revisions that `If-Match` names, or None where any will do; `known` are the tags of
    `If-None-Match`, without quotes. `trace` is a W3C traceparent, `media_type` what the body is, `last_event_id` where
    a stream of events was left.
    """

    request_id: str
    trace: str
    remote: str
    principal: Principal
    media_type: str = ""
    expected: frozenset[int] | None = None
    known: frozenset[str] = frozenset()
    last_event_id: str | None = None
    takes_gzip: bool = False
    # What a public route, which nobody has judged it for, may judge itself.
    bearer: str = field(default="", repr=False)

    def knows(self, etag: str) -> bool:
        """Whether the caller has this representation already (weak comparison, as RFC 9110 wants it for GET)."""
        return etag in self.known or "*" in self.known

    @property
    def actor(self) -> str:
        return self.principal.name


CALL = web.RequestKey("call", Call)

ANYBODY = Principal(id="anonymous", name="anonymous")


def open_call(request: web.BaseRequest) -> Call:
    """Read the headers that every request may carry; ids that do not look like ids are replaced, not refused."""
    return Call(
        request_id=request_id_of(request.headers),
        trace=trace.accepted(request.headers.get("traceparent")),
        remote=request.remote or "",
        principal=ANYBODY,
        media_type=request.content_type,
        last_event_id=request.headers.get("Last-Event-ID"),
        expected=_expected(request.headers.get("If-Match")),
        known=_known(request.headers.get("If-None-Match", "")),
        takes_gzip=takes_gzip(request.headers),
        bearer=bearer_of(request.headers.get("Authorization", "")),
    )


def request_id_of(headers: Mapping[str, str]) -> str:
    request_id = headers.get("X-Request-ID")
    if request_id is not None and _REQUEST_ID.fullmatch(request_id):
        return request_id
    return new_id(random.randbytes(10))


def takes_gzip(headers: Mapping[str, str]) -> bool:
    accepted = headers.get("Accept-Encoding")
    return accepted is not None and _GZIP.search(accepted) is not None


def bearer_of(authorization: str) -> str:
    scheme, _, credential = authorization.partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


def _expected(header: str | None) -> frozenset[int] | None:
    if header is None or header.strip() == "*":
        return None
    return frozenset(map(int, _STRONG_TAG.findall(header))) or _NEVER


def _known(header: str) -> frozenset[str]:
    return frozenset(tag.strip().removeprefix("W/").strip('"') for tag in header.split(",") if tag.strip())
