"""Rules out of a running server."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from alertagent.core.rules.live import read_live
from alertagent.core.rules.model import Dialect
from tests.support.prometheus import Prometheus
from tests.support.service import Api
from tests.support.serving import serving

FILE = """\
groups:
- name: node
  interval: 30s
  limit: 10
  rules:
  - alert: HostDown
    expr: up == 0
    for: 1m30s
    keep_firing_for: 10m
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.instance }} is down"}
  - record: job:up:sum
    expr: sum by (job) (up)
- name: alertagent:meta
  rules:
  - alert: AlertAgentConfig
    expr: vector(0) > 1
"""


@asynccontextmanager
async def server_that_answers(body: bytes, status: int = 200) -> AsyncIterator[str]:
    async def rules(_request: web.Request) -> web.Response:
        return web.Response(body=body, status=status)

    app = web.Application()
    app.router.add_get("/prefix/api/v1/rules", rules)
    async with serving(app) as origin:
        yield f"{origin}/prefix/"


@pytest.mark.monitoring
async def test_what_a_prometheus_runs_is_taken_in_as_its_file_says_it(api: Api, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "live.yml").write_text(FILE)
    prometheus = Prometheus(tmp_path)
    await prometheus.start()
    try:
        await api.post("/clusters", {"id": "c1", "query_url": prometheus.url})
        done = await api.post("/rules/import?from_cluster=c1&targets=c1")
        again = await api.post("/rules/import?from_cluster=c1&targets=c1")
    finally:
        await prometheus.stop()

    assert (done.status, done.data["created"]) == (200, 2), done.body
    assert again.data["unchanged"] == 2
    down, up = (await api.get("/rules?sort=position")).data
    assert (down["name"], down["duration"], down["severity"], down["interval"]) == (
        "HostDown",
        "1m30s",
        "critical",
        "30s",
    )
    assert (down["annotations"], down["targets"]) == ({"summary": "{{ $labels.instance }} is down"}, ["c1"])
    assert down["group_options"]["limit"] == 10
    assert (up["record"], up["expression"], up["group"]) == ("job:up:sum", "sum by (job) (up)", "node")


def test_vmalert_shows_the_same_in_its_own_words() -> None:
    rule = {"type": "alerting", "name": "a", "query": "up", "duration": 0.5, "keep_firing_for": 60, "labels": None}
    body = json.dumps({"status": "success", "data": {"groups": [{"name": "g", "interval": 15, "rules": [rule]}]}})

    (read,) = read_live(body.encode(), Dialect.METRICSQL)

    assert (read.name, read.labels, read.dialect, read.record) == ("a", {}, Dialect.METRICSQL, None)
    assert (read.duration, read.interval) == (timedelta(milliseconds=500), timedelta(seconds=15))
    assert read.keep_firing_for == timedelta(minutes=1)


USELESS: list[tuple[bytes, int, str]] = [
    (b"<html>", 200, "no list of rules: Invalid JSON: "),
    (b'{"data": {}}', 200, "groups"),
    (b'{"data": {"groups": [{"name": "g", "rules": [{"type": "alerting"}]}]}}', 200, "name"),
    (b'{"data": {"groups": [{"name": "g", "interval": 1e300}]}}', 200, "interval"),
    (b'{"data": {"groups": []}}', 503, "HTTP 503"),
    (b" " * 16 * 1024 * 1024, 200, "over 16777216 bytes"),
]


async def test_an_answer_of_no_use_is_told_as_what_it_is(api: Api) -> None:
    for number, (body, status, word) in enumerate(USELESS):
        async with server_that_answers(body, status) as url:
            await api.post("/clusters", {"id": f"c{number}", "query_url": url})
            answer = await api.post(f"/rules/import?from_cluster=c{number}")

        assert (answer.status, answer.error["type"]) == (502, "external"), answer.body
        assert word in answer.error["message"]
        assert (await api.get("/rules")).json["page"]["total"] == 0


async def test_a_cluster_that_cannot_be_asked_says_why(api: Api) -> None:
    await api.post("/clusters", {"id": "quiet"})
    await api.post("/clusters", {"id": "away", "query_url": "http://127.0.0.1:1"})

    unknown = await api.post("/rules/import?from_cluster=none")
    quiet = await api.post("/rules/import?from_cluster=quiet")
    away = await api.post("/rules/import?from_cluster=away")
    both = await api.call(
        "POST", "/rules/import?from_cluster=quiet", data="groups: []", headers={"Content-Type": "application/yaml"}
    )

    assert (unknown.status, unknown.error["code"]) == (404, "cluster.not_found")
    assert (quiet.status, quiet.error["code"]) == (409, "cluster.no_query_url")
    assert (away.status, away.error["code"]) == (502, "outgoing.unreachable")
    assert (both.status, both.error["details"][0]["loc"]) == (400, ["from_cluster"])
