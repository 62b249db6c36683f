"""A cluster's Alertmanager configuration over HTTP: kept, judged, shown without secrets, served, followed."""

import hashlib
import io
import tarfile
import time
from typing import Any

import pytest

from tests.core.alertmanager.samples import SHOP, SHOP_SECRETS, SHOP_TEMPLATES, plain, with_receiver
from tests.support.service import Answer, Api

PATH = "/clusters/c1/alertmanager-config"
SMALL = "route: {receiver: r}\nreceivers: [{name: r}]\n"


@pytest.fixture
async def api(api: Api) -> Api:
    """A service that knows one cluster with an Alertmanager."""
    answer = await api.post("/clusters", {"id": "c1", "config_types": ["alertmanager", "prometheus"]})
    assert answer.status == 201, answer.body
    return api


async def put(api: Api, config: str = SMALL, **values: Any) -> Answer:
    answer = await api.put(PATH, {"config": config, **values})
    assert answer.status == 200, answer.body
    return answer


async def sync(api: Api, **query: Any) -> Answer:
    return await api.get("/config/sync", params={"cluster_id": "c1", "type": "alertmanager", **query})


async def report(api: Api, **values: Any) -> None:
    body = {"cluster_id": "c1", "config_type": "alertmanager", "status": "success", "sync_time": time.time(), **values}
    answer = await api.post("/config/sync/status", {"error_message": None, **body})
    assert answer.status == 200, answer.body


def files_in(answer: Answer) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar}


async def test_what_is_stored_is_served_byte_for_byte(api: Api) -> None:
    text = plain().replace("\n", "\r\n") + "# no newline at the end"
    await put(api, text)

    answer = await sync(api)

    digest = hashlib.sha256(text.encode()).hexdigest()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/yaml")
    assert answer.body == text.encode()
    assert (answer.headers["X-Config-Hash"], answer.headers["ETag"]) == (digest, f'"{digest}"')


async def test_a_cluster_without_a_configuration_gets_none(api: Api) -> None:
    """Not an empty one: what runs there goes on."""
    for answer in (await sync(api), await sync(api, format="bundle"), await api.get(PATH)):
        assert (answer.status, answer.error["code"]) == (404, "alertmanager.none")


async def test_templates_come_in_a_bundle_only(api: Api) -> None:
    await put(api, SHOP, templates=SHOP_TEMPLATES)

    alone, bundle = await sync(api), await sync(api, format="bundle")

    files = files_in(bundle)
    main = files.pop("alertmanager.yml").decode()
    (path,) = files
    assert (alone.status, alone.error["code"]) == (409, "config.needs_bundle")
    assert (bundle.status, bundle.headers["Content-Type"]) == (200, "application/x-tar")
    assert bundle.headers["X-Config-Hash"] == hashlib.sha256(bundle.body).hexdigest()
    assert main == SHOP.replace("'shop.tmpl'", path)
    assert files[path].decode() == SHOP_TEMPLATES["shop.tmpl"]


async def test_without_templates_there_is_nothing_to_bundle(api: Api) -> None:
    await put(api)

    answer = await sync(api, format="bundle")

    assert (answer.headers["Content-Type"], answer.body) == ("application/yaml", SMALL.encode())


async def test_a_known_bundle_is_not_sent_again(api: Api) -> None:
    await put(api, SHOP, templates=SHOP_TEMPLATES)
    tag = (await sync(api, format="bundle")).headers["ETag"]

    again = await api.get("/config/sync?cluster_id=c1&type=alertmanager&format=bundle", headers={"If-None-Match": tag})
    await put(api, SHOP, templates={"shop.tmpl": SHOP_TEMPLATES["shop.tmpl"] + "{{/* new */}}"})
    changed = await api.get(
        "/config/sync?cluster_id=c1&type=alertmanager&format=bundle", headers={"If-None-Match": tag}
    )

    assert (again.status, changed.status) == (304, 200)


async def test_nobody_reads_a_secret(api: Api) -> None:
    await put(api, SHOP, templates=SHOP_TEMPLATES)
    await put(api, SHOP.replace("R0UTING-KEY", "AN0THER-KEY"), templates=SHOP_TEMPLATES, comment="rotated")

    answers = [
        await api.get(PATH),
        await api.get(f"{PATH}/versions"),
        await api.get(f"{PATH}/versions/v1.0.0"),
        await api.get(f"{PATH}/diff?from=v1.0.0&to=v1.0.1"),
        await api.get("/config/preview?cluster_id=c1&type=alertmanager"),
        await api.put(f"{PATH}?dry_run=true", {"config": SHOP, "templates": SHOP_TEMPLATES}),
        await api.post(f"{PATH}/rollback", {"version": "v1.0.0"}),
    ]

    assert [answer.status for answer in answers] == [200] * len(answers)
    shown = b"".join(answer.body for answer in answers).decode()
    assert not [secret for secret in (*SHOP_SECRETS, "AN0THER-KEY") if secret in shown]


async def test_what_was_read_can_be_changed_and_sent_back(api: Api) -> None:
    await put(api, plain())
    shown = (await api.get(PATH)).data["config"]

    same = await put(api, shown)
    await put(api, shown.replace("channel: '#db'", "channel: '#databases'"))

    assert same.data["version"] == "v1.0.0"
    assert (await sync(api)).body.decode() == plain().replace("channel: '#db'", "channel: '#databases'")


async def test_a_mask_without_its_secret_is_refused(api: Api) -> None:
    answer = await api.put(PATH, {"config": with_receiver("slack_configs: [{api_url: '***'}]")})

    assert (answer.status, answer.error["code"]) == (400, "alertmanager.invalid")
    assert answer.error["details"][0]["loc"] == ["config", "receivers", 0, "slack_configs", 0, "api_url"]


async def test_a_refusal_names_every_place(api: Api) -> None:
    answer = await api.put(PATH, {"config": "route:\n  receiver: nobody\n  group_wiat: 1s\n"})

    assert (answer.status, answer.error["code"]) == (400, "alertmanager.invalid")
    assert answer.error["message"].endswith("(line 3, column 3)")
    assert answer.error["details"] == [
        {
            "loc": ["config", "route", "group_wiat"],
            "message": 'unknown field. Did you mean "group_wait"?',
            "line": 3,
            "column": 3,
        }
    ]
    assert (await api.get(PATH)).status == 404


async def test_a_dry_run_shows_what_would_change_and_stores_nothing(api: Api) -> None:
    await put(api)

    answer = await api.put(f"{PATH}?dry_run=true", {"config": SMALL + "inhibit_rules: [{}]\n"})

    assert (answer.status, answer.data["version"]) == (200, "v1.0.1")
    assert answer.data["diff"] == (
        "--- a/alertmanager.yml\n+++ b/alertmanager.yml\n"
        "@@ -1,2 +1,3 @@\n route: {receiver: r}\n receivers: [{name: r}]\n+inhibit_rules: [{}]\n"
    )
    assert [warning["loc"] for warning in answer.data["warnings"]] == [["config", "inhibit_rules", 0]]
    assert (await api.get(PATH)).data["version"] == "v1.0.0"


async def test_a_first_dry_run_shows_everything_as_new(api: Api) -> None:
    answer = await api.put(f"{PATH}?dry_run=true", {"config": SMALL})

    assert answer.data["diff"].startswith("--- /dev/null\n+++ b/alertmanager.yml\n@@ -0,0 +1,2 @@\n")
    assert (await api.get(PATH)).status == 404


async def test_versions_are_kept_and_come_back(api: Api) -> None:
    await put(api, comment="first")
    await put(api, SMALL + "# more\n", comment="second")

    back = await api.post(f"{PATH}/rollback", {"version": "v1.0.0"})

    history = (await api.get(f"{PATH}/versions")).data
    assert (back.status, back.data["version"], back.data["config"]) == (200, "v1.0.2", SMALL)
    assert [(each["version"], each["change"], each["comment"]) for each in history] == [
        ("v1.0.2", "updated", "back to v1.0.0"),
        ("v1.0.1", "updated", "second"),
        ("v1.0.0", "created", "first"),
    ]
    assert (await api.get(f"{PATH}/versions/v1.0.1")).data["config"] == SMALL + "# more\n"
    assert (await api.get(f"{PATH}/diff?from=v1.0.0&to=v1.0.2")).data == {"from": "v1.0.0", "to": "v1.0.2", "diff": ""}


async def test_a_deleted_configuration_is_served_no_more_and_counts_on(api: Api) -> None:
    await put(api)
    await sync(api)

    assert (await api.delete(PATH)).status == 204

    assert (await sync(api)).error["code"] == "alertmanager.none"
    assert (await api.delete(PATH)).status == 404
    assert (await api.get(f"{PATH}/versions/v1.0.1")).data["config"] is None
    assert (await api.post(f"{PATH}/rollback", {"version": "v1.0.1"})).status == 409
    assert (await put(api)).data["version"] == "v1.0.2"


async def test_only_the_version_that_was_read_may_be_replaced(api: Api) -> None:
    first = await put(api)
    await put(api, SMALL + "# more\n")

    stale = await api.put(PATH, {"config": SMALL}, headers={"If-Match": first.headers["ETag"]})
    gone = await api.delete(PATH, headers={"If-Match": first.headers["ETag"]})

    assert (stale.status, gone.status) == (412, 412)
    assert (await api.get(PATH)).data["version"] == "v1.0.1"


async def test_a_cluster_must_have_an_alertmanager(api: Api) -> None:
    await api.post("/clusters", {"id": "c2"})

    answer = await api.put("/clusters/c2/alertmanager-config", {"config": SMALL})

    assert (answer.status, answer.error["code"]) == (409, "config.type_not_enabled")
    assert (await api.put("/clusters/c9/alertmanager-config", {"config": SMALL})).status == 404


async def test_what_the_reported_release_does_not_know_is_refused(api: Api) -> None:
    await report(api, instance="a", target_version="0.31.0")
    await report(api, instance="b", target_version="0.25.0")
    config = with_receiver("webhook_configs: [{url: http://x/, timeout: 5s}]")

    answer = await api.put(PATH, {"config": config})

    assert answer.status == 400
    assert "timeout came with Alertmanager 0.28; this cluster runs 0.25.0" in answer.error["message"]


@pytest.mark.parametrize("form", [{}, {"format": "bundle"}])
async def test_each_instance_tells_how_far_it_has_come(api: Api, form: dict[str, str]) -> None:
    await put(api)
    before = (await api.get(PATH)).data
    first = (await sync(api, **form)).headers["X-Config-Hash"]
    await report(api, instance="a", applied_hash=first, config_hash=first)
    applied = await api.get(PATH)
    await put(api, SMALL + "# more\n")
    second = (await sync(api, **form)).headers["X-Config-Hash"]
    pending = (await api.get(PATH)).data
    refusal = {"status": "failed", "error_class": "refused", "error_message": "no", "rejected_hash": second}
    await report(api, instance="a", applied_hash=first, config_hash=second, **refusal)
    refused = (await api.get(PATH)).data

    assert (before["status"], before["instances"]) == ("pending", [])
    assert applied.headers["ETag"] == '"1-active"'
    assert [(each["instance"], each["state"], each["applied_version"]) for each in applied.data["instances"]] == [
        ("a", "active", "v1.0.0")
    ]
    assert (pending["status"], pending["instances"][0]["applied_version"]) == ("pending", "v1.0.0")
    assert (refused["status"], refused["instances"][0]["error_message"]) == ("error", "no")
    (status,) = (await api.get("/config/status")).data
    assert (status["desired_hash"], status["is_current"]) == (second, False)
