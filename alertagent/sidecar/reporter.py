"""Keeps the server told how things stand."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import structlog

from alertagent.kernel.clock import Clock
from alertagent.sidecar.client import Server
from alertagent.sidecar.model import Away, Report

_HEARTBEAT = timedelta(seconds=15)

_log = structlog.get_logger()


class Reporter:
    """At once when something changed, else as a heartbeat.

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
