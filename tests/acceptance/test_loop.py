"""The whole loop on real input: rule, sidecar, Prometheus, alert, notification, and all the way back."""

import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.governed import CLUSTER, Governed, governed
from tests.support.dingtalk import DingTalkRobot
from tests.support.prometheus import eventually
from tests.support.serve import Serve
from tests.support.service import Api

# A new group waits ten seconds, and changes of a group are told a minute apart.
GROUP_WAIT, GROUP_INTERVAL = 10, 60


@pytest.mark.timeout(180)
async def test_a_rule_runs_fires_is_told_changes_and_goes(database_url: str, redis_url: str, tmp_path: Path) -> None:
    async with (
        Serve.on(database_url, redis_url) as serve,
        aiohttp.ClientSession() as session,
        DingTalkRobot() as robot,
        governed(serve, api := Api(session, serve.address), tmp_path) as cluster,
    ):
        await make_channel(api, robot)
        rule = await rule_is_loaded_within_two_seconds(cluster)
        alert = await firing_is_told(cluster, robot)
        await everything_is_on_record(api, rule, alert)

        await api.put(f"/rules/{rule}", {"expression": "vector(2)"})
        revised = await cluster.target(rule, "active", version="v1.0.1")
        assert (revised["status"], revised["wanted"]) == ("active", "v1.0.1")

        assert (await api.delete(f"/rules/{rule}")).status == 204
        await cluster.runs()
        await end_is_told(api, robot, alert)


async def make_channel(api: Api, robot: DingTalkRobot) -> None:
    config = {"webhook_url": robot.url, "secret": robot.secret}
    made = await api.post("/channels", {"name": "ops", "plugin_name": "dingtalk", "config": config, "default": True})
    assert made.status == 201, made.body


async def rule_is_loaded_within_two_seconds(cluster: Governed) -> str:
    began = time.monotonic()
    rule = await cluster.make_rule(
        "DiskFull", severity="critical", labels={"team": "sre"}, annotations={"summary": "{{ $value }} disk is full"}
    )
    await cluster.runs("DiskFull")
    assert time.monotonic() - began < 2

    target = await cluster.target(rule, "active")
    assert target["applied_version"] == "v1.0.0"
    assert target["cluster_id"] == CLUSTER
    assert target["sync_status"] == "success"
    assert (await cluster.api.get(f"/rules/{rule}")).data["status"] == "active"
    return rule


async def firing_is_told(cluster: Governed, robot: DingTalkRobot) -> str:
    """The robot judges the signature; the id of the alert."""
    [told] = await robot.wait_for(1, GROUP_WAIT + 10)

    assert "【告警】DiskFull" in told.splitlines()[0]
    for line in ("**级别**：严重", "1 disk is full", f"- cluster: {CLUSTER}", "- team: sre", "- severity: critical"):
        assert line in told
    [alert] = (await cluster.api.get('/alerts?filter=alertname="DiskFull"')).data
    id: str = alert["id"]
    return id


async def everything_is_on_record(api: Api, rule: str, id: str) -> None:
    async def is_settled() -> bool:
        alert = (await api.get(f"/alerts/{id}")).data
        return (alert["notification_status"], alert["analysis_status"]) == ("sent", "analyzed")

    await eventually(is_settled)
    alert = (await api.get(f"/alerts/{id}")).data
    assert alert["status"] == "firing"
    assert alert["labels"] == {
        "alertname": "DiskFull",
        "cluster": CLUSTER,
        "severity": "critical",
        "team": "sre",
    }
    assert alert["analysis_result"]
    assert {"firing", "analyzed", "notification.sent"} <= kinds(await timeline(api, id))


async def end_is_told(api: Api, robot: DingTalkRobot, id: str) -> None:
    async def is_resolved() -> bool:
        return bool((await api.get(f"/alerts/{id}")).data["status"] == "resolved")

    await eventually(is_resolved, within=20)
    [_, told] = await robot.wait_for(2, GROUP_INTERVAL + 20)

    assert "【恢复】DiskFull" in told.splitlines()[0]
    assert "**恢复时间**" in told
    assert robot.attempts == 2
    assert "resolved" in kinds(await timeline(api, id))


async def timeline(api: Api, id: str) -> Any:
    return (await api.get(f"/alerts/{id}/timeline")).data


def kinds(events: Any) -> set[str]:
    return {event["kind"] for event in events}
