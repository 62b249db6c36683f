"""Plugins over HTTP: switched off and on, read anew, and the one that the page about plugins shows."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import orjson
import pytest

from alertagent.core.audit.model import Actor
from tests.core.alerts.house import House, until
from tests.support.service import Api, make_settings, serving
from tests.support.sink import Answer, Sink

PAGE = Path(__file__).parents[3] / "docs/howto/plugins.md"
EXAMPLE = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[0]
MOST_LINES = 40
ANNA = Actor(name="anna")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "plugins"
    path.mkdir(mode=0o755)
    put(path, "parrot.py", EXAMPLE)
    return path


@pytest.fixture
async def two(database_url: str, redis_url: str, directory: Path) -> AsyncIterator[tuple[Api, Api]]:
    """Two processes with one directory."""
    settings = make_settings(database_url, redis_url, plugins={"directory": directory})
    async with AsyncExitStack() as stack:
        apis = [(await stack.enter_async_context(serving(settings)))[1] for _ in range(2)]
        yield apis[0], apis[1]


def put(directory: Path, file: str, text: str) -> None:
    (directory / file).write_text(text, "utf-8")
    (directory / file).chmod(0o644)


async def add(api: Api, plugin: str, url: str) -> str:
    key = "url" if plugin == "webhook" else "webhook_url"
    values = {"name": "ops", "plugin_name": plugin, "config": {key: url}, "default": True}
    id: str = (await api.post("/channels", values)).data["id"]
    return id


async def shown(api: Api) -> dict[str, str]:
    """The version of each plugin that works, and the error of each other."""
    found = (await api.get("/plugins")).data
    return {plugin["name"]: plugin["error"] or plugin["version"] for plugin in found}


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.splitlines()) <= MOST_LINES


async def test_the_example_tells_and_knows_a_refusal_inside_a_200(two: tuple[Api, Api], sink: Sink) -> None:
    api, _ = two
    sink.answer_next(Answer(body=b"ok"), Answer(body=b"no such room"))
    id = await add(api, "parrot", sink.url)

    told = (await api.post(f"/channels/{id}/test")).data
    refused = (await api.post(f"/channels/{id}/test")).data

    assert (told["outcome"], refused["outcome"], refused["message"]) == ("delivered", "refused", "no such room")
    assert (
        "AlertAgentTest" in orjson.loads(sink.requests[0].body)["text"] + orjson.loads(sink.requests[0].body)["title"]
    )
    assert (await api.get(f"/channels/{id}")).data["config"] == {"webhook_url": "***"}
    schema = (await api.get("/plugins/parrot")).data["config_schema"]["properties"]["webhook_url"]
    assert schema["x-title"] == {"zh": "机器人地址", "en": "The robot's address"}


async def test_what_changed_in_the_directory_reaches_every_process(two: tuple[Api, Api], directory: Path) -> None:
    api, other = two
    put(directory, "parrot.py", EXAMPLE.replace('"1.0"', '"2.0"'))
    put(directory, "broken.py", "raise RuntimeError('no licence')")

    answer = await api.post("/plugins/reload")

    assert answer.status == 200
    assert (await shown(api))["parrot"] == "2.0"
    assert "line 1: RuntimeError: no licence" in (await shown(api))["broken"]
    await until(lambda: reached(other, "parrot", "2.0"))


async def test_a_process_reads_its_directory_when_it_may_have_missed_a_reload(
    two: tuple[Api, Api], directory: Path, house: House
) -> None:
    _, other = two
    put(directory, "parrot.py", EXAMPLE.replace('"1.0"', '"2.0"'))  # of which nobody is told
    listening = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"

    await house.database.fetch(f"{listening} AND query LIKE 'LISTEN%'")

    await until(lambda: reached(other, "parrot", "2.0"))


async def test_the_example_waits_for_as_long_as_its_robot_says(house: House, sink: Sink, directory: Path) -> None:
    house.parts.registry.reload(directory)
    values = {"name": "ops", "plugin_name": "parrot", "config": {"webhook_url": sink.url}, "enabled": True}
    await house.parts.channels.add(ANNA, {**values, "is_default": True, "fallback": (), "user_id": None})
    sink.answer_next(Answer(status=429, headers={"Retry-After": "20"}))
    await house.fire("A", ago=60)
    await house.work()

    house.clock.move(seconds=19)
    await house.work()
    asked_meanwhile = len(sink.requests)
    house.clock.move(seconds=1)
    await house.work()

    assert (asked_meanwhile, len(sink.requests)) == (1, 2)
    row = await house.database.fetchrow("SELECT * FROM notification_deliveries")
    assert row is not None
    assert (row["status"], row["attempts"]) == ("sent", 2)


async def test_a_broken_file_whose_plugin_still_runs_is_one_row(two: tuple[Api, Api], directory: Path) -> None:
    api, _ = two
    put(directory, "parrot.py", "raise RuntimeError('no licence')")

    rows = (await api.post("/plugins/reload")).data

    [row] = [row for row in rows if row["name"] == "parrot"]
    assert (row["version"], row["source"], row["enabled"]) == ("1.0", "directory", True)
    assert row["error"] == f"{directory / 'parrot.py'}: line 1: RuntimeError: no licence"
    assert (await api.get("/plugins/parrot")).data == row
    assert {each["error"] for each in rows if each["name"] != "parrot"} == {None}

    put(directory, "parrot.py", EXAMPLE)
    assert "parrot" in {row["name"] for row in (await api.post("/plugins/reload")).data if row["error"] is None}


async def reached(api: Api, plugin: str, version: str) -> bool:
    return (await shown(api)).get(plugin) == version


async def test_without_a_directory_there_is_nothing_to_reload(api: Api) -> None:
    answer = await api.post("/plugins/reload")

    assert (answer.status, answer.error["code"]) == (409, "plugin.no_directory")


async def test_a_plugin_that_is_switched_off_is_not_even_tried_out(api: Api, sink: Sink) -> None:
    id = await add(api, "webhook", sink.url)

    off = await api.put("/plugins/webhook", {"enabled": False})
    refused = [
        await api.post(f"/channels/{id}/test"),
        await api.post("/plugins/webhook/test", {"config": {"url": sink.url}}),
    ]
    on = await api.put("/plugins/webhook", {"enabled": True})
    taken = await api.post(f"/channels/{id}/test")

    assert (off.data["enabled"], on.data["enabled"], taken.data["delivered"]) == (False, True, True)
    assert [(answer.status, answer.error["code"]) for answer in refused] == [(409, "plugin.disabled")] * 2
    assert len(sink.requests) == 1


async def test_channels_of_a_plugin_that_is_off_are_told_when_it_is_on_again(house: House, sink: Sink) -> None:
    values = {"name": "ops", "plugin_name": "webhook", "config": {"url": sink.url}, "enabled": True, "is_default": True}
    await house.parts.channels.add(ANNA, {**values, "fallback": (), "user_id": None})
    await house.fire("Planned", ago=60, severity="info")
    await house.work("dispatch", "flush")

    await house.parts.plugins.switch(ANNA, "webhook", enabled=False)
    await house.fire("Quiet", ago=60, severity="info")
    await house.work()
    told_meanwhile = len(sink.requests)
    await house.parts.plugins.switch(ANNA, "webhook", enabled=True)
    await house.work()

    rows = await house.database.fetch(
        "SELECT status, provider_message FROM notification_deliveries ORDER BY created_at"
    )
    assert told_meanwhile == 0
    assert (rows[0]["status"], rows[0]["provider_message"]) == ("cancelled", "it is switched off")
    names = {alert["labels"]["alertname"] for each in sink.requests for alert in orjson.loads(each.body)["alerts"]}
    assert names == {"Planned", "Quiet"}


async def test_only_a_change_is_audited(house: House) -> None:
    for enabled in (True, False, False, True, True):
        await house.parts.plugins.switch(ANNA, "webhook", enabled=enabled)

    rows = await house.database.fetch("SELECT action FROM audit_log WHERE subject_kind = 'plugin' ORDER BY id")
    assert [row["action"] for row in rows] == ["plugin.disabled", "plugin.enabled"]


async def test_switching_what_is_not_there_is_a_404(api: Api) -> None:
    assert (await api.put("/plugins/none", {"enabled": False})).status == 404


async def test_a_check_posts_nothing(api: Api, sink: Sink) -> None:
    id = await add(api, "webhook", sink.url)

    well = await api.post(f"/channels/{id}/check")

    assert well.data == {"healthy": True, "message": ""}
    assert {request.method for request in sink.requests} == {"HEAD"}
