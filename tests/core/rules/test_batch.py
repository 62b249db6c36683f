"""Many changes at once: all of them or none."""

from typing import Any

from alertagent.app import Service
from tests.support.service import Answer, Api

RULE: dict[str, Any] = {"name": "HostDown", "expression": "up == 0"}


async def make(api: Api, **values: Any) -> str:
    id: str = (await api.post("/rules", {**RULE, **values})).data["id"]
    return id


async def batch(api: Api, *operations: dict[str, Any], **more: Any) -> Answer:
    return await api.post("/rules/batch", {"operations": operations, **more})


async def stored(service: Service) -> list[int]:
    tables = ("alert_rules", "alert_rule_versions", "audit_log", "task_queue")
    return [await service.parts.database.fetchval(f"SELECT count(*) FROM {table}") for table in tables]


async def test_a_batch_makes_changes_and_deletes_in_the_order_of_the_request(api: Api) -> None:
    changed, gone, same = [await make(api, name=name, targets=["c1"]) for name in ("a", "b", "c")]

    done = await batch(
        api,
        {"op": "update", "id": changed, "expression": "up == 1", "targets": None},
        {"op": "create", **RULE, "name": "new", "labels": {"team": "sre"}},
        {"op": "delete", "id": gone},
        {"op": "update", "id": same, "expression": "up == 0"},
    )

    assert done.status == 200, done.body
    counts = {name: done.data[name] for name in ("created", "updated", "deleted", "unchanged")}
    assert counts == {"created": 1, "updated": 1, "deleted": 1, "unchanged": 1}
    assert [(rule["name"], rule["change"], rule["version"]) for rule in done.data["rules"]] == [
        ("a", "updated", "v1.0.1"),
        ("new", "created", "v1.0.0"),
        ("b", "deleted", "v1.0.1"),
        ("c", "unchanged", "v1.0.0"),
    ]
    new = (await api.get(f"/rules/{done.data['rules'][1]['id']}")).data
    assert (new["labels"], new["created_by"]) == ({"team": "sre"}, "admin")
    assert (await api.get(f"/rules/{changed}")).data["targets"] == []
    assert (await api.get(f"/rules/{gone}")).status == 404


async def test_every_change_of_a_batch_has_its_version_and_audit_row_and_all_have_one_task(
    api: Api, service: Service
) -> None:
    id = await make(api, targets=["c1"])
    before = await stored(service)

    await batch(
        api,
        {"op": "create", **RULE, "targets": ["c2"], "comment": "my own"},
        {"op": "update", "id": id, "notes": "x"},
        {"op": "update", "id": await make(api), "comment": "of nothing"},
        comment="for all",
    )

    rules, versions, audit, tasks = (now - then for now, then in zip(await stored(service), before, strict=True))
    assert (rules, versions, audit, tasks) == (2, 3, 3, 2)  # one of each is of the rule that was made meanwhile
    payload = await service.parts.database.fetchval("SELECT payload FROM task_queue WHERE task_type = 'rules_change'")
    assert payload == {"rules": 2, "targets": ["c1", "c2"]}
    comments = await service.parts.database.fetch("SELECT comment FROM alert_rule_versions WHERE comment <> ''")
    assert sorted(row["comment"] for row in comments) == ["for all", "my own"]


async def test_one_mistake_undoes_all_of_a_batch(api: Api, service: Service) -> None:
    id = await make(api)
    before = await stored(service)

    refused = await batch(
        api,
        {"op": "create", **RULE},
        {"op": "delete", "id": id},
        {"op": "create", **RULE, "expression": "sum(\n  up))"},
        {"op": "create", **RULE, "labels": {"__name__": "x"}},
    )

    assert (refused.status, refused.error["code"]) == (400, "rule.expression_invalid")
    assert refused.error["message"].startswith("operations.2.expression: ")
    assert [detail["loc"] for detail in refused.error["details"]] == [
        ["operations", 2, "expression"],
        ["operations", 3, "labels", "__name__"],
    ]
    assert (refused.error["details"][0]["line"], refused.error["details"][0]["column"]) == (2, 6)
    assert await stored(service) == before


async def test_the_place_of_a_mistake_is_told_in_a_batch_of_one_too(api: Api) -> None:
    refused = await batch(api, {"op": "create", **RULE, "expression": "sum("})

    assert refused.error["details"][0]["loc"] == ["operations", 0, "expression"]


WRONG: list[tuple[Any, list[str | int], str]] = [
    ({}, ["operations"], "required"),
    ({"operations": []}, ["operations"], "at least 1"),
    ({"operations": [5]}, ["operations", 0], ""),
    ({"operations": [{}]}, ["operations", 0, "op"], "required"),
    ({"operations": [{"op": "destroy"}]}, ["operations", 0, "op"], "create"),
    ({"operations": [{"op": ["create"]}]}, ["operations", 0, "op"], "create"),
    ({"operations": [{"op": "create", **RULE}, {"op": "create", "name": "x"}]}, ["operations", 1, "expression"], ""),
    ({"operations": [{"op": "create", **RULE, "expr": "x"}]}, ["operations", 0, "expr"], "unknown field"),
    ({"operations": [{"op": "create", **RULE, "id": "x"}]}, ["operations", 0, "id"], "unknown field"),
    ({"operations": [{"op": "create", **RULE, "duration": "1h1d"}]}, ["operations", 0, "duration"], "duration"),
    ({"operations": [{"op": "update", "name": "x"}]}, ["operations", 0, "id"], "required"),
    ({"operations": [{"op": "update", "id": "x", "name": None}]}, ["operations", 0, "name"], "cleared"),
    ({"operations": [{"op": "delete", "id": "x", "if_version": "7"}]}, ["operations", 0, "if_version"], "v1.0.3"),
    ({"operations": [{"op": "delete", "id": "x", "name": "x"}]}, ["operations", 0, "name"], "unknown field"),
]


async def test_a_batch_that_cannot_be_read_is_told_where(api: Api) -> None:
    for body, loc, word in WRONG:
        answer = await api.post("/rules/batch", body)

        assert answer.status == 400, body
        assert answer.error["details"][0]["loc"] == loc, (body, answer.error)
        assert word.lower() in answer.error["details"][0]["message"].lower(), (body, answer.error)


async def test_a_batch_cannot_change_what_is_not_there_or_not_as_it_was(api: Api) -> None:
    id = await make(api)

    missing = await batch(api, {"op": "create", **RULE}, {"op": "delete", "id": "none"})
    stale = await batch(api, {"op": "update", "id": id, "notes": "x", "if_version": "v1.0.1"})
    fresh = await batch(api, {"op": "update", "id": id, "notes": "x", "if_version": "v1.0.0"})
    twice = await batch(api, {"op": "update", "id": id, "notes": "y"}, {"op": "delete", "id": id})

    assert (missing.status, missing.error["code"]) == (404, "rule.not_found")
    assert missing.error["details"][0]["loc"] == ["operations", 1, "id"]
    assert (stale.status, fresh.status, twice.status) == (412, 200, 400)
    assert twice.error["details"][0]["loc"] == ["operations", 1, "id"]
    assert (await api.get("/rules")).json["page"]["total"] == 1


async def test_a_dry_run_of_a_batch_shows_what_each_cluster_would_get(api: Api, service: Service) -> None:
    await api.post("/clusters", {"id": "c1"})
    await api.post("/clusters", {"id": "c2"})
    id = await make(api, targets=["c1"])
    before = await stored(service)

    would = await api.post(
        "/rules/batch?dry_run=true",
        {"operations": [{"op": "create", **RULE, "name": "New", "targets": ["c1", "c2"]}, {"op": "delete", "id": id}]},
    )

    assert would.status == 200, would.body
    assert [(rule["id"], rule["change"]) for rule in would.data["rules"]] == [(None, "created"), (id, "deleted")]
    shown = [(each["cluster_id"], each["added"], each["changed"], each["removed"]) for each in would.data["clusters"]]
    assert shown == [("c1", 1, 0, 1), ("c2", 1, 0, 0)]
    assert "-  - alert: HostDown" in would.data["clusters"][0]["diff"]
    assert "+  - alert: New" in would.data["clusters"][1]["diff"]
    assert await stored(service) == before


async def test_thousands_of_rules_travel_in_one_batch(api: Api, service: Service) -> None:
    operations = [{"op": "create", "name": f"r{n}", "expression": "up"} for n in range(5_000)]

    done = await batch(api, *operations)

    assert (done.status, done.data["created"]) == (200, 5_000)
    positions = await service.parts.database.fetch("SELECT name FROM alert_rules ORDER BY position")
    assert [row["name"] for row in positions] == [f"r{n}" for n in range(5_000)]
    assert await service.parts.database.fetchval("SELECT count(*) FROM task_queue") == 1


async def test_more_targets_than_a_task_can_carry_are_told_to_every_cluster(api: Api, service: Service) -> None:
    targets = [f'cluster="{n:0900}"' for n in range(60)]

    made = await api.post("/rules", {**RULE, "targets": targets})

    assert made.status == 201
    payload = await service.parts.database.fetchval("SELECT payload FROM task_queue")
    assert payload == {"rule_id": made.data["id"], "rules": 1, "targets": ['id=~".+"']}
