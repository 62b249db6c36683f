"""Live while the loop turns, ready once the target was seen to run something."""

from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from alertagent.kernel.errors import Fatal
from alertagent.sidecar.health import Health, served
from tests.support.prometheus import free_port


async def get(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


@pytest.fixture
async def health() -> Health:
    return Health(patience=timedelta(minutes=1))


async def test_it_is_live_at_once_and_ready_after_the_first_proof(health: Health) -> None:
    port = free_port()
    async with served(health, ("127.0.0.1", port)):
        assert (await get(port, "/healthz"))[0] == 200
        assert (await get(port, "/readyz"))[0] == 503
        health.succeeded(datetime.now(UTC))
        assert (await get(port, "/readyz"))[0] == 200
        assert (await get(port, "/"))[0] == 404


async def test_a_loop_whose_polls_do_not_end_is_not_alive() -> None:
    stuck = Health(patience=timedelta())
    port = free_port()
    async with served(stuck, ("127.0.0.1", port)):
        assert await get(port, "/healthz") == (503, "no poll ended in time\n")


async def test_metrics_are_what_prometheus_reads(health: Health) -> None:
    health.count("applied")
    health.count("rejected")
    health.poll_ended(datetime.fromtimestamp(1_700_000_001, UTC))
    health.succeeded(datetime.fromtimestamp(1_700_000_000, UTC), applied_at=datetime.fromtimestamp(1_600_000_000, UTC))
    health.reloads = 3
    health.rejections = 2
    health.is_target_up = True
    port = free_port()
    async with served(health, ("127.0.0.1", port)):
        status, text = await get(port, "/metrics")

    assert status == 200
    assert text.splitlines() == [
        "# TYPE alertagent_sidecar_syncs_total counter",
        'alertagent_sidecar_syncs_total{outcome="applied"} 1',
        'alertagent_sidecar_syncs_total{outcome="unchanged"} 0',
        'alertagent_sidecar_syncs_total{outcome="rejected"} 1',
        'alertagent_sidecar_syncs_total{outcome="failed"} 0',
        "# TYPE alertagent_sidecar_last_poll_timestamp_seconds gauge",
        "alertagent_sidecar_last_poll_timestamp_seconds 1700000001.0",
        "# TYPE alertagent_sidecar_last_success_timestamp_seconds gauge",
        "alertagent_sidecar_last_success_timestamp_seconds 1700000000.0",
        "# TYPE alertagent_sidecar_applied_timestamp_seconds gauge",
        "alertagent_sidecar_applied_timestamp_seconds 1600000000.0",
        "# TYPE alertagent_sidecar_target_up gauge",
        "alertagent_sidecar_target_up 1",
        "# TYPE alertagent_sidecar_rejected gauge",
        "alertagent_sidecar_rejected 0",
        "# TYPE alertagent_sidecar_reloads_total counter",
        "alertagent_sidecar_reloads_total 3",
        "# TYPE alertagent_sidecar_rejections_total counter",
        "alertagent_sidecar_rejections_total 2",
        "# TYPE alertagent_sidecar_drift_total counter",
        "alertagent_sidecar_drift_total 0",
    ]


async def test_nobody_has_to_listen(health: Health) -> None:
    async with served(health, None):
        assert health.is_live


async def test_a_taken_port_is_one_clear_error(health: Health) -> None:
    port = free_port()
    async with served(health, ("127.0.0.1", port)):
        with pytest.raises(Fatal, match=f"cannot listen on 127.0.0.1:{port}"):
            async with served(health, ("127.0.0.1", port)):
                pytest.fail("listened twice")
