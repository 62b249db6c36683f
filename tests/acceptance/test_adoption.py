"""What ran before AlertAgent came goes on running: brought in by a real sidecar, and from then on governed."""

import json
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.alertmanagers import TEMPLATE, config_of, governing
from tests.acceptance.governed import CLUSTER
from tests.support.alertmanager import Alertmanager, write
from tests.support.prometheus import Prometheus, RuleServer, Vmalert, eventually, running
from tests.support.serve import Running, Serve
from tests.support.service import Api
from tests.support.sink import Sink

HAND_WRITTEN = """\
# Written by hand, years ago.
groups:
- name: disk
  rules:
  - alert: DiskFull
    expr: |
      disk_used
        / disk_size > 0.9
    for: 10m
    keep_firing_for: 5m
    labels: {severity: critical, team: 'sre, '}
    annotations:
      summary: '{{ $labels.instance }} is {{ $value | humanizePercentage }} full'
- name: node
  interval: 15s
  limit: 20
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
    labels: {source: hand}
  - alert: HostDown
    expr: up == 0
  - alert: HostDown
    expr: up == 0
    for: 1h
    labels: {severity: critical}
"""
FOR_VMALERT = """\
groups:
- name: node
  interval: 1s
  concurrency: 2
  rules:
  - alert: HostDown
    expr: default_rollup(up) default 0 == 0
"""
SAID = ("name", "query", "duration", "keepFiringFor", "labels", "annotations", "type")


async def groups(prometheus: Prometheus) -> Any:
    """What Prometheus says that it runs, in the order of its own, without what an evaluation brings about."""
    async with aiohttp.ClientSession() as session, session.get(f"{prometheus.url}/api/v1/rules") as response:
        found = json.loads(await response.read())["data"]["groups"]
    return [
        (group["name"], group["interval"], group["limit"], [{key: rule.get(key) for key in SAID} for rule in rules])
        for group in found
        if (rules := group["rules"]) and group["name"] != "alertagent:meta"
    ]


def sidecar_of(serve: Serve, token: str, target: RuleServer, file: Path, config_type: str = "prometheus") -> Running:
    return Running(
        *("sidecar", "--endpoint", serve.address, "--cluster-id", CLUSTER, "--config-type", config_type),
        *("--config-path", str(file), "--reload-url", target.reload_url, "--adopt"),
        environment={"ALERTAGENT_TOKEN": token},
    )


async def test_rules_written_by_hand_come_in_and_run_on_under_governance(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    prometheus = Prometheus(tmp_path)
    file = prometheus.rules / "alertagent.yml"
    file.write_text(HAND_WRITTEN)
    async with (
        Serve.on(database_url, redis_url) as serve,
        aiohttp.ClientSession() as session,
        running(prometheus),
    ):
        api = Api(session, serve.address)
        await api.post("/clusters", {"id": CLUSTER})
        token = (await api.post(f"/clusters/{CLUSTER}/tokens", {})).data["token"]
        by_hand = await groups(prometheus)
        assert len(by_hand) == 2

        async with sidecar_of(serve, token, prometheus, file) as sidecar:
            await sidecar.said("config.adopted")

            async def is_current() -> bool:
                states = (await api.get("/config/status")).data
                return [state["is_current"] for state in states] == [True]

            await eventually(is_current)
            assert await groups(prometheus) == by_hand
            assert "AlertAgentConfig" in await prometheus.alerts()
            rules = (await api.get("/rules?sort=position")).data
            assert [rule["name"] for rule in rules] == ["DiskFull", "job:up:sum", "HostDown", "HostDown"]
            assert {(rule["source"], *rule["targets"], rule["status"]) for rule in rules} == {
                (f"adopted:{CLUSTER}", CLUSTER, "active")
            }

            await api.put(f"/rules/{rules[0]['id']}", {"name": "DiskAlmostFull"})
            for rule in rules[2:]:
                await api.delete(f"/rules/{rule['id']}")
            left = {"DiskAlmostFull", "job:up:sum", "AlertAgentConfig"}

            async def runs_what_is_left() -> bool:
                return await prometheus.alerts() == left

            await eventually(runs_what_is_left)


async def test_rules_of_vmalert_come_in_with_what_only_vmalert_knows(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "alertagent.yml"
    file.write_text(FOR_VMALERT)
    async with (
        Serve.on(database_url, redis_url) as serve,
        aiohttp.ClientSession() as session,
        running(Vmalert(tmp_path, file)) as vmalert,
    ):
        api = Api(session, serve.address)
        await api.post("/clusters", {"id": CLUSTER, "config_types": ["vmalert"]})
        token = (await api.post(f"/clusters/{CLUSTER}/tokens", {})).data["token"]

        async with sidecar_of(serve, token, vmalert, file, "vmalert") as sidecar:
            await sidecar.said("config.adopted")

            async def runs() -> bool:
                return await vmalert.alerts() == {"HostDown", "AlertAgentConfig"}

            await eventually(runs, within=60)
            (rule,) = (await api.get("/rules")).data
            assert (rule["dialect"], rule["expression"]) == ("metricsql", "default_rollup(up) default 0 == 0")
            assert rule["group_options"]["concurrency"] == 2


async def test_a_file_that_cannot_come_in_stays_and_what_is_wrong_with_it_is_reported(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    prometheus = Prometheus(tmp_path)
    file = prometheus.rules / "alertagent.yml"
    file.write_text(HAND_WRITTEN)
    async with (
        Serve.on(database_url, redis_url) as serve,
        aiohttp.ClientSession() as session,
        running(prometheus),
    ):
        api = Api(session, serve.address)
        await api.post("/clusters", {"id": CLUSTER})
        token = (await api.post(f"/clusters/{CLUSTER}/tokens", {})).data["token"]
        broken = HAND_WRITTEN.replace("for: 10m", "for: soon")
        file.write_text(broken)

        async with sidecar_of(serve, token, prometheus, file):

            async def is_reported() -> bool:
                states = (await api.get("/config/status")).data
                return any("line 9" in (state["error_message"] or "") for state in states)

            await eventually(is_reported)
            assert file.read_text() == broken
            assert (await api.get("/rules")).data == []
            assert await prometheus.alerts() == {"DiskFull", "job:up:sum", "HostDown"}

            file.write_text(HAND_WRITTEN)

            async def is_governed() -> bool:
                return "AlertAgentConfig" in await prometheus.alerts()

            await eventually(is_governed, within=60)
            assert len((await api.get("/rules")).data) == 4


async def test_an_alertmanager_comes_in_with_its_template_and_says_the_same_as_before(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with Sink() as slack:
        (tmp_path / "own").mkdir()
        (tmp_path / "own" / "title.tmpl").write_text(TEMPLATE)
        by_hand = config_of(slack, "own/*.tmpl")
        file = write(tmp_path, by_hand)
        async with (
            Serve.on(database_url, redis_url) as serve,
            aiohttp.ClientSession() as session,
            running(Alertmanager(tmp_path)) as alertmanager,
            governing(serve, Api(session, serve.address), alertmanager, file, "--adopt") as governed,
        ):
            await governed.sidecar.said("config.adopted")
            view = await governed.runs("v1.0.0")

            assert view["templates"] == {"title.tmpl": TEMPLATE}
            assert view["updated_by"].startswith("sidecar (")
            [directory] = (tmp_path / "alertagent-templates").iterdir()
            assert (directory / "title.tmpl").read_text() == TEMPLATE
            path = f"alertagent-templates/{directory.name}/title.tmpl"
            assert file.read_text() == by_hand.replace("'own/*.tmpl'", path)

            (tmp_path / "own" / "title.tmpl").unlink()
            assert (await alertmanager.reload())[0] == 200
            assert await governed.says(slack, "HostDown") == "First says HostDown"
