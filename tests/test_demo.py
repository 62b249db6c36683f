"""The demo fills an empty house, sends alerts through the front door, and disturbs nothing on a second start."""

from pathlib import Path
from typing import Any

import pytest

from alertagent.app import Service
from alertagent.core.clusters.model import ConfigType
from alertagent.core.configs.render import render
from alertagent.core.rules.check import check_rule
from alertagent.demo import demo_settings, playing
from tests.core.alerts.house import until
from tests.support.service import Api, make_settings


async def counts(api: Api) -> list[int]:
    return [(await api.get(path)).json["page"]["total"] for path in ("/clusters", "/rules", "/channels")]


async def test_the_demo_shows_clusters_rules_alerts_and_a_channel_that_prints(
    service: Service, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    async def shown() -> Any:
        return (await api.as_(token).get("/alerts")).data

    async with playing(service.parts) as token:
        alerts = await until(shown)
        (channel,) = (await api.get("/channels")).data
        await api.post(f"/channels/{channel['id']}/test")

    assert await counts(api) == [2, 12, 1]
    assert {"alertname", "severity", "cluster"} <= alerts[0]["labels"].keys()
    assert (channel["enabled"], channel["default"]) == (True, True)
    assert "AlertAgentTest" in capsys.readouterr().out


async def test_a_second_start_adds_nothing(service: Service, api: Api) -> None:
    for _ in range(2):
        async with playing(service.parts) as token:
            assert (await api.as_(token).get("/rules")).status == 200

    assert await counts(api) == [2, 12, 1]


async def test_every_sample_rule_reaches_both_clusters(service: Service, api: Api) -> None:
    async with playing(service.parts):
        rules, clusters = await service.parts.rules.enabled(), await service.parts.clusters.all()

    assert [check_rule(rule.content) for rule in rules] == [[]] * 12
    assert [len(render(cluster, ConfigType.PROMETHEUS, rules).rules) for cluster in clusters] == [12, 12]


def test_the_demo_lives_beside_real_data_and_may_call_this_machine() -> None:
    settings = make_settings("postgresql://db", "redis://redis", outgoing={"allow_networks": ["10.0.0.0/8"]})

    shown = demo_settings(settings)

    assert shown.data_dir == Path("/nonexistent/demo")
    assert shown.outgoing.allow_networks == ("10.0.0.0/8", "127.0.0.0/8", "::1/128")
