"""The routing document over HTTP."""

from typing import Any

import orjson
import pytest

from tests.core.routing.samples import SHOP, below
from tests.support.service import Answer, Api

YAML = {"Content-Type": "application/yaml"}
FOUR = ("route", "inhibit_rules", "time_intervals", "receivers")

ALERTMANAGER = """\
global: {resolve_timeout: 5m}
route:
  receiver: slack
  routes:
  - {receiver: hook, matchers: [team=db]}
  - {receiver: 'null', matchers: [severity=none]}
receivers:
- name: slack
  slack_configs: [{api_url: 'https://slack.example/', channel: '#ops'}]
- name: hook
  webhook_configs: [{url: 'http://127.0.0.1:9/hook'}]
- name: 'null'
"""


async def add_channel(api: Api, name: str, *, default: bool = False) -> str:
    answer = await api.post("/channels", {"name": name, "plugin_name": "console", "config": {}, "default": default})
    assert answer.status == 201, answer.body
    id: str = answer.data["id"]
    return id


async def put(api: Api, document: Any, **query: Any) -> Answer:
    return await api.put("/routing", document, params=query)


async def put_yaml(api: Api, text: str, path: str = "/routing", **query: Any) -> Answer:
    return await api.call("PUT", path, data=text.encode(), headers=YAML, params=query)


async def take_in(api: Api, text: str = ALERTMANAGER, **query: Any) -> Answer:
    return await api.post("/routing/import", data=text.encode(), headers=YAML, params=query)


def to(receiver: str) -> dict[str, Any]:
    return {"route": {"receiver": receiver}}


async def test_before_the_first_document_the_answer_says_what_happens(api: Api) -> None:
    await add_channel(api, "ops", default=True)
    await add_channel(api, "quiet")

    answer = await api.get("/routing")

    assert answer.data["route"] == {
        "receiver": "default",
        "group_by": ["alertname"],
        "group_wait": "10s",
        "group_interval": "1m",
        "repeat_interval": "4h",
    }
    assert answer.data["receivers"] == [{"name": "default", "channels": ["ops"], "send_resolved": True}]
    assert (answer.data["stored"], answer.data["version"], answer.data["updated_at"]) == (False, None, None)


async def test_what_happens_without_a_document_has_a_tag_of_its_own(api: Api) -> None:
    first = await api.get("/routing")
    same = await api.get("/routing", headers={"If-None-Match": first.headers["ETag"]})
    await add_channel(api, "ops", default=True)
    other = await api.get("/routing", headers={"If-None-Match": first.headers["ETag"]})

    assert (same.status, other.status) == (304, 200)
    stored = await api.put("/routing", to("ops"), headers={"If-Match": other.headers["ETag"]})
    assert stored.status == 200, stored.body


async def test_a_document_is_stored_as_json(api: Api) -> None:
    await add_channel(api, "ops")

    stored = await put(api, {"route": {"receiver": "ops", "group_by": ["..."], "group_wait": "0s"}}, comment="first")
    shown = await api.get("/routing")

    assert (stored.status, stored.headers["ETag"]) == (200, '"1"'), stored.body
    assert stored.data == shown.data
    assert shown.data["route"] == {"receiver": "ops", "group_by": ["..."], "group_wait": "0s"}
    assert (shown.data["version"], shown.data["stored"], shown.data["comment"]) == ("v1.0.0", True, "first")
    assert shown.data["updated_by"]


async def test_a_document_is_stored_as_yaml_and_its_text_is_kept(api: Api) -> None:
    for name in ("everybody", "pager", "dba", "值班群"):
        await add_channel(api, name)

    stored = await put_yaml(api, SHOP)
    version = await api.get("/routing/versions/v1.0.0")

    assert stored.status == 200, stored.body
    assert version.data["text"] == SHOP
    assert {key: version.data["document"][key] for key in FOUR} == {key: stored.data[key] for key in FOUR}


@pytest.mark.parametrize("is_stored", [True, False])
async def test_what_was_read_can_be_put_back(api: Api, is_stored: bool) -> None:
    for name in ("everybody", "pager", "dba", "值班群"):
        await add_channel(api, name, default=True)
    if is_stored:
        await put_yaml(api, SHOP)

    read = (await api.get("/routing")).data
    back = await put(api, {key: read[key] for key in FOUR})

    assert back.status == 200, back.body
    assert {key: back.data[key] for key in FOUR} == {key: read[key] for key in FOUR}
    assert back.data["version"] == "v1.0.0"


async def test_an_unknown_channel_is_a_400_with_its_place(api: Api) -> None:
    await add_channel(api, "database-team")

    by_hand = await put_yaml(api, below("routes:\n- receiver: datbase-team\n"))
    by_program = await put(api, to("datbase-team"))

    assert (by_hand.status, by_program.status) == (400, 400)
    assert [each["loc"] for each in by_hand.error["details"]] == [
        ["route", "receiver"],
        ["route", "routes", 0, "receiver"],
    ]
    assert by_hand.error["details"][1]["line"] == 4
    assert 'Did you mean "database-team"?' in by_program.error["message"]
    assert (by_program.error["code"], by_program.error["details"][0].get("line")) == ("routing.invalid", None)


async def test_a_dry_run_stores_nothing(api: Api) -> None:
    await add_channel(api, "all", default=True)
    await add_channel(api, "night")
    await api.post("/alerts/webhook", {"version": "4", "status": "firing", "alerts": [ALERT]})

    answer = await put(api, to("night"), dry_run="true")

    assert answer.status == 200, answer.body
    assert (answer.data["stored"], answer.data["version"]) == (False, "v1.0.0")
    assert answer.data["diff"].splitlines()[:2] == ["--- /dev/null", "+++ b/routing.yml"]
    moves = answer.data["moves"]
    assert (moves["count"], moves["looked_at"], moves["total"]) == (1, 1, 1)
    assert [(each["labels"], each["from"], each["to"]) for each in moves["first"]] == [
        ({"alertname": "A"}, ["all"], ["night"])
    ]
    assert (await api.get("/routing")).data["stored"] is False


ALERT = {"labels": {"alertname": "A"}, "status": "firing"}


async def test_what_can_hardly_be_meant_is_a_warning(api: Api) -> None:
    await add_channel(api, "ops")

    answer = await put(api, {"route": {"receiver": "ops", "routes": [{}, {}]}})

    assert [each["loc"] for each in answer.data["warnings"]] == [["route", "routes", 1]]
    assert (await api.get("/routing")).data["warnings"] == answer.data["warnings"]


async def test_a_stale_change_is_refused(api: Api) -> None:
    await add_channel(api, "ops")
    await add_channel(api, "night")
    await put(api, to("ops"))

    first = await api.put("/routing", to("night"), headers={"If-Match": '"1"'})
    second = await api.put("/routing", to("ops"), headers={"If-Match": '"1"'})
    removal = await api.delete("/routing", headers={"If-Match": '"1"'})

    assert (first.status, second.status, removal.status) == (200, 412, 412)


async def test_a_deletion_goes_back_to_the_default_and_keeps_the_versions(api: Api) -> None:
    await add_channel(api, "ops")
    await put(api, to("ops"))

    removed = await api.delete("/routing", params={"comment": "enough"})
    again = await api.delete("/routing")

    versions = await api.get("/routing/versions")
    deletion = await api.get("/routing/versions/v1.0.1")
    assert (removed.status, again.status, again.error["code"]) == (204, 404, "routing.none")
    assert [(each["version"], each["change"], each["comment"]) for each in versions.data] == [
        ("v1.0.1", "deleted", "enough"),
        ("v1.0.0", "created", ""),
    ]
    assert (deletion.data["document"], deletion.data["text"]) == (None, None)
    assert (await api.get("/routing")).data["stored"] is False


async def test_two_versions_are_compared(api: Api) -> None:
    await add_channel(api, "ops")
    await add_channel(api, "night")
    await put(api, to("ops"))
    await put_yaml(api, "# By hand.\nroute:\n    receiver: night\n")

    answer = await api.get("/routing/diff?from=v1.0.0&to=v1.0.1")

    assert (answer.data["from"], answer.data["to"]) == ("v1.0.0", "v1.0.1")
    assert answer.data["diff"].splitlines()[-2:] == ["-  receiver: ops", "+  receiver: night"]
    assert (await api.get("/routing/diff?from=v1.0.0&to=v1.0.7")).status == 404


async def test_an_earlier_version_comes_back(api: Api) -> None:
    await add_channel(api, "ops")
    await add_channel(api, "night")
    await put(api, to("ops"))
    await put(api, to("night"))

    answer = await api.post("/routing/rollback", {"version": "v1.0.0", "comment": "too early"})

    assert (answer.status, answer.data["version"], answer.data["comment"]) == (200, "v1.0.2", "too early")
    assert answer.data["route"] == {"receiver": "ops"}


async def test_a_channel_that_is_named_cannot_be_deleted(api: Api) -> None:
    id = await add_channel(api, "ops")
    await put(api, to("ops"))

    removed = await api.delete(f"/channels/{id}")
    renamed = await api.put(f"/channels/{id}", {"name": "other"})

    assert (removed.status, renamed.status) == (409, 409)
    assert removed.error["code"] == "channel.routed"
    assert "the route {}" in removed.error["message"]


async def test_readers_may_read_and_only_editors_write(api: Api) -> None:
    token = (await api.post("/tokens", {"name": "v", "role": "viewer"})).data["token"]
    viewer = api.as_(token)

    reads = [await viewer.get(path) for path in ("/routing", "/routing/versions")]
    writes = [await put(viewer, to("x")), await viewer.delete("/routing"), await take_in(viewer)]

    assert [answer.status for answer in reads] == [200, 200]
    assert [answer.status for answer in writes] == [403, 403, 403]


async def test_an_import_lists_every_receiver_that_has_no_channel(api: Api) -> None:
    answer = await take_in(api)

    assert (answer.status, answer.error["code"]) == (400, "routing.receivers_unknown")
    assert [(each["loc"], each["line"]) for each in answer.error["details"]] == [(["receivers", 0], 8)]
    assert "slack_configs" in answer.error["message"]
    assert (await api.get("/channels")).data == []


async def test_an_import_makes_routes_and_channels(api: Api) -> None:
    await add_channel(api, "team-chat")

    answer = await take_in(api, map="slack:team-chat")

    assert answer.status == 200, answer.body
    assert answer.data["created_channels"] == ["hook"]
    assert answer.data["receivers"] == [
        {"name": "slack", "channels": ["team-chat"], "send_resolved": False},
        {"name": "null", "channels": []},
    ]
    assert answer.data["comment"] == "imported from Alertmanager"
    assert [each["loc"] for each in answer.data["warnings"]] == [["global"]]
    channels = {each["name"]: each for each in (await api.get("/channels")).data}
    assert (channels["hook"]["plugin_name"], channels["hook"]["default"]) == ("webhook", False)
    assert channels["hook"]["config"]["url"] == "http://127.0.0.1:9/hook"


async def test_a_second_import_changes_nothing(api: Api) -> None:
    await add_channel(api, "slack")
    first = await take_in(api)

    second = await take_in(api)

    assert (first.data["version"], second.data["version"]) == ("v1.0.0", "v1.0.0")
    assert (first.data["created_channels"], second.data["created_channels"]) == (["hook"], [])


async def test_a_dry_import_makes_no_channels(api: Api) -> None:
    await add_channel(api, "slack")

    answer = await take_in(api, dry_run="true")

    assert answer.status == 200, answer.body
    assert (answer.data["created_channels"], answer.data["stored"]) == (["hook"], False)
    assert "receiver: hook" in answer.data["diff"]
    assert [each["name"] for each in (await api.get("/channels")).data] == ["slack"]


async def test_a_stale_import_makes_no_channels(api: Api) -> None:
    await add_channel(api, "slack")

    answer = await api.post("/routing/import", data=ALERTMANAGER.encode(), headers={**YAML, "If-Match": '"7"'})

    assert answer.status == 412
    assert [each["name"] for each in (await api.get("/channels")).data] == ["slack"]


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://no-such-host.invalid/"])
async def test_a_webhook_that_may_not_be_called_is_told_with_its_place(api: Api, url: str) -> None:
    await add_channel(api, "slack")

    answer = await take_in(api, ALERTMANAGER.replace("http://127.0.0.1:9/hook", url))

    assert (answer.status, answer.error["code"]) == (400, "routing.import_invalid")
    assert [(each["loc"], each["line"]) for each in answer.error["details"]] == [
        (["receivers", 1, "webhook_configs", 0, "url"], 11)
    ]


@pytest.mark.parametrize("renamed", ["slack:nobody", "slack", "nobody:slack", "slack:"])
async def test_a_renaming_to_or_of_nobody_is_a_400(api: Api, renamed: str) -> None:
    answer = await take_in(api, map=renamed)

    assert (answer.status, answer.error["type"]) == (400, "validation")


async def test_json_is_no_file_of_alertmanager(api: Api) -> None:
    answer = await api.post("/routing/import", orjson.loads(b"{}"))

    assert answer.status == 415
