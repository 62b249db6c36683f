"""The registry of clusters over HTTP."""

import asyncio

import pytest

from alertagent.app import Service
from tests.support.prometheus import eventually
from tests.support.service import Api, make_settings, serving

WHOLE = {
    "id": "c1",
    "name": "Beijing",
    "labels": {"env": "prod"},
    "parameters": {"threshold": "0.9"},
    "config_types": ["vmalert", "prometheus", "vmalert"],
    "query_url": "http://127.0.0.1:9090/",
}


async def test_a_cluster_is_made_read_changed_and_forgotten(api: Api) -> None:
    made = await api.post("/clusters", WHOLE)
    assert made.status == 201
    assert made.data.items() >= {**WHOLE, "config_types": ["prometheus", "vmalert"], "revision": 1}.items()

    changed = await api.put("/clusters/c1", {"labels": {"env": "test"}, "query_url": None, "name": None})
    assert (changed.data["labels"], changed.data["query_url"], changed.data["name"]) == (
        {"env": "test"},
        None,
        "Beijing",
    )
    assert changed.data["parameters"] == {"threshold": "0.9"}
    assert (changed.data["revision"], changed.headers["ETag"]) == (2, '"2"')
    assert changed.data["updated_at"] > changed.data["created_at"]

    assert (await api.get("/clusters/c1")).data == changed.data
    assert (await api.delete("/clusters/c1")).status == 204
    missing = await api.get("/clusters/c1")
    assert (missing.status, missing.error["code"]) == (404, "cluster.not_found")


async def test_only_an_id_is_needed(api: Api) -> None:
    made = await api.post("/clusters", {"id": "c1"})

    assert made.data["name"] == "c1"
    assert (made.data["labels"], made.data["config_types"], made.data["query_url"]) == ({}, ["prometheus"], None)


async def test_a_change_of_nothing_changes_nothing(api: Api, service: Service) -> None:
    made = await api.post("/clusters", WHOLE)
    same = {name: value for name, value in WHOLE.items() if name not in {"id", "config_types"}}

    for body in ({}, same, {"config_types": ["vmalert", "prometheus"]}):
        assert (await api.put("/clusters/c1", body)).data == made.data

    assert await service.parts.database.fetchval("SELECT count(*) FROM audit_log") == 1


async def test_an_id_can_be_taken_once(api: Api) -> None:
    await api.post("/clusters", {"id": "c1"})

    again = await api.post("/clusters", {"id": "c1", "name": "other"})

    assert (again.status, again.error["code"]) == (409, "cluster.exists")


@pytest.mark.parametrize("path", ["/clusters", "/rules"])
async def test_a_tag_guards_a_change_and_spares_a_read(api: Api, path: str) -> None:
    """The same for every feature: strong and weak tags, lists, `*`, and what is none."""
    body = {"id": "c1"} if path == "/clusters" else {"name": "A", "expression": "up == 0"}
    made = await api.post(path, body)
    at, etag = f"{path}/{made.data['id']}", made.headers["ETag"]
    assert (await api.get(at)).headers["ETag"] == etag

    for known, status in (
        (etag, 304),
        (f"W/{etag}", 304),
        (f'"x", {etag}', 304),
        ("*", 304),
        ('"x"', 200),
        ("junk", 200),
    ):
        assert (await api.get(at, headers={"If-None-Match": known})).status == status, known
    for expected in ('"99"', f"W/{etag}", "junk", '""', '"98", "99"'):
        for call in (api.put(at, {}, headers={"If-Match": expected}), api.delete(at, headers={"If-Match": expected})):
            stale = await call
            assert (stale.status, stale.error["type"]) == (412, "precondition"), expected
    for number, headers in enumerate(({"If-Match": etag}, {}, {"If-Match": "*"})):
        changed = await api.put(at, {"name": f"B{number}"}, headers=headers)
        assert changed.status == 200, headers
        assert changed.headers["ETag"] != etag
    assert (await api.put(at, {"name": "C"}, headers={"If-Match": etag})).status == 412
    current = (await api.get(at)).headers["ETag"]
    assert (await api.delete(at, headers={"If-Match": f'"99", {current}'})).status == 204


async def test_of_two_who_change_the_same_revision_one_is_too_late(api: Api) -> None:
    await api.post("/clusters", {"id": "c1"})

    answers = await asyncio.gather(
        *(api.put("/clusters/c1", {"name": f"n{n}"}, headers={"If-Match": '"1"'}) for n in range(8))
    )

    assert sorted(answer.status for answer in answers) == [200] + [412] * 7


async def test_a_repeated_creation_with_a_key_is_answered_again_and_done_once(api: Api) -> None:
    key = {"Idempotency-Key": "k"}
    first = await api.post("/clusters", {"id": "c1"}, headers=key)
    again = await api.post("/clusters", {"id": "c1"}, headers=key)

    assert (again.status, again.body, again.headers["ETag"]) == (201, first.body, '"1"')
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await api.post("/clusters", {"id": "c2"}, headers=key)
    assert (other.status, other.error["code"]) == (409, "request.idempotency_key_reused")


async def test_clusters_are_listed_filtered_by_their_labels(api: Api) -> None:
    for number in range(5):
        await api.post("/clusters", {"id": f"c{number}", "labels": {"env": "prod" if number % 2 else "test"}})

    listing = await api.get("/clusters", params={"filter": 'env="test"', "limit": "2", "sort": "-id"})

    assert [cluster["id"] for cluster in listing.data] == ["c4", "c2"]
    assert listing.json["page"]["total"] == 3
    cursor = listing.json["page"]["next_cursor"]
    rest = await api.get("/clusters", params={"filter": 'env="test"', "limit": "2", "sort": "-id", "cursor": cursor})
    assert [cluster["id"] for cluster in rest.data] == ["c0"]
    assert rest.json["page"]["next_cursor"] is None


PRIVATE = [
    "http://127.0.0.1:9090",
    "http://localhost/",
    "http://[::1]/",
    "http://169.254.169.254/latest/meta-data",
    "http://10.1.2.3/",
    "http://[::ffff:192.168.0.1]/",
    "http://0.0.0.0/",
]


async def test_a_query_url_into_a_private_network_needs_the_setting(database_url: str, redis_url: str) -> None:
    async with serving(make_settings(database_url, redis_url, outgoing={})) as (_, api):
        await api.post("/clusters", {"id": "c1"})
        for url in PRIVATE:
            for refused in (
                await api.post("/clusters", {"id": "c2", "query_url": url}),
                await api.put("/clusters/c1", {"query_url": url}),
            ):
                assert (refused.status, refused.error["code"]) == (400, "outgoing.forbidden"), url
                assert "outgoing.allow_networks" in refused.error["message"], url
        assert (await api.get("/clusters/c2")).status == 404


async def test_a_sidecars_token_is_made_for_a_known_cluster_only(api: Api) -> None:
    assert (await api.post("/clusters/c1/tokens", {})).status == 404
    await api.post("/clusters", {"id": "c1"})

    first, second = [await api.post("/clusters/c1/tokens", {"name": name}) for name in ("old", "new")]

    for made in (first, second):
        assert made.status == 201
        assert made.data["expires_at"] is None
        assert made.data["token"].startswith("aa_sidecar_")
        assert (await api.as_(made.data["token"]).get("/config/sync?cluster_id=c1&type=prometheus")).status == 200
    assert (await api.delete(f"/clusters/c2/tokens/{first.data['id']}")).status == 404
    assert (await api.delete(f"/clusters/c1/tokens/{first.data['id']}")).status == 204
    assert (await api.as_(first.data["token"]).get("/config/sync?cluster_id=c1&type=prometheus")).status == 401
    assert (await api.as_(second.data["token"]).get("/config/sync?cluster_id=c1&type=prometheus")).status == 200


async def test_with_its_cluster_a_sidecars_token_ends(api: Api, service: Service) -> None:
    await api.post("/clusters", {"id": "c1"})
    made = await api.post("/clusters/c1/tokens", {})

    await api.delete("/clusters/c1")
    await api.post("/clusters", {"id": "c1"})

    assert (await api.as_(made.data["token"]).get("/config/sync?cluster_id=c1&type=prometheus")).status == 401
    assert (await api.get("/tokens")).data == []


async def test_each_change_is_audited_with_before_and_after(api: Api, service: Service) -> None:
    await api.post("/clusters", {"id": "c1"})
    await api.put("/clusters/c1", {"labels": {"env": "prod"}})
    await api.delete("/clusters/c1")

    rows = await service.parts.database.fetch("SELECT * FROM audit_log ORDER BY id")

    assert [row["action"] for row in rows] == ["cluster.created", "cluster.updated", "cluster.deleted"]
    assert {(row["actor"], row["subject_kind"], row["subject_id"]) for row in rows} == {("admin", "cluster", "c1")}
    created, updated, deleted = rows
    assert (created["before"], created["after"]["labels"]) == (None, {})
    assert (updated["before"]["labels"], updated["after"]["labels"]) == ({}, {"env": "prod"})
    assert (deleted["before"]["labels"], deleted["after"]) == ({"env": "prod"}, None)


async def test_each_change_counts_what_configurations_depend_on(api: Api, service: Service) -> None:
    async def generation() -> int:
        number: int = await service.parts.database.fetchval("SELECT generation FROM config_generation")
        return number

    seen = [await generation()]
    for call in (
        api.post("/clusters", {"id": "c1"}),
        api.put("/clusters/c1", {"labels": {"a": "b"}}),
        api.delete("/clusters/c1"),
    ):
        await call
        seen.append(await generation())

    assert seen == [seen[0], seen[0] + 1, seen[0] + 2, seen[0] + 3]


async def test_a_query_url_that_holds_a_password_is_refused_without_repeating_it(api: Api) -> None:
    answer = await api.post("/clusters", {"id": "c1", "query_url": "http://user:CANARY@127.0.0.1:9090"})

    assert (answer.status, answer.error["code"]) == (400, "cluster.query_url_secret")
    assert b"CANARY" not in answer.body


async def test_deleting_a_cluster_ends_every_token_that_was_only_for_it(api: Api) -> None:
    await api.post("/clusters", {"id": "c1"})
    token = (await api.post("/tokens", {"name": "sidecar", "scopes": ["sync:c1"]})).data["token"]
    sidecar = api.as_(token)
    assert (await sidecar.get("/config/sync?cluster_id=c1&type=prometheus")).status == 200

    await api.delete("/clusters/c1")
    await api.post("/clusters", {"id": "c1"})

    async def is_refused() -> bool:
        return (await sidecar.get("/config/sync?cluster_id=c1&type=prometheus")).status == 401

    await eventually(is_refused, within=15)


async def test_parameters_that_would_break_a_rule_there_are_refused_with_its_name(api: Api) -> None:
    await api.post("/clusters", {"id": "c1", "labels": {"env": "prod"}, "parameters": {"least": "2"}})
    rule = {
        "name": "TooFew",
        "expression": "up < ${least}",
        "parameters": {"least": "1", "patience": "5m"},
        "duration": "${patience}",
        "targets": ['env="prod"'],
    }
    made = await api.post("/rules", rule)
    assert made.status == 201, made.body

    expression = await api.put("/clusters/c1", {"parameters": {"least": ") or ("}})
    duration = await api.put("/clusters/c1", {"parameters": {"patience": "soon"}})
    added = await api.post("/clusters", {"id": "c2", "labels": {"env": "prod"}, "parameters": {"least": "<"}})
    elsewhere = await api.post("/clusters", {"id": "c3", "parameters": {"least": "<"}})
    moved = await api.put("/clusters/c3", {"labels": {"env": "prod"}})
    fine = await api.put("/clusters/c1", {"parameters": {"least": "3", "unused": ") ("}})

    assert [answer.status for answer in (expression, duration, added, elsewhere, moved, fine)] == [
        400, 400, 400, 201, 400, 200,
    ]  # fmt: skip
    for answer in (expression, duration, added, moved):
        assert answer.error["code"] == "cluster.breaks_rules"
        assert f'rule "TooFew" ({made.data["id"]})' in answer.error["message"]
        assert answer.error["details"][0]["loc"] == ["parameters"]
    assert (await api.get("/clusters/c1")).data["parameters"] == {"least": "3", "unused": ") ("}
    assert (await api.get("/clusters/c2")).status == 404


async def test_a_rule_that_is_broken_already_stands_in_nobodys_way(api: Api, service: Service) -> None:
    await api.post("/clusters", {"id": "c1", "parameters": {"least": "2"}})
    await api.post(
        "/rules", {"name": "A", "expression": "up < ${least}", "parameters": {"least": "1"}, "targets": ["c1"]}
    )
    values = {"least": ") ("}
    await service.parts.database.execute("UPDATE clusters SET parameters = $1::jsonb", values)

    assert (await api.put("/clusters/c1", {"labels": {"env": "prod"}})).status == 200
