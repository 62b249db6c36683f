"""AlertAgent's own alerts, from a report to the list of alerts and out of it again."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alertagent.app import Parts, Service
from alertagent.core.audit.model import Actor
from alertagent.core.clusters.model import ConfigType
from alertagent.core.configs.model import Report, SyncStatus
from alertagent.core.selfwatch.model import SOURCE, Patience
from alertagent.core.selfwatch.service import SelfWatch
from tests.support.prometheus import eventually
from tests.support.service import Api, make_settings, serving

ANNA = Actor(name="anna")


class MovingClock:
    def __init__(self) -> None:
        self.passed = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.passed


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


def make_watch(parts: Parts, clock: MovingClock) -> SelfWatch:
    patience = Patience(
        silent_after=timedelta(minutes=2), stale_after=timedelta(minutes=10), drift_shown_for=timedelta(minutes=15)
    )
    return SelfWatch(parts.database, parts.configs, parts.alerts, clock, patience=patience, url="http://aa")


async def report(parts: Parts, status: SyncStatus = SyncStatus.SUCCESS, **values: Any) -> None:
    snapshot = await parts.configs.current("c1", ConfigType.PROMETHEUS)
    hash, now = snapshot.hash, datetime.now(UTC)
    await parts.configs.report(
        Report(
            cluster_id="c1",
            config_type=ConfigType.PROMETHEUS,
            instance="s1",
            status=status,
            sync_time=now,
            config_hash=hash,
            applied_hash=hash if status is SyncStatus.SUCCESS else None,
            **values,
        )
    )


async def firing(parts: Parts) -> list[str]:
    return sorted(alert.labels["alertname"] for alert in await parts.alerts.firing_from(SOURCE, parts.database))


async def test_what_is_wrong_is_raised_and_ends_by_itself(service: Service, clock: MovingClock) -> None:
    parts = service.parts
    await parts.clusters.add(ANNA, "c1", {})
    watch = make_watch(parts, clock)
    await report(parts)
    await watch.look()
    assert await firing(parts) == []

    await report(parts, SyncStatus.FAILED, error_class="refused", error_message="no")
    for _ in range(2):
        await watch.look()
    assert await firing(parts) == ["AlertAgentConfigRejected"]

    await report(parts)
    await watch.look()
    assert await firing(parts) == []
    events = await parts.database.fetch(
        "SELECT kind FROM alert_events WHERE kind IN ('firing', 'resolved') ORDER BY id"
    )
    assert [event["kind"] for event in events] == ["firing", "resolved"]


async def test_a_silent_sidecar_is_told_of_until_it_speaks_or_is_forgotten(
    service: Service, clock: MovingClock
) -> None:
    parts = service.parts
    await parts.clusters.add(ANNA, "c1", {})
    watch = make_watch(parts, clock)
    await report(parts)
    clock.passed = timedelta(minutes=3)
    await watch.look()
    assert await firing(parts) == ["AlertAgentSidecarSilent"]

    await parts.clusters.remove(ANNA, "c1", None)
    await watch.look()

    assert await firing(parts) == []


async def test_while_one_process_looks_another_does_not(service: Service, clock: MovingClock) -> None:
    parts = service.parts
    await parts.clusters.add(ANNA, "c1", {})
    watch = make_watch(parts, clock)
    await report(parts, SyncStatus.FAILED, error_class="refused", error_message="no")

    async with parts.database.transaction() as elsewhere:
        await elsewhere.fetchval("SELECT pg_advisory_xact_lock(hashtextextended('selfwatch', 0))")
        await watch.look()
        assert await firing(parts) == []
    await asyncio.gather(*(watch.look() for _ in range(3)))
    assert await firing(parts) == ["AlertAgentConfigRejected"]


async def test_a_worker_looks_by_itself(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alertagent.core.selfwatch.service.LOOK_EVERY", timedelta(milliseconds=50))
    async with serving(make_settings(database_url, redis_url)) as (service, api):
        await service.parts.clusters.add(ANNA, "c1", {})
        await report(service.parts, SyncStatus.FAILED, error_class="refused", error_message="no")

        async def is_told() -> bool:
            return [alert["labels"]["cluster"] for alert in (await api.get("/alerts")).data] == ["c1"]

        await eventually(is_told)
        assert isinstance(api, Api)
