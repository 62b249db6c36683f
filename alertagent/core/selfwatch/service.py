"""Looks at the sidecars and lets AlertAgent's own alerts take the way of every other alert."""

import asyncio
from datetime import timedelta

import structlog

from alertagent.core.alerts.model import IncomingAlert
from alertagent.core.alerts.service import Alerts
from alertagent.core.configs.service import Configs
from alertagent.core.selfwatch.model import SOURCE, Patience, alert_of, ended, findings
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Unavailable
from alertagent.storage.database import Database, Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.selfwatch")

LOOK_EVERY = timedelta(seconds=15)

# Long enough for another process to take over; what is over is ended at once.
LASTS = timedelta(minutes=5)

log = structlog.get_logger()


class SelfWatch:
    """Any number of processes may run it: one looks at a time, and looking twice changes nothing."""

    def __init__(
        self, database: Database, configs: Configs, alerts: Alerts, clock: Clock, *, patience: Patience, url: str
    ) -> None:
        self._database = database
        self._configs = configs
        self._alerts = alerts
        self._clock = clock
        self._patience = patience
        self._url = f"{url}/api/v1/config/status"
        # Before, nobody may have been there to hear a sidecar.
        self._heard_since = clock.now()

    async def watching(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                await self.look()
            except Unavailable as problem:
                log.warning("selfwatch.postponed", reason=problem.message)
            await asyncio.sleep(LOOK_EVERY.total_seconds())

    async def look(self) -> None:
        """Raise what is wrong and end what is over, unless another process does so now."""
        async with self._database.transaction() as transaction:
            news = await self._news(transaction) if await transaction.fetchval(sql.claim) else []
        await self._alerts.ingest(news)

    async def _news(self, transaction: Transaction) -> list[IncomingAlert]:
        now = self._clock.now()
        wrong = [
            alert_of(sidecar, finding, now, LASTS, self._url)
            for sidecar in await self._configs.sidecars(executor=transaction)
            for finding in findings(sidecar, now, self._patience, self._heard_since)
        ]
        still = {alert.fingerprint for alert in wrong}
        firing = await self._alerts.firing_from(SOURCE, transaction)
        return wrong + [ended(alert, now) for alert in firing if alert.fingerprint not in still]
