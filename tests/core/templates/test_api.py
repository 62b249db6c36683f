"""Templates over HTTP, and the whole way from one to a message."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from alertagent.app import Service
from alertagent.core.templates.model import MAX_SOURCE
from tests.core.alerts.house import until
from tests.core.notify.test_api import LONG_AGO, fire
from tests.support.dingtalk import DingTalkRobot
from tests.support.service import Api, make_settings, serving

BODY = """\
**Status:** {{ status }}
{% for alert in alerts %}
- {{ alert.labels.instance }}
{% endfor %}
[Open]({{ links.alert }})
"""
TEMPLATE: dict[str, Any] = {
    "name": "short",
    "texts": {"en": {"title": "{{ labels.alertname }} in {{ labels.cluster }}", "body": BODY}},
}


@pytest.fixture
async def robot() -> AsyncIterator[DingTalkRobot]:
    async with DingTalkRobot() as robot:
        yield robot


@pytest.fixture
async def known(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    """A service that knows where people reach it."""
    server = {"port": 0, "external_url": "https://aa.example"}
    async with serving(make_settings(database_url, redis_url, server=server)) as (_, api):
        yield api


async def add(api: Api, **values: Any) -> Any:
    answer = await api.post("/templates", {**TEMPLATE, **values})
    assert answer.status == 201, answer.body
    return answer.data


def channel(robot: DingTalkRobot, **values: Any) -> dict[str, Any]:
    config = {"webhook_url": robot.url, "secret": robot.secret}
    return {"name": "ops", "plugin_name": "dingtalk", "config": config, **values}


async def test_a_template_is_made_read_changed_and_deleted(api: Api, service: Service) -> None:
    made = await api.post("/templates", TEMPLATE)
    path = f"/templates/{made.data['id']}"
    read = await api.get(path)
    changed = await api.put(path, {"texts": {"zh-CN": {"body": "你好"}}}, headers={"If-Match": made.headers["ETag"]})
    same = await api.put(path, {"name": "short"})
    stale = await api.put(path, {"name": "x"}, headers={"If-Match": made.headers["ETag"]})
    listed = await api.get("/templates", params={"q": "sho", "sort": "-updated_at"})
    removed = await api.delete(path)

    assert (made.status, read.data["texts"]["en"]["body"]) == (201, BODY)
    assert changed.data["texts"] == {"zh-CN": {"title": "", "body": "你好"}}
    assert same.headers["ETag"] == changed.headers["ETag"]
    assert (stale.status, [each["name"] for each in listed.data]) == (412, ["short"])
    assert (removed.status, (await api.get(path)).status) == (204, 404)
    audited = await service.parts.database.fetch("SELECT action, after FROM audit_log WHERE subject_kind = 'template'")
    assert [row["action"] for row in audited] == ["template.created", "template.updated", "template.deleted"]
    assert audited[1]["after"]["texts"]["zh-CN"]["body"] == "你好"


MISTAKES: list[tuple[dict[str, Any], list[Any], int | None]] = [
    ({"texts": {}}, ["texts"], None),
    ({"texts": {"en": {}}}, ["texts"], None),
    ({"texts": {"fr": {"body": "x"}}}, ["texts", "fr"], None),
    ({"texts": {"en": {"body": "a\n{% if %}"}}}, ["texts", "en", "body"], 2),
    ({"texts": {"en": {"title": "{{ lables }}"}}}, ["texts", "en", "title"], 1),
    ({"texts": {"en": {"body": "x"}, "zh-CN": {"body": "{% include 'x' %}"}}}, ["texts", "zh-CN", "body"], 1),
    ({"texts": {"en": {"body": "告" * (MAX_SOURCE // 2)}}}, ["texts", "en", "body"], None),
    ({"texts": {"en": {"body": "x" * (MAX_SOURCE + 1)}}}, ["texts", "en", "body"], None),
    ({"name": ""}, ["name"], None),
]


async def test_a_mistake_has_its_place_and_its_line(api: Api) -> None:
    for change, place, line in MISTAKES:
        answer = await api.post("/templates", {**TEMPLATE, **change})

        assert answer.status == 400, change
        assert answer.error["details"][0]["loc"] == place, change
        assert answer.error["details"][0].get("line") == line, change
    assert (await api.get("/templates")).data == []


async def test_a_name_is_taken_once(api: Api) -> None:
    await add(api)
    other = await add(api, name="other")

    again = await api.post("/templates", TEMPLATE)
    renamed = await api.put(f"/templates/{other['id']}", {"name": "short"})

    assert [(each.status, each.error["code"]) for each in (again, renamed)] == [(409, "template.exists")] * 2


async def test_a_template_that_a_channel_uses_stays(api: Api, robot: DingTalkRobot) -> None:
    template = await add(api)
    made = await api.post("/channels", channel(robot, template="short"))
    path = f"/templates/{template['id']}"

    refused = await api.delete(path)
    renamed = await api.put(path, {"name": "brief"})
    followed = await api.get(f"/channels/{made.data['id']}")
    cleared = await api.put(f"/channels/{made.data['id']}", {"template": None})
    removed = await api.delete(path)

    assert (refused.status, refused.error["code"]) == (409, "template.in_use")
    assert '"ops"' in refused.error["message"]
    assert (renamed.status, followed.data["template"], cleared.data["template"]) == (200, "brief", None)
    assert followed.headers["ETag"] != made.headers["ETag"]
    assert removed.status == 204


async def test_a_channel_gets_a_template_that_is_there_and_that_it_can_use(api: Api, robot: DingTalkRobot) -> None:
    await add(api)
    unknown = await api.post("/channels", channel(robot, template="nothing"))
    unusable = await api.post(
        "/channels", {"name": "hook", "plugin_name": "webhook", "config": {"url": robot.url}, "template": "short"}
    )
    made = await api.post("/channels", channel(robot))
    path = f"/channels/{made.data['id']}"
    changed = await api.put(path, {"template": "nothing"})
    good = await api.put(path, {"template": "short"})
    other = await api.put(path, {"plugin_name": "webhook", "config": {"url": robot.url}})

    assert [(each.status, each.error["code"]) for each in (unknown, unusable, changed, other)] == [
        (400, "channel.template_unknown"),
        (400, "channel.template_unusable"),
        (400, "channel.template_unknown"),
        (400, "channel.template_unusable"),
    ]
    assert {tuple(each.error["details"][0]["loc"]) for each in (unknown, unusable, changed, other)} == {("template",)}
    assert good.data["template"] == "short"
    assert (await api.get("/plugins/webhook")).data["template"] == "nothing"
    assert (await api.get("/plugins/pagerduty")).data["template"] == "title"


async def test_a_preview_shows_what_comes_out(known: Api) -> None:
    made_up = await known.post("/templates/preview", {**TEMPLATE["texts"]["en"]})
    given = await known.post(
        "/templates/preview",
        {"body": "{{ labels.x }}\n{{ starts_at }}", "language": "zh-CN", "labels": {"x": "# {{ 7*7 }}"}},
    )
    id = await fire(known, "Stored", instance="i-1")
    stored = await known.post("/templates/preview", {"title": "{{ title }}", "body": BODY, "alerts": [id]})

    assert made_up.data["title"] == "HighCPU in bj"
    assert made_up.data["body"].startswith(
        "Status: firing\n- 10.0.0.1:9100\n- 10.0.0.2:9100\nOpen: https://aa.example/"
    )
    assert given.data["lines"][0] == {"kind": "text", "text": "# {{ 7*7 }}", "name": "", "url": ""}
    assert "(UTC+8)" in given.data["body"]
    assert (stored.data["title"], stored.data["errors"]) == ("[FIRING] Stored", [])
    assert stored.data["body"] == f"Status: firing\n- i-1\nOpen: https://aa.example/alerts/{id}"


async def test_a_preview_shows_what_is_wrong(api: Api) -> None:
    broken = await api.post("/templates/preview", {"title": "{{ nope }}", "body": "a\n{{ labels.x.y.z }}"})
    bomb = await api.post("/templates/preview", {"body": "{{ 'x' * 10**9 }}"})
    unknown = await api.post("/templates/preview", {"body": "x", "alerts": ["none"]})
    both = await api.post("/templates/preview", {"body": "x", "alerts": ["none"], "labels": {"a": "b"}})

    assert [(each["part"], each["line"]) for each in broken.data["errors"]] == [("title", 1), ("body", 2)]
    assert "memory" in bomb.data["errors"][0]["message"]
    assert (unknown.status, unknown.error["details"][0]["loc"]) == (400, ["alerts", 0])
    assert both.status == 400


async def test_a_channel_is_told_in_the_words_of_its_template(known: Api, robot: DingTalkRobot) -> None:
    await add(known)
    made = await known.post("/channels", channel(robot, template="short", default=True))

    tried = await known.post(f"/channels/{made.data['id']}/test")
    id = await fire(known, "Disk", instance="[x](http://evil) @all", cluster="bj")
    await until(lambda: _has(robot, 2), timeout=40)

    assert (tried.data["delivered"], tried.data["template_error"]) == (True, "")
    assert "AlertAgentTest in" in robot.messages[0]
    told = robot.messages[1]
    assert "## Disk in bj\n\n- **Status**：firing\n- ［x］(http://evil) ＠all" in told
    assert f"[Open](https://aa.example/alerts/{id})" in told


async def _has(robot: DingTalkRobot, count: int) -> bool:
    return len(robot.messages) >= count


@pytest.mark.parametrize("body", ["{{ labels.nope.at_all }}", "{{ 'x' * 10**9 }}"])
async def test_a_template_that_fails_costs_no_message(api: Api, robot: DingTalkRobot, body: str) -> None:
    await add(api, texts={"en": {"body": body}})
    made = await api.post("/channels", channel(robot, template="short", default=True))

    tried = await api.post(f"/channels/{made.data['id']}/test")
    await api.post("//api/v2/alerts", [{"labels": {"alertname": "Disk"}, "startsAt": LONG_AGO}])
    await until(lambda: _has(robot, 2), timeout=40)

    async def ended() -> bool:
        (delivery,) = (await api.get("/deliveries")).data
        return bool(delivery["status"] == "sent")

    await until(ended)
    (delivery,) = (await api.get("/deliveries")).data
    assert (tried.data["delivered"], tried.data["template_error"]) == (True, delivery["template_error"])
    assert delivery["template_error"].startswith('template "short": body')
    assert "【告警】Disk" in robot.messages[1]
    assert 'alertagent_messages_worded_total{outcome="failed"} 2.0' in (await metrics(api))


async def metrics(api: Api) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{api.address}/metrics") as response:
        return await response.text()
