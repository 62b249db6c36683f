"""What sidecars ask and tell, over HTTP."""

import asyncio
import gzip
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import yaml

from alertagent.app import Role, Service, running
from tests.support.service import Answer, Api, make_settings

SYNC = {"cluster_id": "c1", "type": "prometheus"}


@asynccontextmanager
async def api_alone(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    """A process that answers and has no workers."""
    async with running(make_settings(database_url, redis_url), Role.API) as service, aiohttp.ClientSession() as session:
        yield Api(session, service.address)


async def sync(api: Api, known: Answer | None = None, **query: Any) -> Answer:
    headers = {"If-None-Match": known.headers["ETag"]} if known else {}
    return await api.get("/config/sync", params={**SYNC, **query}, headers=headers)


async def add_rule(api: Api, name: str = "HostDown", **values: Any) -> Any:
    answer = await api.post("/rules", {"name": name, "expression": "up == 0", "targets": ["c1"], **values})
    assert answer.status == 201, answer.body
    return answer.data


async def report(api: Api, **values: Any) -> Answer:
    body = {"cluster_id": "c1", "config_type": "prometheus", "status": "success", "sync_time": time.time(), **values}
    return await api.post("/config/sync/status", {"error_message": None, **body})


async def targets_of(api: Api, rule: Any) -> list[Any]:
    data = (await api.get(f"/rules/{rule['id']}/distribution")).data
    targets: list[Any] = data["targets"]
    return targets


async def refuse(api: Api, file: Answer, *numbers: int) -> None:
    """Report that promtool would not have these rules of the file."""
    words = " the file: ".join(f'group "alertagent", rule {number}, "A": no' for number in numbers)
    refusal = {"status": "failed", "error_class": "check", "rejected_hash": file.headers["X-Config-Hash"]}
    assert (await report(api, **refusal, error_message=words, checker="promtool")).status == 200


def alerts_in(answer: Answer) -> list[str]:
    return [rule["alert"] for group in yaml.safe_load(answer.body)["groups"][:-1] for rule in group["rules"]]


async def test_a_configuration_proves_itself_by_its_hash(api: Api) -> None:
    await add_rule(api)

    answer = await sync(api)

    digest = hashlib.sha256(answer.body).hexdigest()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/yaml")
    assert (answer.headers["X-Config-Hash"], answer.headers["ETag"]) == (digest, f'"{digest}"')
    assert (answer.headers["X-Config-Revision"], answer.headers["Cache-Control"]) == ("1", "no-store")
    assert alerts_in(answer) == ["HostDown"]


async def test_what_is_known_is_not_sent_again(api: Api) -> None:
    first = await sync(api)

    again = await sync(api, first)

    assert (again.status, again.body) == (304, b"")


async def test_only_changed_bytes_count_the_revision_up(api: Api) -> None:
    await sync(api)
    rule = await add_rule(api)
    changed = await sync(api)
    await add_rule(api, "Elsewhere", targets=["c2"])
    same = await sync(api, changed)
    await api.put(f"/rules/{rule['id']}", {"expression": "up == 1"})

    answer = await sync(api)

    assert (changed.headers["X-Config-Revision"], same.status) == ("2", 304)
    assert answer.headers["X-Config-Revision"] == "3"


async def test_a_long_poll_answers_as_soon_as_a_rule_changes(api: Api) -> None:
    first = await sync(api)
    polls = [asyncio.create_task(sync(api, first, wait=30)) for _ in range(5)]
    await asyncio.wait(polls, timeout=0.3)
    assert not any(poll.done() for poll in polls)

    began = time.monotonic()
    await add_rule(api)
    answers = await asyncio.gather(*polls)

    assert time.monotonic() - began < 1
    assert [(answer.status, alerts_in(answer)) for answer in answers] == [(200, ["HostDown"])] * 5


async def test_a_long_poll_ends_without_a_change(api: Api) -> None:
    first = await sync(api)

    began = time.monotonic()
    answer = await sync(api, first, wait=1)

    assert answer.status == 304
    assert 0.9 < time.monotonic() - began < 3


async def test_without_any_worker_nothing_stale_is_served(database_url: str, redis_url: str) -> None:
    async with api_alone(database_url, redis_url) as api:
        first = await sync(api)
        waiting = asyncio.create_task(sync(api, first, wait=1))
        await asyncio.wait([waiting], timeout=0.2)
        rule = await add_rule(api)

        awaited = await waiting
        await api.delete(f"/rules/{rule['id']}")
        after = await sync(api)

    assert (awaited.status, alerts_in(awaited)) == (200, ["HostDown"])
    assert (after.status, alerts_in(after)) == (200, [])


async def test_a_stop_lets_those_who_wait_go(database_url: str, redis_url: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with running(make_settings(database_url, redis_url)) as service:
            api = Api(session, service.address)
            waiting = asyncio.create_task(sync(api, await sync(api), wait=60))
            await asyncio.wait([waiting], timeout=0.3)

        answer = await waiting

    assert (answer.status, answer.error["type"]) == (503, "unavailable")
    assert "Retry-After" in answer.headers


async def test_deleting_the_last_rule_leaves_a_file_that_says_so(api: Api) -> None:
    rule = await add_rule(api)
    await sync(api)

    await api.delete(f"/rules/{rule['id']}")
    answer = await sync(api)

    assert [group["name"] for group in yaml.safe_load(answer.body)["groups"]] == ["alertagent:meta"]


async def test_a_cluster_that_changes_its_labels_gets_other_rules(api: Api) -> None:
    await sync(api)
    await add_rule(api, targets=['env="prod"'])
    before = await sync(api)

    await api.put("/clusters/c1", {"labels": {"env": "prod"}})

    assert (alerts_in(before), alerts_in(await sync(api))) == ([], ["HostDown"])


async def test_who_may_register_a_cluster_and_who_may_not(api: Api) -> None:
    everywhere = (await api.post("/tokens", {"name": "all", "scopes": ["sync:*"]})).data["token"]
    one = (await api.post("/tokens", {"name": "one", "scopes": ["sync:c9"]})).data["token"]
    viewer = (await api.post("/tokens", {"name": "viewer", "role": "viewer"})).data["token"]

    refused = await sync(api.as_(one))
    unknown = await sync(api.as_(one), cluster_id="c9")
    person = await sync(api.as_(viewer))
    registered = await sync(api.as_(everywhere), cluster_id="c8")
    by_admin = await sync(api)

    assert (refused.status, refused.error["code"]) == (403, "auth.other_cluster")
    assert (unknown.status, unknown.error["code"]) == (404, "cluster.not_found")
    assert person.status == 403
    assert (registered.status, by_admin.status) == (200, 200)
    listed = await api.get("/clusters")
    assert [(cluster["id"], cluster["config_types"]) for cluster in listed.data] == [
        ("c1", ["prometheus"]),
        ("c8", ["prometheus"]),
    ]


async def test_a_type_that_a_cluster_does_not_have_is_a_conflict(api: Api) -> None:
    await sync(api)

    answers = [await sync(api, type="vmalert"), await api.get("/config/preview", params={**SYNC, "type": "vmalert"})]

    assert [(answer.status, answer.error["code"]) for answer in answers] == [(409, "config.type_not_enabled")] * 2


BAD_QUESTIONS: list[dict[str, str]] = [
    {},
    {"cluster_id": "c1"},
    {"type": "prometheus"},
    {**SYNC, "type": "grafana"},
    {**SYNC, "cluster_id": "a/b"},
    {**SYNC, "cluster_id": "c1\n"},
    {**SYNC, "wait": "61"},
    {**SYNC, "wait": "-1"},
    {**SYNC, "wait": "soon"},
    {**SYNC, "colour": "red"},
]


async def test_a_bad_question_is_a_400(api: Api) -> None:
    for query in BAD_QUESTIONS:
        assert (await api.get("/config/sync", params=query)).status == 400, query


async def test_the_preview_shows_what_would_be_served_and_keeps_nothing(api: Api, service: Service) -> None:
    await api.post("/clusters", {"id": "c1"})
    await add_rule(api)
    await api.post("/rules", {"name": "Waits", "expression": "up", "targets": ["c1"], "enabled": False})

    preview = await api.get("/config/preview", params=SYNC)
    unknown = await api.get("/config/preview", params={**SYNC, "cluster_id": "c2"})
    served = await sync(api)

    assert (preview.status, unknown.status) == (200, 404)
    assert (preview.body, preview.headers["X-Config-Hash"]) == (served.body, served.headers["X-Config-Hash"])


async def test_a_rule_is_active_once_every_target_runs_it(api: Api) -> None:
    rule = await add_rule(api)
    digest = (await sync(api)).headers["X-Config-Hash"]
    waiting = await targets_of(api, rule)
    await report(api, instance="s1", config_hash=digest, applied_hash=digest)
    await report(api, instance="s2", config_hash=digest, applied_hash="0" * 64)
    half = await targets_of(api, rule)
    half_status = (await api.get(f"/rules/{rule['id']}")).data["status"]
    await report(api, instance="s2", config_hash=digest, applied_hash=digest)

    whole = (await api.get(f"/rules/{rule['id']}")).data["status"]
    changed = (await api.put(f"/rules/{rule['id']}", {"expression": "up == 1"})).data["status"]

    assert [(target["instance"], target["state"]) for target in waiting] == [(None, "pending")]
    assert [(t["instance"], t["state"], t["applied_version"]) for t in half] == [
        ("s1", "active", "v1.0.0"),
        ("s2", "pending", None),
    ]
    assert (half_status, whole, changed) == ("pending", "active", "pending")


async def test_the_five_fields_that_are_enough_make_a_rule_active(api: Api) -> None:
    rule = await add_rule(api)
    await sync(api)

    await report(api, sync_time=int(time.time()))

    (target,) = await targets_of(api, rule)
    assert (target["state"], target["applied_version"], target["instance"]) == ("active", "v1.0.0", "default")


async def test_a_refusal_is_shown_with_its_words_and_an_outage_is_none(api: Api) -> None:
    rule = await add_rule(api)
    digest = (await sync(api)).headers["X-Config-Hash"]

    await report(api, status="failed", config_hash=digest, error_class="unreachable", error_message="nobody there")
    (away,) = await targets_of(api, rule)
    await report(api, status="failed", config_hash=digest, error_class="check", error_message="line 3: bad")
    (refused,) = await targets_of(api, rule)

    assert (away["state"], away["sync_status"], away["error_message"]) == ("pending", "failed", "nobody there")
    assert (refused["state"], refused["error_message"]) == ("error", "line 3: bad")
    assert (await api.get(f"/rules/{rule['id']}")).data["status"] == "error"


async def test_every_sidecar_is_listed_with_what_it_should_run(api: Api) -> None:
    answer = await sync(api)
    digest = answer.headers["X-Config-Hash"]
    await report(api, instance="s1", sync_time="2026-11-22T14:40:00", config_hash=digest, duration_ms=12)
    await report(api, instance="s1", sync_time=1_700_000_000, config_hash=digest, checker="promtool")

    (sidecar,) = (await api.get("/config/status")).data

    assert (sidecar["instance"], sidecar["sync_time"], sidecar["checker"]) == ("s1", "2023-11-14T22:13:20Z", "promtool")
    assert (sidecar["is_current"], sidecar["desired_hash"], sidecar["desired_revision"]) == (True, digest, 1)
    assert (sidecar["applied_hash"], sidecar["duration_ms"]) == (digest, None)
    assert 0 <= sidecar["age_seconds"] < 60


async def test_a_target_gets_a_field_once_it_has_told_a_version_that_knows_it(api: Api) -> None:
    rule = await add_rule(api, group_options={"query_offset": "30s", "limit": 5})
    first = await sync(api)
    (unknown,) = await targets_of(api, rule)
    waiting = asyncio.create_task(sync(api, first, wait=30))
    await asyncio.wait([waiting], timeout=0.3)

    await report(api, instance="s1", target_version="2.53.1", config_hash=first.headers["X-Config-Hash"])
    upgraded = await waiting
    await report(api, instance="s2", target_version="2.42.0")
    mixed = await sync(api)

    groups = [yaml.safe_load(answer.body)["groups"][0] for answer in (first, upgraded, mixed)]
    assert [group.get("query_offset") for group in groups] == [None, "30s", None]
    assert {group["limit"] for group in groups} == {5}
    assert [(note["kind"], note["field"]) for note in unknown["notes"]] == [("omitted", "group_options.query_offset")]


async def test_a_report_without_a_version_forgets_none(api: Api) -> None:
    await add_rule(api, group_options={"query_offset": "30s"})
    await sync(api)
    await report(api, target_version="2.53.1")
    upgraded = await sync(api)

    await report(api, status="failed", error_class="unreachable")

    assert (await sync(api, upgraded)).status == 304


async def test_a_rule_that_a_target_cannot_have_is_an_error_there_and_nowhere_else(api: Api, service: Service) -> None:
    rule = await add_rule(api, expression="up < ${least}", parameters={"least": "1"}, targets=["c1", "c2"])
    await api.post("/clusters", {"id": "c1", "parameters": {"other": "1"}})
    await api.post("/clusters", {"id": "c2"})
    await sync(api)
    # As it would be after a release that checks more strictly.
    values = {"least": ") or ("}
    await service.parts.database.execute("UPDATE clusters SET parameters = $1::jsonb WHERE id = 'c2'", values)
    await sync(api, cluster_id="c2")

    held_back = {target["cluster_id"]: target for target in await targets_of(api, rule)}
    status = (await api.get(f"/rules/{rule['id']}")).data["status"]
    preview = await api.get("/config/preview", params={**SYNC, "cluster_id": "c2"})

    assert (held_back["c1"]["state"], held_back["c2"]["state"], status) == ("pending", "error", "error")
    assert "with this cluster's parameters" in held_back["c2"]["error_message"]
    assert held_back["c2"]["expression"] == "up < ) or ("
    assert (held_back["c1"]["expression"], held_back["c1"]["duration"]) == ("up < 1", "0s")
    assert preview.headers["X-Config-Held-Back"] == "1"


async def test_a_rule_that_a_checker_named_is_held_back_until_it_is_mended(api: Api) -> None:
    good, bad = await add_rule(api, "Good"), await add_rule(api, "Bad")
    first = await sync(api)
    waiting = asyncio.create_task(sync(api, first, wait=30))
    await asyncio.wait([waiting], timeout=0.3)
    words = 'promtool: Checking the file FAILED: the file: 7:11: group "alertagent", rule 2, "Bad": it cannot be'
    refusal = {"status": "failed", "error_class": "check", "rejected_hash": first.headers["X-Config-Hash"]}

    await report(api, **refusal, error_message=words, checker="promtool")
    without = await waiting
    (state,) = await targets_of(api, bad)
    await report(api, config_hash=without.headers["X-Config-Hash"])
    await api.put(f"/rules/{bad['id']}", {"expression": "up == 2"})
    mended = await sync(api)

    assert (alerts_in(without), alerts_in(mended)) == (["Good"], ["Good", "Bad"])
    assert (state["state"], state["error_message"]) == ("error", "held back: promtool: it cannot be")
    assert (await api.get(f"/rules/{good['id']}")).data["status"] == "active"


async def test_a_refusal_of_a_rule_that_is_gone_is_no_reason_to_keep_the_next_in(api: Api) -> None:
    await add_rule(api, "Good")
    for number in range(22):
        bad = await add_rule(api, "Bad")
        await refuse(api, await sync(api), 2)
        without = await sync(api)
        assert alerts_in(without) == ["Good"], number
        await report(api, config_hash=without.headers["X-Config-Hash"])
        assert (await api.delete(f"/rules/{bad['id']}")).status == 204


async def test_a_refusal_that_is_told_again_holds_back_what_the_first_did_not(api: Api) -> None:
    await add_rule(api, "Good")
    file = await sync(api)
    for _ in range(2):
        # The same text has the same hash, so that the second refusal says nothing new.
        bad = await add_rule(api, "Bad")
        refused = await sync(api)
        await refuse(api, refused, 2)
        assert alerts_in(await sync(api)) == ["Good"]
        await api.delete(f"/rules/{bad['id']}")

    assert (await sync(api, file)).status == 304


@pytest.mark.parametrize(("rules", "most"), [(30, 20), (100, 25)])
async def test_a_checker_takes_out_no_more_than_twenty_rules_or_a_quarter(api: Api, rules: int, most: int) -> None:
    operations = [{"op": "create", "name": f"A{each}", "expression": "up", "targets": ["c1"]} for each in range(rules)]
    assert (await api.post("/rules/batch", {"operations": operations})).status == 200
    first = await sync(api)

    await refuse(api, first, *range(1, most + 2))
    assert (await sync(api, first)).status == 304
    await report(api, config_hash=first.headers["X-Config-Hash"])
    await refuse(api, first, *range(1, most + 1))
    assert len(alerts_in(await sync(api))) == rules - most


async def test_a_new_version_of_the_target_gives_a_refused_rule_another_chance(api: Api) -> None:
    await add_rule(api)
    first = await sync(api)
    refusal = {"status": "failed", "error_class": "check", "rejected_hash": first.headers["X-Config-Hash"]}
    await report(api, **refusal, error_message='group "alertagent", rule 1, "HostDown": no', target_version="2.42.0")
    without = await sync(api)

    await report(api, target_version="2.43.0")

    assert (alerts_in(without), alerts_in(await sync(api))) == ([], ["HostDown"])


async def test_words_that_name_no_rule_hold_nothing_back(api: Api) -> None:
    await add_rule(api)
    first = await sync(api)
    refusal = {"status": "failed", "error_class": "check", "rejected_hash": first.headers["X-Config-Hash"]}

    for words in ("no", 'group "alertagent", rule 9, "HostDown": no', 'group "other", rule 1, "HostDown": no', ""):
        await report(api, **refusal, error_message=words)

    assert (await sync(api, first)).status == 304


async def test_how_far_a_target_has_come_is_told_in_phases(api: Api) -> None:
    rule = await add_rule(api)
    wanted = (await sync(api)).headers["X-Config-Hash"]

    phases = []
    for values in (
        {"status": "failed", "config_hash": "0" * 64, "phase": "observed"},
        {"status": "failed", "config_hash": wanted, "phase": "fetched", "error_class": "check"},
        {"status": "failed", "config_hash": wanted, "phase": "written", "error_class": "unreachable"},
        {"config_hash": wanted, "applied_hash": wanted, "phase": "observed"},
    ):
        await report(api, **values)
        (target,) = await targets_of(api, rule)
        phases.append((target["phase"], target["state"]))
        assert (target["desired_hash"], target["age_seconds"] < 60) == (wanted, True)

    assert phases == [("desired", "pending"), ("fetched", "error"), ("written", "pending"), ("observed", "active")]


async def test_past_syncs_have_a_row_for_each_change_of_outcome(api: Api) -> None:
    digest = (await sync(api)).headers["X-Config-Hash"]
    await sync(api, cluster_id="c2")
    for _ in range(3):
        await report(api, config_hash=digest)
    for _ in range(2):
        await report(api, status="failed", config_hash=digest, error_class="unreachable", error_message="away")
    await report(api, config_hash=digest)
    await report(api, cluster_id="c2")

    pages = [await api.get("/config/history", params={"cluster_id": "c1", "limit": "2"})]
    pages.append(
        await api.get(
            "/config/history", params={"cluster_id": "c1", "limit": "2", "cursor": pages[0].json["page"]["next_cursor"]}
        )
    )

    rows = [row for page in pages for row in page.data]
    assert [(row["status"], row["error_class"]) for row in rows] == [
        ("success", None),
        ("failed", "unreachable"),
        ("success", None),
    ]
    assert (await api.get("/config/history")).json["page"]["total"] == 4
    assert (await api.get("/config/history", params={"cluster_id": "a/b"})).status == 400


async def test_a_repaired_file_is_shown_with_its_time(api: Api) -> None:
    await sync(api)
    await report(api, error_class="drift", error_message="somebody changed it")
    await report(api)

    (sidecar,) = (await api.get("/config/status")).data

    assert (sidecar["error_class"], sidecar["is_silent"]) == (None, False)
    assert sidecar["drifted_at"] is not None


async def test_a_file_is_compressed_for_those_who_ask(api: Api) -> None:
    for number in range(20):
        await add_rule(api, f"Rule{number}")

    async with aiohttp.ClientSession(auto_decompress=False) as session:
        raw = Api(session, api.address)
        answers = [
            await raw.get("/config/sync", params=SYNC, headers={"Accept-Encoding": encoding})
            for encoding in ("identity", "gzip, deflate", "gzip;q=0, identity", "gzip")
        ]

    plain, zipped, refused, again = answers
    assert gzip.decompress(zipped.body) == plain.body == refused.body
    assert (zipped.headers["Content-Encoding"], zipped.body) == ("gzip", again.body)
    assert "Content-Encoding" not in plain.headers
    assert {answer.headers["ETag"] for answer in answers} == {f'"{hashlib.sha256(plain.body).hexdigest()}"'}


BAD_REPORTS: list[dict[str, Any]] = [
    {"status": "fine"},
    {"sync_time": True},
    {"sync_time": "yesterday"},
    {"sync_time": None},
    {"config_hash": "abc"},
    {"config_hash": "A" * 64},
    {"config_type": "grafana"},
    {"duration_ms": -1},
    {"duration_ms": 2**31},
    {"colour": "red"},
    {"error_message": "x" * 16_385},
    {"instance": "x" * 201},
    {"cluster_id": ""},
]


async def test_a_bad_report_is_a_400(api: Api) -> None:
    await sync(api)

    for values in BAD_REPORTS:
        assert (await report(api, **values)).status == 400, values


async def test_a_report_about_somebody_elses_cluster_is_refused(api: Api) -> None:
    await sync(api)
    one = (await api.post("/tokens", {"name": "one", "scopes": ["sync:c9"]})).data["token"]

    assert (await report(api.as_(one))).status == 403
    assert (await report(api, cluster_id="c9")).status == 404
