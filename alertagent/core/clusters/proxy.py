"""Queries of a cluster's own Prometheus HTTP API, for previews, graphs and analysis.

What comes back is Prometheus' own answer, untouched: `{"status": "success", "data": {…}}` has its `data` where every
answer here has it, and whoever speaks to Prometheus can speak to this. What goes wrong is told in our words.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
from yarl import URL

from alertagent.core.clusters.service import Clusters
from alertagent.kernel.errors import Conflict, Detail, External, Invalid, Permanent, Unavailable
from alertagent.plugins.addresses import origin
from alertagent.plugins.transport import HttpRequest, HttpResponse, Transport

LONGEST = timedelta(seconds=30)
LARGEST = 16 * 1024 * 1024

# Each may hold as much as LARGEST for a moment.
AT_ONCE = 8

# Parsing this much would hold up the event loop.
_LARGE = 256 * 1024

_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


class QueryProxy:
    """Asks on behalf of people: guarded like everything that goes out, and limited."""

    def __init__(self, clusters: Clusters, transport: Transport) -> None:
        self._clusters = clusters
        self._transport = transport
        self._running = 0

    async def ask(self, cluster_id: str, path: str, parameters: Mapping[str, str], patience: timedelta) -> bytes:
        """Prometheus' answer to `query` or `query_range`, as JSON.

        Raises NotFound, Conflict without a query URL, Invalid when Prometheus refuses the question, External when it
        is away or makes no sense, Unavailable when too much is asked at once.
        """
        cluster = await self._clusters.get(cluster_id)
        if cluster.query_url is None:
            message = f'cluster "{cluster_id}" has no query_url; give it the address of its Prometheus HTTP API'
            raise Conflict(message, code="cluster.no_query_url")
        if self._running >= AT_ONCE:
            raise Unavailable(
                f"{AT_ONCE} queries run already; try again", code="query.too_many", retry_after=timedelta(seconds=1)
            )
        self._running += 1
        try:
            return await self._asked(cluster.query_url, path, parameters, min(patience, LONGEST))
        finally:
            self._running -= 1

    async def _asked(self, query_url: str, path: str, parameters: Mapping[str, str], patience: timedelta) -> bytes:
        base, where = URL(query_url), origin(query_url)
        url = str((base / "api/v1" / path).with_query(base.query))
        # Prometheus takes a form as well, and a form has room for long queries.
        form = urlencode({**parameters, "timeout": f"{patience.total_seconds():g}s"}).encode()
        request = HttpRequest(url=url, headers=_FORM, body=form, timeout=patience, answer_limit=LARGEST)
        try:
            response = await self._transport.send(request)
        except Permanent as problem:
            raise External(problem.message, code=problem.code) from problem
        return await _judged(response, where)


async def _judged(response: HttpResponse, where: str) -> bytes:
    if len(response.body) >= LARGEST:
        raise Invalid(
            f"the answer is larger than {LARGEST // 1024 // 1024} MiB; ask for less: a shorter range, a larger step, "
            "fewer series",
            code="query.too_large",
            details=[Detail(("query",), "the answer is too large")],
        )
    answer = await _parsed(response.body)
    if answer.get("status") == "success" and response.status == 200 and "data" in answer:
        return response.body
    words = answer.get("error")
    if 400 <= response.status < 500 and isinstance(words, str):
        raise Invalid(f"Prometheus: {words[:2000]}", code="query.refused", details=[Detail(("query",), words[:2000])])
    trouble = f": {words[:500]}" if isinstance(words, str) else "; is query_url right?"
    raise External(f"{where} did not answer like Prometheus (HTTP {response.status}){trouble}", code="query.failed")


async def _parsed(body: bytes) -> Mapping[str, Any]:
    """Empty for whatever is no JSON object."""
    try:
        parsed = orjson.loads(body) if len(body) < _LARGE else await asyncio.to_thread(orjson.loads, body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
