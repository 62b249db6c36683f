"""Files of rules in and out over HTTP."""

import asyncio
import gzip
from typing import Any

import pytest

from alertagent.app import Service
from tests.support.service import Answer, Api

FILE = """\
groups:
- name: node
  interval: 30s
  rules:
  - alert: HostDown
    expr: up == 0
    for: 5m
    labels:
      severity: critical
    annotations:
      summary: '{{ $labels.instance }} is down'
  - record: job:up:sum
    expr: sum by (job) (up)
- name: disk
  rules:
  - alert: DiskFull
    expr: disk_used / disk_size > 0.9
"""


async def take_in(api: Api, text: str | bytes = FILE, query: str = "", **headers: str) -> Answer:
    media = {"Content-Type": "application/yaml", **headers}
    return await api.call("POST", f"/rules/import?{query}", data=text, headers=media)


def counts(answer: Answer) -> tuple[int, ...]:
    assert answer.status == 200, answer.body
    return tuple(answer.data[name] for name in ("created", "updated", "unchanged", "deleted"))


async def stored(service: Service) -> list[int]:
    tables = ("alert_rules", "alert_rule_versions", "audit_log", "task_queue")
    return [await service.parts.database.fetchval(f"SELECT count(*) FROM {table}") for table in tables]


async def test_an_import_makes_the_rules_of_the_file_in_its_order(api: Api) -> None:
    done = await take_in(api, query="targets=c1,c2&comment=from%20git")

    assert counts(done) == (3, 0, 0, 0)
    assert [rule["name"] for rule in done.data["rules"]] == ["HostDown", "job:up:sum", "DiskFull"]
    listed = (await api.get("/rules?sort=position")).data
    assert [rule["id"] for rule in listed] == [rule["id"] for rule in done.data["rules"]]
    down, up, _ = listed
    assert (down["severity"], down["duration"], down["interval"], down["group"]) == ("critical", "5m", "30s", "node")
    assert (up["kind"], up["record"], up["targets"]) == ("recording", "job:up:sum", ["c1", "c2"])
    (version,) = (await api.get(f"/rules/{down['id']}/versions")).data
    assert (version["change"], version["comment"]) == ("created", "from git")


async def test_the_same_file_again_changes_nothing_and_an_edited_one_what_was_edited(
    api: Api, service: Service
) -> None:
    first = await take_in(api, query="targets=c1")
    before = await stored(service)

    again = await take_in(api, query="targets=c1")
    unchanged = await stored(service)
    edited = await take_in(api, FILE.replace("for: 5m", "for: 10m"), query="targets=c1")

    assert (counts(again), unchanged) == ((0, 0, 3, 0), before)
    assert counts(edited) == (0, 1, 2, 0)
    assert [rule["id"] for rule in edited.data["rules"]] == [rule["id"] for rule in first.data["rules"]]
    assert [rule["version"] for rule in edited.data["rules"]] == ["v1.0.1", "v1.0.0", "v1.0.0"]


async def test_an_import_is_one_task_however_many_rules_it_has(api: Api, service: Service) -> None:
    await take_in(api, query="targets=c1")

    rows = await service.parts.database.fetch("SELECT task_type, payload FROM task_queue")
    assert [(row["task_type"], row["payload"]) for row in rows] == [("rules_change", {"rules": 3, "targets": ["c1"]})]
    assert await stored(service) == [3, 3, 3, 1]


async def test_two_imports_of_one_file_at_once_make_each_rule_once(api: Api) -> None:
    done = await asyncio.gather(*(take_in(api, query="targets=c1") for _ in range(4)))

    assert sorted(map(counts, done)) == [(0, 0, 3, 0)] * 3 + [(3, 0, 0, 0)]
    assert (await api.get("/rules")).json["page"]["total"] == 3


BROKEN = {
    "an expression": (FILE.replace("sum by (job) (up)", "sum by (job (up)"), 13, "expr"),
    "a duration": (FILE.replace("for: 5m", "for: 5 minutes"), 7, "for"),
    "an unknown field": (FILE.replace("expr: up == 0", "expression: up == 0"), 6, "expression"),
    "YAML": (FILE.replace("- name: disk", "- name: [disk"), None, ""),
    "no mapping": ("- just\n- a list\n", 1, "mapping"),
    "nothing": ("", 1, "empty"),
    "a NUL": (FILE.replace("HostDown", '"Host\\0Down"'), 5, ""),
    "a lone surrogate": (FILE.replace("HostDown", '"Host\\uD800Down"'), 5, ""),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_one_mistake_in_a_file_refuses_all_of_it_with_the_place(api: Api, service: Service, what: str) -> None:
    text, line, word = BROKEN[what]
    before = await stored(service)

    for query in ("", "dry_run=true"):
        refused = await take_in(api, text, query)

        assert (refused.status, refused.error["code"]) == (400, "rule.file_invalid"), refused.body
        detail = refused.error["details"][0]
        assert word in f"{detail['loc']} {detail['message']}"
        assert line is None or detail["line"] == line, detail
        assert detail["column"] >= 1
    assert await stored(service) == before


async def test_several_files_are_one_import_and_a_mistake_names_its_file(api: Api, service: Service) -> None:
    a = {"name": "a.yml", "content": FILE}
    b = {"name": "b.yml", "content": "groups:\n- name: disk\n  rules:\n  - {alert: DiskSlow, expr: up}\n"}
    broken = {"name": "c.yml", "content": "groups:\n- name: x\n  rules:\n  - {alert: X, expr: sum(}\n"}

    refused = await api.post("/rules/import", {"files": [a, b, broken]})
    nothing = await stored(service)
    done = await api.post("/rules/import", {"files": [a, b]})

    assert refused.status == 400
    assert refused.error["message"].startswith("c.yml, line 4, column ")
    assert refused.error["details"][0]["loc"][:2] == ["files", "c.yml"]
    assert nothing == [0, 0, 0, 0]
    assert counts(done) == (4, 0, 0, 0)
    assert done.data["warnings"] == ['the group "disk" stands in a.yml and b.yml; it becomes one group']


async def test_duplicates_in_a_file_are_worth_a_warning(api: Api) -> None:
    double = FILE + "  - alert: DiskFull\n    expr: disk_used / disk_size > 0.95\n"

    done = await take_in(api, double)
    again = await take_in(api, double)

    assert (counts(done), counts(again)) == ((4, 0, 0, 0), (0, 0, 4, 0))
    (warning,) = done.data["warnings"]
    assert "DiskFull" in warning


async def test_what_a_source_no_longer_has_is_pruned_and_nothing_else(api: Api) -> None:
    await api.post("/rules", {"name": "ByHand", "expression": "up", "group": "disk"})
    await take_in(api, query="targets=c1&source=git/infra")
    less = FILE.partition("- name: disk")[0]

    kept = await take_in(api, less, query="targets=c1&source=git/infra")
    pruned = await take_in(api, less, query="targets=c1&source=git/infra&prune=true")

    assert (counts(kept), counts(pruned)) == ((0, 0, 2, 0), (0, 0, 2, 1))
    assert (pruned.data["rules"][-1]["name"], pruned.data["rules"][-1]["version"]) == ("DiskFull", "v1.0.1")
    owned = (await api.get("/rules", params={"filter": 'source="git/infra"', "sort": "position"})).data
    assert [(rule["name"], rule["source"]) for rule in owned] == [
        ("HostDown", "git/infra"),
        ("job:up:sum", "git/infra"),
    ]
    assert (await api.get("/rules")).json["page"]["total"] == 3


async def test_a_pruned_rule_that_is_restored_belongs_to_nobody(api: Api) -> None:
    done = await take_in(api, query="source=git")
    await take_in(api, "groups: []", query="source=git&prune=true")

    path = f"/rules/{done.data['rules'][0]['id']}"
    back = await api.post(f"{path}/rollback", {"version": "v1.0.0"})
    await take_in(api, "groups: []", query="source=git&prune=true")

    assert (back.status, back.data["source"]) == (200, "")
    assert (await api.get(path)).status == 200


async def test_a_dry_run_of_an_import_shows_the_difference_and_stores_nothing(api: Api, service: Service) -> None:
    await api.post("/clusters", {"id": "c1"})
    await take_in(api, query="targets=c1&source=git")
    before = await stored(service)
    edited = FILE.partition("- name: disk")[0].replace("for: 5m", "for: 10m")

    would = await take_in(api, edited, query="targets=c1&source=git&prune=true&dry_run=true")

    assert counts(would) == (0, 1, 1, 1)
    (cluster,) = would.data["clusters"]
    assert (cluster["added"], cluster["changed"], cluster["removed"]) == (0, 1, 1)
    assert "-    for: 5m\n+    for: 10m\n" in cluster["diff"]
    assert "-  - alert: DiskFull" in cluster["diff"]
    assert await stored(service) == before


async def test_a_compressed_file_is_read_too(api: Api) -> None:
    assert counts(await take_in(api, gzip.compress(FILE.encode()), **{"Content-Encoding": "gzip"})) == (3, 0, 0, 0)


NONSENSE = {
    "prune=true": "source",
    "dialect=sql": "dialect",
    "targets=a%20b": "targets",
    "targets=c1,env%3D%22prod%22": "targets",
    "targets=": "targets",
    "source=": "source",
    "source=a%20b": "source",
    "prune=maybe": "prune",
    "dry_run=maybe": "dry_run",
    "format=prometheus": "format",
}


async def test_an_import_cannot_be_asked_for_nonsense(api: Api) -> None:
    for query, word in NONSENSE.items():
        refused = await take_in(api, query=query)
        assert refused.status == 400, query
        assert word in f"{refused.error['details']}", (query, refused.error)


async def test_selectors_as_targets_keep_their_commas(api: Api) -> None:
    done = await take_in(api, query="targets=env%3D%22prod%22,region%3D%22cn%22&targets=c1,c2&targets=c1")

    rule = (await api.get(f"/rules/{done.data['rules'][0]['id']}")).data
    assert rule["targets"] == ['env="prod",region="cn"', "c1", "c2"]


async def test_taking_in_what_was_given_out_changes_nothing(api: Api, service: Service) -> None:
    await take_in(api, query="targets=c1")
    extra: list[dict[str, Any]] = [
        {"group": "node", "expression": "up == ${n}", "parameters": {"n": "1"}, "severity": "info", "targets": ["c2"]},
        {"group": "node", "group_options": {"limit": 3}, "notes": "asked for\nby payments", "targets": ['env="x"']},
        {"group": "odd: name", "annotations": {"text": "two\nlines\n"}, "keep_firing_for": "1h"},
    ]
    for number, values in enumerate(extra):
        made = await api.post("/rules", {"name": f"r{number}", "expression": "up == 0", **values})
        assert made.status == 201, made.body
    before = await stored(service)

    file = await api.get("/rules/export")
    back = await take_in(api, file.body)
    wrapped = await api.get("/rules/export?format=prometheusrule")
    again = await take_in(api, wrapped.body)

    assert (file.status, file.headers["Content-Type"]) == (200, "application/yaml")
    assert file.headers["Content-Disposition"] == 'attachment; filename="rules.yml"'
    assert (counts(back), counts(again)) == ((0, 0, 6, 0), (0, 0, 6, 0))
    assert await stored(service) == before
    assert wrapped.body.startswith(b"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n")


async def test_an_export_can_be_of_one_cluster_or_of_what_a_filter_finds(api: Api) -> None:
    await api.post("/clusters", {"id": "c1", "labels": {"env": "prod"}, "parameters": {"n": "7"}})
    rules: dict[str, dict[str, Any]] = {
        "Mine": {"targets": ['env="prod"'], "expression": "up == ${n}", "parameters": {"n": "1"}, "severity": "info"},
        "Theirs": {"targets": ["c2"], "expression": "up == 0", "severity": "critical"},
        "Asleep": {"targets": ["c1"], "expression": "up == 0", "enabled": False},
    }
    for name, values in rules.items():
        assert (await api.post("/rules", {"name": name, **values})).status == 201

    everything = (await api.get("/rules/export")).body
    mine = await api.get("/rules/export?cluster_id=c1")
    critical = (await api.get("/rules/export", params={"filter": 'severity="critical"'})).body
    found = (await api.get("/rules/export?q=min")).body
    nothing = (await api.get("/rules/export?q=zzz")).body

    assert b"Mine" in everything
    assert b"Theirs" in everything
    assert b"Asleep" not in everything
    assert b"expr: up == 7\n" in mine.body
    assert b"Theirs" not in mine.body
    assert mine.headers["Content-Disposition"] == 'attachment; filename="c1.yml"'
    assert (b"Theirs" in critical, b"Mine" in critical) == (True, False)
    assert (b"Mine" in found, b"Theirs" in found) == (True, False)
    assert nothing == b"groups: []\n"
    assert (await api.get("/rules/export", headers={"If-None-Match": f'"{mine.headers["ETag"]}"'})).status == 200
    same = await api.get("/rules/export?cluster_id=c1", headers={"If-None-Match": mine.headers["ETag"]})
    assert same.status == 304


async def test_an_export_cannot_be_asked_for_nonsense(api: Api) -> None:
    assert (await api.get("/rules/export?cluster_id=none")).status == 404
    for query in ("format=json", "cluster_id=a%20b", "filter=x", "limit=5", "q=%00"):
        assert (await api.get(f"/rules/export?{query}")).status == 400, query


async def test_a_group_that_only_vmalert_knows_cannot_become_an_object_for_the_operator(api: Api) -> None:
    made = await api.post("/rules", {"name": "a", "expression": "up", "group_options": {"concurrency": 2}})
    assert made.status == 201

    refused = await api.get("/rules/export?format=prometheusrule")

    assert (refused.status, refused.error["code"]) == (400, "rule.not_expressible")
