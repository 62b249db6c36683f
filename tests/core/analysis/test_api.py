"""Analyzers, the policy and analyses over HTTP, on a running service."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.alerts.house import until
from tests.support.dify import KEY, DifyApp
from tests.support.n8n import N8nWebhook
from tests.support.service import Answer, Api, make_settings, serving
from tests.support.sink import Sink

ALERT = {"labels": {"alertname": "A", "severity": "critical", "instance": "a:9100"}}


@pytest.fixture
async def app() -> AsyncIterator[DifyApp]:
    async with DifyApp() as app:
        yield app


@pytest.fixture
async def webhook() -> AsyncIterator[N8nWebhook]:
    async with N8nWebhook("accepted") as webhook:
        yield webhook


def dify(app: DifyApp, **fields: Any) -> dict[str, Any]:
    return {"name": "d", "provider": "dify", "config": {"base_url": app.url, "api_key": KEY}, **fields}


async def fire(api: Api) -> str:
    """An alert, and its id."""
    assert (await api.post("//api/v2/alerts", [ALERT])).status == 200
    (alert,) = (await api.get("/alerts")).data
    return str(alert["id"])


async def analysed(api: Api, id: str, status: str = "analyzed") -> Any:
    async def ended() -> Any:
        alert = (await api.get(f"/alerts/{id}")).data
        return alert if alert["analysis_status"] == status else None

    return await until(ended)


async def test_an_analyzer_is_made_read_changed_and_deleted_and_keeps_its_secret(api: Api, app: DifyApp) -> None:
    made = await api.post("/analyzers", dify(app, default=True))
    path = f"/analyzers/{made.data['id']}"
    listed = await api.get("/analyzers?sort=-updated_at,name")
    changed = await api.put(path, {"name": "e", "config": {**made.data["config"], "app_type": "chat"}})
    kept = await api.put(path, {"name": "e"}, headers={"If-Match": changed.headers["ETag"]})

    assert (made.status, made.data["config"]["api_key"]) == (201, "***")
    assert (made.data["default"], made.data["circuit"]["state"]) == (True, "closed")
    assert [each["id"] for each in listed.data] == [made.data["id"]]
    assert (changed.data["name"], changed.data["config"]["app_type"]) == ("e", "chat")
    assert kept.headers["ETag"] == changed.headers["ETag"]
    assert KEY not in (made.body + listed.body + changed.body).decode()
    assert (await api.put(path, {"name": "x"}, headers={"If-Match": '"1"'})).status == 412
    assert (await api.delete(path)).status == 204
    assert (await api.get(path)).status == 404


async def test_there_is_one_default_at_most_and_one_of_a_name(api: Api, app: DifyApp) -> None:
    first = await api.post("/analyzers", dify(app, default=True))
    second = await api.post("/analyzers", {"name": "h", "provider": "heuristic", "default": True})
    taken = await api.post("/analyzers", dify(app))
    renamed = await api.put(f"/analyzers/{second.data['id']}", {"name": "d"})

    found = {each["name"]: each["default"] for each in (await api.get("/analyzers")).data}
    assert found == {"d": False, "h": True}
    assert (first.data["default"], second.data["circuit"]) == (True, None)
    assert {(answer.status, answer.error["code"]) for answer in (taken, renamed)} == {(409, "analyzer.exists")}


async def test_a_test_tells_what_the_provider_says(api: Api, app: DifyApp, webhook: N8nWebhook) -> None:
    made = await api.post("/analyzers", dify(app))
    path = f"/analyzers/{made.data['id']}/test"
    good = await api.post(path)
    app.refuse_next("provider_not_initialize", "too_many_requests")
    refused, busy = await api.post(path), await api.post(path)
    config = {"webhook_url": webhook.url, "mode": "callback"}
    workflow = await api.post("/analyzers", {"name": "n", "provider": "n8n", "config": config})
    parked = await api.post(f"/analyzers/{workflow.data['id']}/test")

    assert (good.data["outcome"], good.data["analysis"]["root_cause"]) == ("analyzed", "logs grew")
    assert (refused.data["outcome"], refused.data["code"]) == ("refused", "dify.provider_not_initialize")
    assert busy.data["outcome"] == "retry_after"
    assert parked.data["outcome"] == "parked"


async def test_an_alert_is_analysed_judged_and_analysed_anew(api: Api, app: DifyApp) -> None:
    await api.post("/analyzers", dify(app, default=True))
    id = await fire(api)
    first = await analysed(api, id)
    judged = await api.post(f"/alerts/{id}/feedback", {"verdict": "down", "comment": "no"})
    again = await api.post(f"/alerts/{id}/analyze")
    await until(lambda: _times(api, id, 2))
    timeline = (await api.get(f"/alerts/{id}/timeline")).data

    assert first["analysis_result"]["root_cause"] == "logs grew"
    assert first["analysis_result"]["tokens"] == 42
    assert (judged.status, again.status) == (200, 202)
    assert {"analyzed", "feedback"} <= {event["kind"] for event in timeline}
    assert '"feedback":["-1 no"]' in app.requests[-1]["inputs"]["context_json"]
    assert (await api.get(f"/tasks/{first['task_id']}")).data["type"] == "ai_analysis"


ORACLE = """
from alertagent.plugins.analysis import Analysis, Analyzer
from alertagent.plugins.config import PluginConfig
from alertagent.plugins.languages import Bilingual

class Settings(PluginConfig):
    answer: str

class Oracle(Analyzer[Settings]):
    name, version = "oracle", "1.0"
    display_name = description = Bilingual(zh="神谕", en="Oracle")
    Config = Settings

    async def analyze(self, config, context, transport, run):
        return Analysis(summary=config.answer, root_cause=config.answer, confidence=0.5, provider=self.name)
"""


async def test_an_analyzer_may_come_from_the_directory_of_plugins(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    directory = tmp_path / "plugins"
    directory.mkdir(mode=0o755)
    file = directory / "oracle.py"
    settings = make_settings(database_url, redis_url, plugins={"directory": directory})
    async with serving(settings) as (_, api):
        setup = {"name": "o", "provider": "oracle", "config": {"answer": "the moon"}, "default": True}
        unknown = await api.post("/analyzers", setup)
        file.write_text(ORACLE)
        file.chmod(0o644)
        await api.post("/plugins/reload")
        made = await api.post("/analyzers", setup)
        first = await analysed(api, await fire(api))
        file.write_text(ORACLE.replace("root_cause=config.answer", 'root_cause=f"not {config.answer}"'))
        await api.post("/plugins/reload")
        again = await api.post(f"/analyzers/{made.data['id']}/test")

    assert (unknown.status, made.status) == (400, 201)
    assert (first["analysis_result"]["root_cause"], first["analysis_result"]["provider"]) == ("the moon", "oracle")
    assert again.data["analysis"]["root_cause"] == "not the moon"


async def _times(api: Api, id: str, times: int) -> bool:
    timeline = (await api.get(f"/alerts/{id}/timeline")).data
    return len([event for event in timeline if event["kind"] == "analyzed"]) == times


async def test_a_workflow_delivers_with_its_token_once(api: Api, webhook: N8nWebhook) -> None:
    config = {"webhook_url": webhook.url, "mode": "callback"}
    await api.post("/analyzers", {"name": "n", "provider": "n8n", "config": config, "default": True})
    id = await fire(api)
    [call] = await webhook.wait_for(1)
    path = call["callback_url"].removeprefix(call["callback_url"].partition("/api/v1")[0]).removeprefix("/api/v1")
    body = {"task_id": call["task_id"], "analysis": {"root_cause": "logs grew"}, "execution_id": 12}

    async def deliver(token: str | None, body: Any = body) -> Answer:
        return await api.as_(token).post(path, body)

    refused = [await deliver(token) for token in (None, "", "wrong", "aa_run_é")]
    empty = await deliver(call["callback_token"], {"analysis": {}})
    answers = [await deliver(call["callback_token"]) for _ in range(3)]
    alert = await analysed(api, id)

    assert {answer.status for answer in refused} == {401}
    assert (empty.status, empty.error["code"]) == (400, "analysis.empty")
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert answers[0].data == {"task_id": call["task_id"], "status": "analyzed"}
    assert alert["analysis_result"]["root_cause"] == "logs grew"


async def test_the_policy_is_read_and_changed_field_by_field(api: Api) -> None:
    before = await api.get("/analysis/policy")
    changed = await api.put("/analysis/policy", {"hold": "30s"}, headers={"If-Match": before.headers["ETag"]})
    stale = await api.put("/analysis/policy", {"hold": "5s"}, headers={"If-Match": before.headers["ETag"]})
    same = await api.put("/analysis/policy", {"filter": ['severity=~"critical|warning"'], "max_per_hour": 60})

    assert (before.data["filter"], before.data["hold"]) == (['severity=~"critical|warning"'], "0s")
    assert (changed.data["hold"], changed.data["max_per_hour"]) == ("30s", 60)
    assert stale.status == 412
    assert same.headers["ETag"] == changed.headers["ETag"]


async def test_what_has_no_analysis_has_nothing_to_judge(api: Api, app: DifyApp) -> None:
    app.refuse_next("unauthorized")
    await api.post("/analyzers", dify(app, default=True))
    id = await fire(api)
    await analysed(api, id, "failed")

    refused = await api.post(f"/alerts/{id}/feedback", {"verdict": "up"})

    assert (refused.status, refused.error["code"]) == (409, "analysis.missing")
    assert (await api.post("/alerts/none/analyze")).status == 404


async def test_a_dify_that_hangs_delays_a_notification_by_its_hold_and_no_more(api: Api, app: DifyApp) -> None:
    app.hangs = True
    async with Sink() as sink:
        channel = {"name": "hook", "plugin_name": "webhook", "config": {"url": sink.url}}
        assert (await api.post("/channels", channel)).status == 201
        route = {"route": {"receiver": "hook", "group_by": ["alertname"], "group_wait": "0s"}}
        assert (await api.put("/routing", route)).status == 200
        await api.post("/analyzers", dify(app, default=True))
        await api.put("/analysis/policy", {"hold": "1s"})
        id = await fire(api)
        [request] = await sink.wait_for(1)

    assert "analysis" not in json.loads(request.body)
    assert (await api.get(f"/alerts/{id}")).data["analysis_status"] == "analyzing"
