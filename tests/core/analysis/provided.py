"""What analyses are tested with: an analyzer and a policy in force, and a look at what became of alerts and runs."""

from typing import Any

from alertagent.core.alerts.model import Alert
from alertagent.core.analysis.model import AnalyzerSetup
from alertagent.core.audit.model import Actor
from tests.core.alerts.house import House

TESTER = Actor(name="tester")


async def analyzer(house: House, provider: str, **config: Any) -> AnalyzerSetup:
    """The default one from here on."""
    values = {"name": provider, "provider": provider, "config": config, "enabled": True, "is_default": True}
    return await house.parts.analyzers.add(TESTER, values)


async def policy(house: House, **changes: Any) -> None:
    await house.parts.policies.revise(TESTER, changes, None)


async def alert_of(house: House, alert: Alert) -> Alert:
    """As it is now."""
    return await house.parts.alerts.get(alert.fingerprint)


async def events(house: House, alert: Alert) -> list[str]:
    """Oldest first."""
    found = await house.parts.alerts.timeline(alert.fingerprint, before=None, limit=100)
    return [event.kind for event in reversed(found)]


async def runs(house: House) -> list[str]:
    """The statuses of all runs, oldest first."""
    rows = await house.database.fetch("SELECT status FROM analysis_runs ORDER BY created_at, id")
    return [row["status"] for row in rows]
