"""What operators and their probes look at: liveness, readiness, metrics, and the description of the API."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import orjson
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from alertagent.kernel.errors import Problem, Unavailable
from alertagent.web.access import PUBLIC
from alertagent.web.call import Call
from alertagent.web.models import Model
from alertagent.web.replies import Raw
from alertagent.web.routes import get

CHECK_TIMEOUT_SECONDS = 2.0

Check = Callable[[], Awaitable[None]]

log = structlog.get_logger()


class ReadyQuery(Model):
    """`?verbose`, with or without a value, shows every check."""

    verbose: str | None = None


class Readiness:
    """Whether this process should get work. `needed` checks decide; `shown` ones only tell.

    Redis is only shown: without it alerts are still accepted, and a restart would help nobody.
    """

    def __init__(self, *, needed: Mapping[str, Check], shown: Mapping[str, Check]) -> None:
        self._needed = needed
        self._shown = shown
        self.is_stopping = False

    async def problems(self, *, verbose: bool) -> tuple[dict[str, str], bool]:
        """What each check says ("ok" or the trouble), and whether work may come."""
        checks = {**self._needed, **(self._shown if verbose else {})}
        said = dict(zip(checks, await asyncio.gather(*map(_outcome, checks.values())), strict=True))
        if self.is_stopping:
            said["process"] = "stopping"
        return said, not self.is_stopping and all(said[name] == "ok" for name in self._needed)


class HealthApi:
    def __init__(self, readiness: Readiness, registry: CollectorRegistry, document: Callable[[], Any]) -> None:
        self._readiness = readiness
        self._registry = registry
        self._document = document

    @get("/healthz", prefix="", access=PUBLIC)
    async def healthz(self, call: Call) -> Raw:
        """Whether the process turns."""
        return _text("ok\n")

    @get("/-/healthy", prefix="", access=PUBLIC)
    async def healthy(self, call: Call) -> Raw:
        """The same, by Prometheus' name."""
        return _text("ok\n")

    @get("/readyz", prefix="", access=PUBLIC)
    async def readyz(self, call: Call, query: ReadyQuery) -> Raw:
        """Whether alerts are taken: the database answers and is migrated."""
        return await self._ready(verbose=query.verbose is not None)

    @get("/-/ready", prefix="", access=PUBLIC)
    async def ready(self, call: Call, query: ReadyQuery) -> Raw:
        """The same, by Prometheus' name."""
        return await self._ready(verbose=query.verbose is not None)

    @get("/metrics", prefix="", access=PUBLIC)
    async def metrics(self, call: Call) -> Raw:
        """Metrics for Prometheus."""
        media, _, _ = CONTENT_TYPE_PLAIN_0_0_4.partition(";")
        return Raw(body=generate_latest(self._registry), content_type=media)

    @get("/api/openapi.json", prefix="", access=PUBLIC)
    async def openapi(self, call: Call) -> Raw:
        """This description."""
        return Raw(body=orjson.dumps(self._document()), content_type="application/json")

    async def _ready(self, *, verbose: bool) -> Raw:
        said, is_ready = await self._readiness.problems(verbose=verbose)
        if not is_ready:
            trouble = "; ".join(f"{name}: {text}" for name, text in said.items() if text != "ok")
            raise Unavailable(f"not ready: {trouble}", code="process.not_ready", retry_after=timedelta(seconds=2))
        body = orjson.dumps({"status": "ready", "checks": said}) if verbose else b"ok\n"
        return Raw(body=body, content_type="application/json" if verbose else "text/plain")


async def _outcome(check: Check) -> str:
    """Whoever may ask may not learn addresses: the log has the reason."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await check()
    except (Problem, OSError) as error:
        log.warning("readiness.check_failed", reason=str(error) or type(error).__name__)
        return "does not answer"
    return "ok"


def _text(text: str) -> Raw:
    return Raw(body=text.encode(), content_type="text/plain")
