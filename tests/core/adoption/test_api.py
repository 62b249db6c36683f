"""Adoption over HTTP: what a sidecar sends is stored as people's own would be, and only where there is nothing yet."""

import asyncio
from typing import Any

import pytest

from tests.core.adoption.test_bundle import HOME, tar_of
from tests.support.service import Answer, Api

RULES = """\
groups:
- name: node
  interval: 30s
  rules:
  - alert: HostDown
    expr: up == 0
    for: 5m
  - record: job:up:sum
    expr: sum by (job) (up)
"""
CONFIG = "route: {receiver: r}\nreceivers: [{name: r}]\n"
TEMPLATED = CONFIG + "templates: ['/etc/alertmanager/own/*.tmpl']\n"
BUNDLE = tar_of(("alertmanager.yml", TEMPLATED.encode()), (f"{HOME}/a.tmpl", b'{{ define "a" }}{{ end }}'))
TAR = "application/x-tar"


@pytest.fixture
async def sidecar(api: Api) -> Api:
    """A service that knows one cluster, as the cluster's sidecar sees it."""
    made = await api.post("/clusters", {"id": "c1", "config_types": ["prometheus", "vmalert", "alertmanager"]})
    assert made.status == 201, made.body
    token = (await api.post("/clusters/c1/tokens", {"name": "beside"})).data["token"]
    return api.as_(token)


async def adopt(
    caller: Api, body: str | bytes = RULES, type: str = "prometheus", media: str = "application/yaml", **query: str
) -> Answer:
    asked = {"cluster_id": "c1", "type": type, **query}
    return await caller.call("POST", "/config/adopt", data=body, params=asked, headers={"Content-Type": media})


async def names(api: Api) -> list[str]:
    return [rule["name"] for rule in (await api.get("/rules?sort=position")).data]


async def test_a_rule_file_becomes_rules_of_its_cluster(api: Api, sidecar: Api) -> None:
    done = await adopt(sidecar)

    assert (done.status, done.data) == (201, {"rules": 2, "version": None, "warnings": []})
    down, up = (await api.get("/rules?sort=position")).data
    assert (down["name"], down["duration"], down["interval"], down["group"]) == ("HostDown", "5m", "30s", "node")
    assert (down["targets"], down["source"], down["dialect"]) == (["c1"], "adopted:c1", "promql")
    assert down["created_by"].startswith("beside (")
    assert up["record"] == "job:up:sum"
    (version,) = (await api.get(f"/rules/{down['id']}/versions")).data
    assert version["comment"] == "as it ran before"
    served = (await sidecar.get("/config/sync?cluster_id=c1&type=prometheus")).body.decode()
    assert "- alert: HostDown" in served


async def test_rules_of_vmalert_may_say_what_prometheus_does_not_know(api: Api, sidecar: Api) -> None:
    metricsql = RULES.replace("up == 0", "default_rollup(up) default 0 == 0")

    refused, done = await adopt(sidecar, metricsql), await adopt(sidecar, metricsql, "vmalert")

    assert (refused.status, done.status) == (400, 201)
    assert {rule["dialect"] for rule in (await api.get("/rules")).data} == {"metricsql"}


@pytest.mark.parametrize("target", ["c1", 'id=~"c.*"'])
async def test_where_there_are_rules_already_they_count(api: Api, sidecar: Api, target: str) -> None:
    mine = {"name": "Mine", "expression": "up == 0", "targets": [target], "enabled": False}
    assert (await api.post("/rules", mine)).status == 201

    for body in (RULES, "neither good nor needed"):
        declined = await adopt(sidecar, body)
        assert (declined.status, declined.error["code"]) == (409, "adopt.not_empty")
    assert await names(api) == ["Mine"]


async def test_rules_of_other_clusters_are_no_hindrance(api: Api, sidecar: Api) -> None:
    await api.post("/rules", {"name": "HostDown", "expression": "up == 0", "targets": ["c2"], "group": "node"})
    await api.post("/rules", {"name": "Waiting", "expression": "up == 0", "group": "node"})

    done = await adopt(sidecar)

    assert done.status == 201
    assert await names(api) == ["HostDown", "Waiting", "HostDown", "job:up:sum"]


async def test_of_several_at_once_one_is_taken(api: Api, sidecar: Api) -> None:
    files = [RULES.replace("HostDown", f"HostDown{number}") for number in range(4)]

    rules = await asyncio.gather(*(adopt(sidecar, text) for text in files))
    configs = await asyncio.gather(*(adopt(sidecar, CONFIG, "alertmanager") for _ in range(4)))

    assert sorted(answer.status for answer in rules) == [201, 409, 409, 409]
    assert sorted(answer.status for answer in configs) == [201, 409, 409, 409]
    assert len(await names(api)) == 2


async def test_a_file_with_a_mistake_is_refused_with_its_place(api: Api, sidecar: Api) -> None:
    refused = await adopt(sidecar, RULES.replace("for: 5m", "for: soon"))

    assert (refused.status, refused.error["code"]) == (400, "rule.file_invalid")
    (detail,) = refused.error["details"]
    assert (detail["line"], detail["loc"][-1]) == (7, "for")
    assert await names(api) == []


async def test_the_adopted_rules_belong_to_the_first_source_that_sends_them(api: Api, sidecar: Api) -> None:
    await adopt(sidecar)
    before = [rule["id"] for rule in (await api.get("/rules?sort=position")).data]

    done = await api.call(
        "POST",
        "/rules/import?source=git/infra&prune=true&targets=c1",
        data=RULES,
        headers={"Content-Type": "application/yaml"},
    )

    assert (done.data["created"], done.data["deleted"]) == (0, 0)
    after = (await api.get("/rules?sort=position")).data
    assert [(rule["id"], rule["source"]) for rule in after] == [(id, "git/infra") for id in before]


async def test_a_configuration_alone_is_stored_as_it_stands(api: Api, sidecar: Api) -> None:
    done = await adopt(sidecar, TEMPLATED, "alertmanager")

    assert done.status == 201
    assert (done.data["version"], done.data["rules"]) == ("v1.0.0", 0)
    stored = (await api.get("/clusters/c1/alertmanager-config")).data
    assert (stored["config"], stored["templates"]) == (TEMPLATED, {})
    assert stored["updated_by"].startswith("beside (")


async def test_a_configuration_comes_with_its_templates(api: Api, sidecar: Api) -> None:
    done = await adopt(sidecar, BUNDLE, "alertmanager", TAR)

    assert done.status == 201, done.body
    stored = (await api.get("/clusters/c1/alertmanager-config")).data
    assert (stored["config"], stored["templates"]) == (TEMPLATED, {"a.tmpl": '{{ define "a" }}{{ end }}'})


async def test_where_there_is_a_configuration_already_it_counts(api: Api, sidecar: Api) -> None:
    path = "/clusters/c1/alertmanager-config"
    await api.put(path, {"config": CONFIG})

    for body, media in ((BUNDLE, TAR), (b"no tar", TAR), (b"nonsense: 1", "application/yaml")):
        declined = await adopt(sidecar, body, "alertmanager", media)
        assert (declined.status, declined.error["code"]) == (409, "adopt.not_empty")
    assert (await api.get(path)).data["config"] == CONFIG
    await api.delete(path)
    assert (await adopt(sidecar, BUNDLE, "alertmanager", TAR)).data["version"] == "v1.0.2"


@pytest.mark.parametrize(
    ("body", "media", "words"),
    [
        ("route: {receiver: nobody}\nreceivers: [{name: r}]\n", "application/yaml", "no receiver of this name"),
        ("", "application/yaml", ""),
        (b"\xff", "application/yaml", "UTF-8"),
        (b"a: '\0'", "application/yaml", "U+0000"),
        (b"no tar", TAR, "tar"),
        (tar_of(("alertmanager.yml", CONFIG.encode()), (f"{HOME}/a.tmpl", b"")), TAR, "a.tmpl"),
    ],
)
async def test_a_configuration_with_a_mistake_is_refused(
    api: Api, sidecar: Api, body: str | bytes, media: str, words: str
) -> None:
    refused = await adopt(sidecar, body, "alertmanager", media)

    assert refused.status == 400
    assert words in refused.error["message"]
    assert (await api.get("/clusters/c1/alertmanager-config")).status == 404


async def test_only_what_the_cluster_has_is_taken(api: Api, sidecar: Api) -> None:
    await api.put("/clusters/c1", {"config_types": ["prometheus"]})

    for type, body in (("vmalert", RULES), ("alertmanager", CONFIG)):
        refused = await adopt(sidecar, body, type)
        assert (refused.status, refused.error["code"]) == (409, "config.type_not_enabled")
    assert (await adopt(sidecar, BUNDLE, "prometheus", TAR)).status == 415
    assert (await adopt(sidecar, RULES, "prometheus", "text/plain")).status == 415


async def test_a_cluster_that_nobody_knows_is_made_known_by_whom_may_do_so(api: Api) -> None:
    made: Any = await api.post("/tokens", {"name": "fleet", "scopes": ["sync:*"]})

    done = await adopt(api.as_(made.data["token"]), cluster_id="c7")

    assert done.status == 201
    assert (await api.get("/clusters/c7")).data["config_types"] == ["prometheus"]
    assert (await api.get("/rules")).data[0]["targets"] == ["c7"]


async def test_a_sidecar_adopts_for_its_own_cluster_only(sidecar: Api) -> None:
    refused = await adopt(sidecar, cluster_id="c2")

    assert (refused.status, refused.error["code"]) == (403, "auth.other_cluster")
