"""No secret lies readable in the database, whatever was done with it over HTTP."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest

from alertagent.app import Service
from alertagent.storage.database import Database
from tests.core.alertmanager.samples import SHOP, SHOP_SECRETS, SHOP_TEMPLATES
from tests.core.alerts.house import until
from tests.core.keys.dump import dump
from tests.support.dify import KEY as DIFY_KEY
from tests.support.dify import DifyApp
from tests.support.dingtalk import DingTalkRobot
from tests.support.service import Answer, Api, make_settings, serving
from tests.support.sink import Answer as SinkAnswer
from tests.support.sink import Sink

LABELS = {"alertname": "A", "severity": "critical"}
SERVED = "/config/sync?cluster_id=c1&type=alertmanager&format=bundle"
SINK_SECRETS = {"secret": "CANARY-signs", "headers": {"Authorization": "Bearer CANARY-bears"}}
CLEAR = """
    INSERT INTO user_notification_configs (id, name, plugin_name, config, enabled, is_default)
    VALUES ('clear', 'clear', 'gone', '{"key": "CANARY-before"}', false, false)
"""


@pytest.fixture
async def robot() -> AsyncIterator[DingTalkRobot]:
    async with DingTalkRobot() as robot:
        yield robot


@pytest.fixture
async def app() -> AsyncIterator[DifyApp]:
    async with DifyApp() as app:
        yield app


async def use_all(api: Api, sink: Sink, robot: DingTalkRobot, app: DifyApp) -> list[str]:
    """Make, change, use, refuse and import whatever holds secrets; the secrets."""
    replaced = {"secret": "CANARY-replaced", "headers": {"Authorization": "***"}}
    hook = await _channel(api, "hook", "webhook", {"url": sink.url, **SINK_SECRETS}, default=True)
    await _channel(api, "robot", "dingtalk", {"webhook_url": robot.url, "secret": robot.secret}, default=True)
    await _channel(
        api,
        "mail",
        "email",
        {
            "host": "127.0.0.1",
            "from": "a@example.com",
            "to": ["b@example.com"],
            "username": "ops",
            "password": "CANARY-opens",
        },
    )
    _ok(await api.put(f"/channels/{hook['id']}", {"config": {"url": sink.url, **replaced}}))
    refused = await api.put(f"/channels/{hook['id']}", {"config": {"url": "ftp://x", "secret": "CANARY-refused"}})
    assert refused.status == 400
    _ok(await api.post(f"/channels/{hook['id']}/test"))
    analyzer = {"name": "d", "provider": "dify", "config": {"base_url": app.url, "api_key": DIFY_KEY}, "default": True}
    made = _ok(await api.post("/analyzers", analyzer, headers={"Idempotency-Key": "a"}))
    _ok(await api.post(f"/analyzers/{made['id']}/test"))
    await _govern(api)
    sink.answer_next(SinkAnswer(status=500, body=b"no"))
    _ok(await api.post("//api/v2/alerts", [{"labels": LABELS, "startsAt": "2026-01-01T00:00:00Z"}]))

    async def are_told() -> bool:
        told = (await api.get("/deliveries")).data
        return len(told) == 2 and {each["status"] for each in told} == {"sent"}

    await until(are_told, timeout=20)
    return [
        "CANARY-",
        *SHOP_SECRETS,
        "OTHER-KEY",
        "TEMPLATE-KEY",
        DIFY_KEY,
        str(robot.secret),
        robot.url.partition("access_token=")[2],
    ]


async def _channel(api: Api, name: str, plugin: str, config: Mapping[str, Any], *, default: bool = False) -> Any:
    body = {"name": name, "plugin_name": plugin, "config": config, "default": default}
    return _ok(await api.post("/channels", body, headers={"Idempotency-Key": name}))


async def _govern(api: Api) -> None:
    """Two versions of an Alertmanager's configuration, back to the first, served; and one taken over as routes."""
    _ok(await api.post("/clusters", {"id": "c1", "config_types": ["alertmanager"]}))
    templates = {"shop.tmpl": SHOP_TEMPLATES["shop.tmpl"] + "{{/* TEMPLATE-KEY */}}"}
    path = "/clusters/c1/alertmanager-config"
    _ok(await api.put(path, {"config": SHOP, "templates": templates}))
    _ok(await api.put(path, {"config": SHOP.replace("R0UTING-KEY", "OTHER-KEY"), "templates": templates}))
    _ok(await api.post(f"{path}/rollback", {"version": "v1.0.0"}))
    served = await api.get(SERVED)
    assert (served.status, b"R0UTING-KEY" in served.body, b"TEMPLATE-KEY" in served.body) == (200, True, True)
    headers = {"Content-Type": "application/yaml"}
    routes = await api.call("POST", "/routing/import?dry_run=true", data=SHOP, headers=headers)
    assert routes.status < 500


def _ok(answer: Answer) -> Any:
    assert answer.status in {200, 201}, answer.body
    return orjson.loads(answer.body).get("data") if answer.body.startswith(b"{") else None


async def test_no_secret_is_readable_in_any_table_nor_logged(
    service: Service, api: Api, sink: Sink, robot: DingTalkRobot, app: DifyApp, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = await use_all(api, sink, robot, app)
    held = await dump(service.parts.database)
    logged = capfd.readouterr()

    assert [secret for secret in secrets if secret in held] == []
    assert [secret for secret in secrets if secret in logged.out + logged.err] == []
    assert "user_notification_configs.name: hook" in held
    assert len(sink.requests) == 3
    assert {request.headers["Authorization"] for request in sink.requests} == {"Bearer CANARY-bears"}


async def test_beside_the_release_before_secrets_stay_readable_until_a_rotation_seals_them(
    database_url: str, redis_url: str, sink: Sink, robot: DingTalkRobot, app: DifyApp, tmp_path: Any
) -> None:
    settings = make_settings(database_url, redis_url, secrets={}, data_dir=tmp_path)
    async with Database.connect(database_url) as database:
        await database.execute(CLEAR)
    async with serving(settings) as (service, api):
        secrets = await use_all(api, sink, robot, app)
        held = await dump(service.parts.database)
        assert [secret for secret in secrets if secret not in held] == []

        progress = _ok(await api.post("/keys/rotate"))
        state = _ok(await api.get("/keys"))
        held = await dump(service.parts.database)
        again = await api.get(SERVED)

        assert [secret for secret in secrets if secret in held] == []
        assert (progress["done"], progress["unreadable"], progress["sealed"] > 10) == (True, [], True)
        assert ([key["seals"] for key in state["keys"]], state["left"]) == ([True], 0)
        assert b"R0UTING-KEY" in again.body
    async with serving(settings) as (_, api):
        _ok(await api.post(f"/channels/{(await api.get('/channels?q=hook')).data[0]['id']}/test"))
        assert sink.requests[-1].headers["Authorization"] == "Bearer CANARY-bears"
        assert b"R0UTING-KEY" in (await api.get(SERVED)).body
