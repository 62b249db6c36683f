"""What a sidecar says about itself: `/healthz`, `/readyz`, and `/metrics`, written by hand to stay small."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from aiohttp import web

from alertagent.kernel.errors import Fatal

OUTCOMES = ("applied", "unchanged", "rejected", "failed")


class Health:
    """Counts and stamps, all written by the loop that they describe.

    Liveness is stamped only by a poll that ended, in whatever way: a loop that hangs is not alive because its
    process answers.
    """

    def __init__(self, *, patience: timedelta) -> None:
        self._patience = patience.total_seconds()
        self._polled_at = _now()
        self._outcomes: Counter[str] = Counter()
        self._last_poll = 0.0
        self._last_success = 0.0
        self._applied_at = 0.0
        self.is_ready = False
        self.is_target_up = False
        self.is_rejecting = False
        self.reloads = 0
        self.rejections = 0
        self.drifts = 0

    @property
    def is_live(self) -> bool:
        return _now() - self._polled_at < self._patience

    def poll_ended(self, moment: datetime) -> None:
        self._polled_at = _now()
        self._last_poll = moment.timestamp()

    def count(self, outcome: str) -> None:
        """One of OUTCOMES."""
        self._outcomes[outcome] += 1

    def succeeded(self, moment: datetime, *, applied_at: datetime | None = None) -> None:
        """The target was seen to run what was put in place at `applied_at`."""
        self._last_success = moment.timestamp()
        self._applied_at = applied_at.timestamp() if applied_at else self._applied_at
        self.is_ready = True

    def exposition(self) -> str:
        """The Prometheus text format, version 0.0.4."""
        lines = ["# TYPE alertagent_sidecar_syncs_total counter"]
        lines += [f'alertagent_sidecar_syncs_total{{outcome="{name}"}} {self._outcomes[name]}' for name in OUTCOMES]
        lines += _metric("last_poll_timestamp_seconds", "gauge", self._last_poll)
        lines += _metric("last_success_timestamp_seconds", "gauge", self._last_success)
        lines += _metric("applied_timestamp_seconds", "gauge", self._applied_at)
        lines += _metric("target_up", "gauge", int(self.is_target_up))
        lines += _metric("rejected", "gauge", int(self.is_rejecting))
        lines += _metric("reloads_total", "counter", self.reloads)
        lines += _metric("rejections_total", "counter", self.rejections)
        lines += _metric("drift_total", "counter", self.drifts)
        return "\n".join(lines) + "\n"


@asynccontextmanager
async def served(health: Health, listen: tuple[str, int] | None) -> AsyncIterator[None]:
    """Answer on `listen` while the block runs. Raises Fatal when the address cannot be had."""
    if listen is None:
        yield
        return
    runner = web.AppRunner(_pages(health), access_log=None)
    await runner.setup()
    try:
        await _listen(runner, *listen)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise Fatal(f"cannot listen on {host}:{port}: {error.strerror}") from error


def _pages(health: Health) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        return _verdict(health.is_live, "no poll ended in time")

    async def readyz(_: web.Request) -> web.Response:
        return _verdict(health.is_ready, "the target was not yet seen to run a configuration")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=health.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return app


def _verdict(is_well: bool, trouble: str) -> web.Response:
    return web.Response(text="ok\n" if is_well else f"{trouble}\n", status=200 if is_well else 503)


def _metric(name: str, kind: str, value: float) -> list[str]:
    return [f"# TYPE alertagent_sidecar_{name} {kind}", f"alertagent_sidecar_{name} {value}"]


def _now() -> float:
    return asyncio.get_running_loop().time()
