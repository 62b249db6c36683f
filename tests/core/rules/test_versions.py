"""The history of a rule over HTTP: its versions, what differs between them, and the way back."""

import asyncio
from typing import Any

from alertagent.app import Service
from tests.support.service import Api

RULE: dict[str, Any] = {"name": "HostDown", "expression": "up == 0"}


async def make(api: Api, **values: Any) -> str:
    answer = await api.post("/rules", {**RULE, **values})
    assert answer.status == 201, answer.body
    return f"/rules/{answer.data['id']}"


async def test_every_change_is_a_version_that_says_who_and_why(api: Api) -> None:
    path = await make(api, comment="first")
    await api.put(path, {"expression": "up == 1", "comment": "second"})
    await api.delete(path, params={"comment": "third"})

    listed = await api.get(f"{path}/versions")

    assert [(each["version"], each["change"], each["comment"], each["author"]) for each in listed.data] == [
        ("v1.0.2", "deleted", "third", "admin"),
        ("v1.0.1", "updated", "second", "admin"),
        ("v1.0.0", "created", "first", "admin"),
    ]
    assert listed.json["page"] == {"next_cursor": None, "total": None}


async def test_versions_come_in_pages(api: Api) -> None:
    path = await make(api)
    for number in range(4):
        await api.put(path, {"expression": f"up == {number + 1}"})

    found, cursor = [], None
    for _ in range(3):
        page = await api.get(f"{path}/versions", params={"limit": "2"} | ({"cursor": cursor} if cursor else {}))
        found.append([each["version"] for each in page.data])
        cursor = page.json["page"]["next_cursor"]

    assert found == [["v1.0.4", "v1.0.3"], ["v1.0.2", "v1.0.1"], ["v1.0.0"]]
    assert cursor is None


async def test_a_version_shows_the_whole_rule_as_it_was(api: Api) -> None:
    path = await make(api, duration="5m", labels={"team": "sre"}, targets=["c1"], group_options={"limit": 5})
    before = (await api.get(path)).data
    await api.put(path, {"duration": "10m", "labels": None})
    await api.delete(path)

    old = (await api.get(f"{path}/versions/v1.0.0")).data
    deletion = (await api.get(f"{path}/versions/v1.0.2")).data

    assert old["rule"] == {name: before[name] for name in old["rule"]}
    assert (old["rule"]["duration"], old["rule"]["labels"]) == ("5m", {"team": "sre"})
    assert (deletion["change"], deletion["rule"]) == ("deleted", None)


async def test_a_version_written_by_an_older_release_is_read_with_defaults(api: Api, service: Service) -> None:
    path = await make(api, labels={"a": "b"})
    await service.parts.database.execute(
        "UPDATE alert_rule_versions SET document = document - ARRAY['group_options', 'parameters', 'notes', 'debug']"
    )

    old = (await api.get(f"{path}/versions/v1.0.0")).data["rule"]
    await api.put(path, {"notes": "known now"})
    diff = (await api.get(f"{path}/diff")).data

    assert (old["labels"], old["notes"], old["parameters"]) == ({"a": "b"}, "", {})
    assert [change["path"] for change in diff["changes"]] == [["notes"]]


async def test_the_difference_is_told_field_by_field_and_as_a_text(api: Api) -> None:
    path = await make(api, labels={"team": "sre", "tier": "1"}, targets=["c1"])
    await api.put(path, {"expression": "up == 0\n  unless on (job) maintenance", "labels": {"team": "dba"}})

    diff = (await api.get(f"{path}/diff")).data

    assert (diff["from"], diff["to"]) == ("v1.0.0", "v1.0.1")
    assert diff["changes"] == [
        {"path": ["expression"], "before": "up == 0", "after": "up == 0\n  unless on (job) maintenance"},
        {"path": ["labels", "team"], "before": "sre", "after": "dba"},
        {"path": ["labels", "tier"], "before": "1", "after": None},
    ]
    assert diff["diff"].splitlines()[:2] == ["--- v1.0.0", "+++ v1.0.1"]
    assert "-expression: up == 0\n+expression: |-\n+  up == 0\n+    unless on (job) maintenance\n" in diff["diff"]


async def test_any_two_versions_can_be_compared_in_either_direction(api: Api) -> None:
    path = await make(api, notes="0")
    for number in (1, 2):
        await api.put(path, {"notes": str(number)})
    await api.delete(path)

    async def between(**query: str) -> tuple[Any, ...]:
        diff = (await api.get(f"{path}/diff", params=query)).data
        (change,) = [change for change in diff["changes"] if change["path"] == ["notes"]]
        return diff["from"], diff["to"], change["before"], change["after"]

    assert await between(**{"from": "v1.0.0", "to": "v1.0.2"}) == ("v1.0.0", "v1.0.2", "0", "2")
    assert await between(**{"from": "v1.0.2", "to": "v1.0.0"}) == ("v1.0.2", "v1.0.0", "2", "0")
    assert await between(to="v1.0.1") == ("v1.0.0", "v1.0.1", "0", "1")
    assert await between(to="v1.0.0") == (None, "v1.0.0", None, "0")
    assert await between() == ("v1.0.2", "v1.0.3", "2", None)
    same = (await api.get(f"{path}/diff?from=v1.0.1&to=v1.0.1")).data
    assert (same["changes"], same["diff"]) == ([], "")


async def test_a_rollback_is_a_new_version_that_says_what_the_old_one_said(api: Api) -> None:
    path = await make(api, labels={"team": "sre"}, duration="5m")
    await api.put(path, {"labels": None, "duration": None, "expression": "up == 1"})

    back = await api.post(f"{path}/rollback", {"version": "v1.0.0"})
    again = await api.post(f"{path}/rollback", {"version": "v1.0.0"})

    assert (back.status, back.data["version"], back.data["labels"]) == (200, "v1.0.2", {"team": "sre"})
    assert (back.data["expression"], back.data["duration"]) == ("up == 0", "5m")
    assert again.data["version"] == "v1.0.2"
    (newest, *_) = (await api.get(f"{path}/versions")).data
    assert (newest["change"], newest["comment"]) == ("rolled_back", "back to v1.0.0")


async def test_a_rollback_is_guarded_like_any_change(api: Api) -> None:
    path = await make(api)
    old = (await api.get(path)).headers["ETag"]
    await api.put(path, {"expression": "up == 1"})

    stale = await api.post(f"{path}/rollback", {"version": "v1.0.0"}, headers={"If-Match": old})
    current = (await api.get(path)).headers["ETag"]
    fresh = await api.post(f"{path}/rollback", {"version": "v1.0.0"}, headers={"If-Match": current})

    assert (stale.status, fresh.status) == (412, 200)


async def test_what_would_be_refused_today_does_not_come_back(api: Api, service: Service) -> None:
    path = await make(api)
    await api.put(path, {"expression": "up == 1"})
    await service.parts.database.execute(
        'UPDATE alert_rule_versions SET document = document || \'{"expression": "sum("}\' WHERE revision = 1'
    )

    refused = await api.post(f"{path}/rollback", {"version": "v1.0.0"})

    assert (refused.status, refused.error["code"]) == (400, "rule.expression_invalid")
    assert (await api.get(path)).data["version"] == "v1.0.1"


async def test_a_deleted_rule_comes_back_under_its_id_and_in_its_place(api: Api, service: Service) -> None:
    await make(api, name="before")
    path = await make(api, targets=["c1"])
    await make(api, name="behind")
    made = (await api.get(path)).data
    await api.delete(path)

    back = await api.post(f"{path}/rollback", {"version": "v1.0.0", "comment": "a mistake"})

    assert (back.status, back.data["version"], back.data["targets"]) == (200, "v1.0.2", ["c1"])
    assert (back.data["id"], back.data["created_at"]) == (made["id"], made["created_at"])
    listed = await api.get("/rules", params={"sort": "position"})
    assert [rule["name"] for rule in listed.data] == ["before", "HostDown", "behind"]
    changes = [each["change"] for each in (await api.get(f"{path}/versions")).data]
    assert changes == ["restored", "deleted", "created"]
    types = await service.parts.database.fetch(
        "SELECT task_type FROM task_queue WHERE payload ->> 'rule_id' = $1 ORDER BY id", made["id"]
    )
    assert [row["task_type"] for row in types] == ["rule_create", "rule_delete", "rule_create"]


async def test_of_two_who_restore_a_rule_at_once_one_is_told_so(api: Api) -> None:
    path = await make(api)
    await api.delete(path)

    answers = await asyncio.gather(*(api.post(f"{path}/rollback", {"version": "v1.0.0"}) for _ in range(4)))

    assert {answer.status for answer in answers} <= {200, 409}
    assert [each["change"] for each in (await api.get(f"{path}/versions")).data] == ["restored", "deleted", "created"]


async def test_restoring_is_guarded_by_the_revision_of_the_deletion(api: Api) -> None:
    path = await make(api)
    await api.delete(path)

    stale = await api.post(f"{path}/rollback", {"version": "v1.0.0"}, headers={"If-Match": '"1"'})
    fresh = await api.post(f"{path}/rollback", {"version": "v1.0.0"}, headers={"If-Match": '"2"'})

    assert (stale.status, fresh.status) == (412, 200)


async def test_one_cannot_go_back_to_a_deletion_or_to_a_version_that_never_was(api: Api) -> None:
    path = await make(api)
    await api.delete(path)

    deletion = await api.post(f"{path}/rollback", {"version": "v1.0.1"})
    never = [await api.post(f"{path}/rollback", {"version": name}) for name in ("v1.0.7", "7", "v2.0.0", "v1.0.00")]

    assert (deletion.status, deletion.error["code"]) == (400, "rule.version_is_deletion")
    assert {(answer.status, answer.error["code"]) for answer in never} == {(404, "rule.version_not_found")}
    assert "v1.0.1" in never[0].error["message"]


async def test_a_rule_that_never_was_has_no_history(api: Api) -> None:
    answers = [
        await api.get("/rules/none/versions"),
        await api.get("/rules/none/versions/v1.0.0"),
        await api.get("/rules/none/diff"),
        await api.get("/rules/none/diff?from=v1.0.0&to=v1.0.1"),
        await api.post("/rules/none/rollback", {"version": "v1.0.0"}),
    ]

    assert {(answer.status, answer.error["code"]) for answer in answers} == {(404, "rule.not_found")}


async def test_a_dry_run_of_a_rollback_changes_nothing(api: Api) -> None:
    await api.post("/clusters", {"id": "c1"})
    path = await make(api, targets=["c1"])
    await api.put(path, {"expression": "up == 1"})

    would = await api.post(f"{path}/rollback?dry_run=true", {"version": "v1.0.0"})
    await api.delete(path)
    restored = await api.post(f"{path}/rollback?dry_run=true", {"version": "v1.0.1"})

    assert (would.data["rule"]["version"], would.data["clusters"][0]["changed"]) == ("v1.0.2", 1)
    assert (restored.data["rule"]["version"], restored.data["clusters"][0]["added"]) == ("v1.0.3", 1)
    assert [each["change"] for each in (await api.get(f"{path}/versions")).data] == ["deleted", "updated", "created"]
