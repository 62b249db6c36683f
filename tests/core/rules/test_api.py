"""Rules over HTTP."""

from typing import Any

from tests.support.service import Answer, Api

RULE: dict[str, Any] = {"name": "HostDown", "expression": "up == 0"}


async def make(api: Api, **values: Any) -> Any:
    answer = await api.post("/rules", {**RULE, **values})
    assert answer.status == 201, answer.body
    return answer.data


def names(answer: Answer) -> list[str]:
    return [rule["name"] for rule in answer.data]


async def test_a_rule_says_everything_that_was_decided_about_it(api: Api) -> None:
    rule = await make(
        api,
        duration="1d12h",
        severity="critical",
        labels={"team": "sre"},
        annotations={"summary": "x"},
        targets=["c1"],
        group="node",
        interval="30s",
        keep_firing_for="10m",
        comment="why",
    )

    assert (rule["duration"], rule["interval"], rule["keep_firing_for"]) == ("1d12h", "30s", "10m")
    assert (rule["version"], rule["status"], rule["created_by"]) == ("v1.0.0", "pending", "admin")
    assert (rule["severity"], rule["labels"], rule["targets"]) == ("critical", {"team": "sre"}, ["c1"])
    assert "comment" not in rule


async def test_fields_given_replace_and_null_clears_what_is_optional(api: Api) -> None:
    rule = await make(api, duration="5m", severity="critical", labels={"a": "b"}, interval="30s", targets=["c1"])

    answer = await api.put(f"/rules/{rule['id']}", {"duration": "10m"})
    cleared = await api.put(
        f"/rules/{rule['id']}", {"severity": None, "labels": None, "interval": None, "duration": None, "targets": None}
    )

    assert (answer.data["duration"], answer.data["severity"], answer.data["version"]) == ("10m", "critical", "v1.0.1")
    assert (cleared.data["severity"], cleared.data["labels"], cleared.data["interval"]) == (None, {}, None)
    assert (cleared.data["duration"], cleared.data["targets"], cleared.data["version"]) == ("0s", [], "v1.0.2")


NOTHING: list[dict[str, Any]] = [{}, {"expression": "up == 0"}, {"comment": "nothing really"}, {"labels": None}]


async def test_a_change_of_nothing_keeps_the_version(api: Api) -> None:
    rule = await make(api)

    answers = [await api.put(f"/rules/{rule['id']}", change) for change in NOTHING]

    assert [(answer.status, answer.data["version"]) for answer in answers] == [(200, "v1.0.0")] * len(NOTHING)


async def test_the_result_of_a_change_is_validated_as_a_whole(api: Api) -> None:
    rule = await make(api, duration="5m", annotations={"a": "b"})

    turned = await api.put(f"/rules/{rule['id']}", {"kind": "recording", "record": "a:b"})
    whole = await api.put(
        f"/rules/{rule['id']}", {"kind": "recording", "record": "a:b", "duration": None, "annotations": None}
    )

    assert (turned.status, turned.error["code"]) == (400, "rule.invalid")
    assert [detail["loc"] for detail in turned.error["details"]] == [["duration"], ["annotations"]]
    assert (whole.status, whole.data["kind"]) == (200, "recording")


async def test_a_bad_expression_is_refused_with_line_and_column(api: Api) -> None:
    answer = await api.post("/rules", {**RULE, "expression": "sum(\n  rate(up[5m]))) > 1"})

    assert (answer.status, answer.error["code"]) == (400, "rule.expression_invalid")
    (detail,) = answer.error["details"]
    assert (detail["loc"], detail["line"], detail["column"]) == (["expression"], 2, 16)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "name"),
    ({"expression": None}, "expression"),
    ({"name": ""}, "name"),
    ({"expression": ""}, "expression"),
    ({"duration": "90"}, "duration"),
    ({"duration": 90}, "duration"),
    ({"duration": "12h1d"}, "duration"),
    ({"kind": "alert"}, "kind"),
    ({"dialect": "sql"}, "dialect"),
    ({"severity": ""}, "severity"),
    ({"labels": {"a": 1}}, "labels"),
    ({"labels": []}, "labels"),
    ({"targets": "c1"}, "targets"),
    ({"enabled": "maybe"}, "enabled"),
    ({"expr": "up"}, "expr"),
    ({"group": "alertagent:meta"}, "group"),
    ({"interval": "0s"}, "interval"),
]


async def test_a_field_of_the_wrong_kind_is_named(api: Api) -> None:
    rule = await make(api)

    for change, loc in WRONG:
        for answer in (await api.post("/rules", {**RULE, **change}), await api.put(f"/rules/{rule['id']}", change)):
            assert answer.status == 400, (change, answer.body)
            assert answer.error["details"][0]["loc"][0] == loc, change


async def test_a_guard_against_a_stale_change_holds(api: Api) -> None:
    made = await api.post("/rules", RULE)
    path, old = f"/rules/{made.data['id']}", made.headers["ETag"]

    fresh = await api.put(path, {"expression": "up == 1"}, headers={"If-Match": old})
    stale = await api.put(path, {"expression": "up == 2"}, headers={"If-Match": old})
    removed = await api.delete(path, headers={"If-Match": old})
    known = await api.get(path, headers={"If-None-Match": fresh.headers["ETag"]})
    gone = await api.delete(path, headers={"If-Match": fresh.headers["ETag"]})

    assert [answer.status for answer in (fresh, stale, removed, known, gone)] == [200, 412, 412, 304, 204]
    assert stale.error["code"] == "request.precondition_failed"


async def test_a_rule_nobody_knows_is_not_found(api: Api) -> None:
    answers = [
        await api.get("/rules/nope"),
        await api.put("/rules/nope", {"name": "x"}),
        await api.delete("/rules/nope"),
        await api.get("/rules/nope/distribution"),
    ]

    assert {(answer.status, answer.error["code"]) for answer in answers} == {(404, "rule.not_found")}


WAITING: list[tuple[dict[str, Any], str]] = [
    ({}, "inactive"),
    ({"targets": ["nobody-yet"]}, "pending"),
    ({"targets": ['env="nobody"']}, "pending"),
    ({"targets": ["nobody-yet"], "enabled": False}, "inactive"),
]


async def test_a_rule_waits_for_its_targets(api: Api) -> None:
    for values, status in WAITING:
        rule = await make(api, **values)

        distribution = (await api.get(f"/rules/{rule['id']}/distribution")).data

        assert (rule["status"], distribution["status"]) == (status, status), values
        targets = [target["cluster_id"] for target in distribution["targets"]]
        assert targets == (values["targets"] if status == "pending" else []), values


async def test_the_list_is_filtered_sorted_and_paged(api: Api) -> None:
    for number, severity in enumerate(("critical", "warning", "critical", "info")):
        await make(api, name=f"r{number}", severity=severity, labels={"team": f"t{number % 2}"}, group=f"g{number}")

    first = await api.get("/rules", params={"sort": "name", "limit": "3"})
    rest = await api.get("/rules", params={"sort": "name", "limit": "3", "cursor": first.json["page"]["next_cursor"]})
    newest = await api.get("/rules", params={"limit": "1"})
    critical = await api.get("/rules", params={"filter": 'severity="critical"', "sort": "-name"})
    both = await api.get("/rules", params=[("filter", 'severity=~"c.*|w.*"'), ("filter", 'team!="t0"')])
    found = await api.get("/rules", params={"q": "R3"})

    assert (names(first), first.json["page"]["total"]) == (["r0", "r1", "r2"], 4)
    assert (names(rest), rest.json["page"]["next_cursor"]) == (["r3"], None)
    assert (names(newest), names(critical), names(both), names(found)) == (["r3"], ["r2", "r0"], ["r1"], ["r3"])


NONSENSE = [
    {"sort": "nope"},
    {"limit": "0"},
    {"limit": "501"},
    {"cursor": "!!"},
    {"filter": "nonsense"},
    {"filter": 'name=~"("'},
    {"colour": "red"},
]


async def test_a_list_cannot_be_asked_for_nonsense(api: Api) -> None:
    for query in NONSENSE:
        assert (await api.get("/rules", params=query)).status == 400, query


async def test_validating_tells_what_is_wrong_and_stores_nothing(api: Api) -> None:
    good = await api.post("/rules/validate", RULE)
    bad = await api.post("/rules/validate", {**RULE, "expression": "up\n)"})
    doubtful = await api.post("/rules/validate", {**RULE, "annotations": {"a-b": "c"}})
    listed = await api.get("/rules")

    assert good.data == {"valid": True, "errors": [], "warnings": []}
    assert (bad.status, bad.data["valid"]) == (200, False)
    assert (bad.data["errors"][0]["line"], bad.data["errors"][0]["column"]) == (2, 1)
    assert doubtful.data["valid"] is True
    assert [warning["loc"] for warning in doubtful.data["warnings"]] == [["annotations", "a-b"]]
    assert listed.json["page"]["total"] == 0


async def test_everything_a_rule_file_can_say_comes_back(api: Api) -> None:
    said: dict[str, Any] = {
        "name": "Slow",
        "expression": "latency > ${limit}",
        "duration": "${patience}",
        "parameters": {"limit": "2", "patience": "5m"},
        "group_options": {"limit": 10, "query_offset": "30s", "labels": {"team": "sre"}, "headers": ["X-Scope: a"]},
        "debug": True,
        "update_entries_limit": 40,
        "notes": "asked for by the payments team",
    }
    made = await make(api, **said)
    stored = (await api.get(f"/rules/{made['id']}")).data

    options = stored["group_options"]
    assert stored == {**stored, **said, "group_options": {**options, **said["group_options"]}}


async def test_a_dry_run_shows_a_new_rule_and_what_each_cluster_would_get(api: Api) -> None:
    await api.post("/clusters", {"id": "c1"})

    would = await api.post("/rules?dry_run=true", {**RULE, "targets": ["c1", "c9"]})
    doubtful = await api.post("/rules?dry_run=true", {**RULE, "targets": ["c1"], "labels": {"1a": "x"}})

    assert would.status == 200, would.body
    rule, (cluster,) = would.data["rule"], would.data["clusters"]
    assert (rule["id"], rule["version"], rule["status"], rule["created_by"]) == ("", "v1.0.0", "pending", "admin")
    assert (cluster["cluster_id"], cluster["config_type"], cluster["added"]) == ("c1", "prometheus", 1)
    assert "+  - alert: HostDown" in cluster["diff"]
    assert "c9" in would.data["warnings"][0]
    assert doubtful.data["warnings"][0].startswith("labels.1a: ")
    assert (await api.get("/rules")).json["page"]["total"] == 0


async def test_a_dry_run_of_a_change_and_of_a_deletion_changes_nothing(api: Api) -> None:
    await api.post("/clusters", {"id": "c1"})
    rule = await make(api, targets=["c1"])
    path = f"/rules/{rule['id']}"

    changed = await api.put(f"{path}?dry_run=true", {"expression": "up == 1"})
    nothing = await api.put(f"{path}?dry_run=true", {"expression": "up == 0"})
    gone = await api.delete(f"{path}?dry_run=true")

    assert (changed.data["rule"]["version"], changed.data["clusters"][0]["changed"]) == ("v1.0.1", 1)
    assert (nothing.data["rule"]["version"], nothing.data["clusters"]) == ("v1.0.0", [])
    assert (gone.status, gone.data["rule"], gone.data["clusters"][0]["removed"]) == (200, None, 1)
    assert (await api.get(path)).data == rule


async def test_a_dry_run_meets_the_errors_that_the_change_would_meet(api: Api) -> None:
    path = f"/rules/{(await make(api))['id']}"
    stale = {"If-Match": '"9"'}

    answers = [
        await api.post("/rules?dry_run=true", {**RULE, "expression": "sum("}),
        await api.put(f"{path}?dry_run=true", {"expression": "sum("}),
        await api.put(f"{path}?dry_run=true", {}, headers=stale),
        await api.delete(f"{path}?dry_run=true", headers=stale),
        await api.delete("/rules/none?dry_run=true"),
        await api.delete(f"{path}?dry_run=maybe"),
    ]

    assert [answer.status for answer in answers] == [400, 400, 412, 412, 404, 400]
    assert (await api.get(path)).data["version"] == "v1.0.0"
