"""Changing the key while everybody goes on, and rows that do not open."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from alertagent.app import Role, Service, running
from alertagent.core.keys.service import sql, use
from alertagent.core.notify.channels import CONFIG as CHANNEL
from alertagent.settings import Settings
from alertagent.storage.database import Database
from alertagent.storage.key_files import OwnFile
from alertagent.storage.sealing import Key, write_key
from tests.core.alerts.house import until
from tests.support.service import KEY, Api, make_settings, serving
from tests.support.sink import Sink

HEADERS = {"Authorization": "Bearer CANARY"}
CONFIG = "route: {receiver: r}\nreceivers:\n- name: r\n  webhook_configs: [{url: http://hook.example/CANARY}]\n"
SERVED = "/config/sync?cluster_id=c1&type=alertmanager"


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """With a key file of its own."""
    return make_settings(database_url, redis_url, secrets={}, data_dir=tmp_path)


async def add(api: Api, name: str, sink: Sink, **values: Any) -> str:
    body = {"name": name, "plugin_name": "webhook", "config": {"url": sink.url, "headers": HEADERS}, **values}
    answer = await api.post("/channels", body)
    assert answer.status == 201, answer.body
    return str(answer.data["id"])


async def fire(api: Api, name: str) -> None:
    """One that has fired for so long that it is told at once."""
    alert = {"labels": {"alertname": name}, "startsAt": "2026-01-01T00:00:00Z"}
    assert (await api.post("//api/v2/alerts", [alert])).status == 200


async def deliveries(api: Api) -> list[Any]:
    return list((await api.get("/deliveries?limit=500")).data)


async def govern(api: Api) -> None:
    assert (await api.post("/clusters", {"id": "c1", "config_types": ["alertmanager"]})).status == 201
    assert (await api.put("/clusters/c1/alertmanager-config", {"config": CONFIG})).status == 200
    assert b"CANARY" in (await api.get(SERVED)).body


async def keys_in_use(database: Database) -> set[str]:
    rows = await database.fetch(
        "SELECT config #>> '{}' AS sealed FROM user_notification_configs"
        " UNION SELECT config FROM alertmanager_configs UNION SELECT config FROM alertmanager_config_versions"
        " UNION SELECT convert_from(body, 'UTF8') FROM config_snapshots"
    )
    return {row["sealed"].split(".")[2] for row in rows}


async def test_the_key_changes_again_and_again_while_alerts_are_told_and_channels_changed(
    settings: Settings, sink: Sink
) -> None:
    """Two processes have the key file in common; neither is told of a new key."""
    async with serving(settings) as (service, api), running(settings, Role.WORKER):
        changed = await add(api, "changed", sink, default=True)
        await add(api, "still", sink, default=True)
        await govern(api)
        turns = 15

        async def tell() -> None:
            for number in range(turns):
                await fire(api, f"A{number}")

        async def change() -> None:
            for number in range(turns):
                config = {"url": f"{sink.url}/{number}", "headers": HEADERS}
                assert (await api.put(f"/channels/{changed}", {"config": config})).status == 200
                put = await api.put("/clusters/c1/alertmanager-config", {"config": f"{CONFIG}# {number}\n"})
                assert put.status == 200

        async def rotate() -> None:
            for _ in range(5):
                answer = await api.post("/keys/rotate")
                assert (answer.status, answer.data["done"], answer.data["unreadable"]) == (200, True, [])

        async with asyncio.TaskGroup() as group:
            for work in (tell(), change(), rotate()):
                group.create_task(work)

        async def are_told() -> bool:
            told = await deliveries(api)
            names = {alert for each in told for alert in each["alerts"] if each["status"] == "sent"}
            return len(names) == turns and {each["status"] for each in told} == {"sent"}

        await until(are_told, timeout=40)
        assert {request.headers["Authorization"] for request in sink.requests} == {HEADERS["Authorization"]}
        state = (await api.get("/keys")).data
        assert ([key["held"] for key in state["keys"]], state["left"]) == ([True], 0)
        assert await keys_in_use(service.parts.database) == {state["keys"][0]["id"]}
        assert state["source"] == str(settings.data_dir / "secrets.key")
        rows = await service.parts.database.fetch("SELECT * FROM audit_log WHERE action = 'keys.rotated'")
        assert len(rows) == 5


async def test_of_rotations_at_the_same_time_none_forgets_the_key_of_another(settings: Settings, sink: Sink) -> None:
    async with serving(settings) as (service, api):
        for number in range(60):
            await add(api, f"c{number}", sink)

        answers = await asyncio.gather(*(api.post("/keys/rotate") for _ in range(8)))
        last = await api.post("/keys/rotate")

        (key,) = (await api.get("/keys")).data["keys"]
        assert {answer.status for answer in answers} == {200}
        assert (key["seals"], key["id"]) == (True, last.data["key"])
        assert await keys_in_use(service.parts.database) == {key["id"]}


async def test_who_ends_a_rotation_when_another_has_begun_forgets_nothing(database_url: str) -> None:
    first, second = Key.of(bytes(32)), Key.of(bytes(range(32)))
    async with Database.connect(database_url) as database:
        async with database.transaction() as transaction:
            await use(transaction, first)
            await use(transaction, second)

        await database.execute(sql.forget_sealing_keys, first.id)
        rows = await database.fetch("SELECT id, seals FROM sealing_keys")
        assert {(row["id"], row["seals"]) for row in rows} == {(first.id, False), (second.id, True)}

        await database.execute(sql.forget_sealing_keys, second.id)
        rows = await database.fetch("SELECT id, seals FROM sealing_keys")
        assert [(row["id"], row["seals"]) for row in rows] == [(second.id, True)]


async def test_a_rotation_that_was_broken_off_goes_on_with_the_same_key(settings: Settings, sink: Sink) -> None:
    async with serving(settings) as (service, api):
        for number in range(3):
            await add(api, f"c{number}", sink)
        await govern(api)
        # The file has the new key, and whoever began died before he told the database.
        new = OwnFile(settings.data_dir / "secrets.key").renew().first.id

        first = (await api.post("/keys/rotate")).data
        # One row lies under the key before again, as if it were not done yet, and that key is not forgotten.
        await _set_back(service.parts.database, settings)
        second = (await api.post("/keys/rotate")).data

        assert (first["key"], second["key"]) == (new, new)
        assert (first["sealed"], second["sealed"]) == (8, 1)
        assert await keys_in_use(service.parts.database) == {new}


async def _set_back(database: Database, settings: Settings) -> None:
    keyring = OwnFile(settings.data_dir / "secrets.key").load()
    assert keyring is not None
    old = list(keyring.keys.values())[1]
    row = await database.fetchrow("SELECT id, config FROM user_notification_configs ORDER BY id LIMIT 1")
    assert row is not None
    place = CHANNEL.at(row["id"])
    plain = keyring.first.open(row["config"], place)
    await database.execute(
        "UPDATE user_notification_configs SET config = $2 WHERE id = $1", row["id"], old.seal(plain, place)
    )
    await database.execute("INSERT INTO sealing_keys (id, proof) VALUES ($1, '')", old.id)


async def test_a_key_of_the_settings_is_changed_by_putting_a_new_one_before_it(
    database_url: str, redis_url: str, sink: Sink
) -> None:
    new = write_key(bytes(range(32)))
    settings = make_settings(database_url, redis_url)
    async with serving(settings) as (_, api):
        await add(api, "ops", sink)
        refused = await api.post("/keys/rotate")
        assert (refused.status, refused.error["code"]) == (409, "keys.not_ours")
        assert "openssl rand -base64 32" in refused.error["message"]

    async with serving(make_settings(database_url, redis_url, secrets={"key": f"{new}\n{KEY}"})) as (service, api):
        before = await keys_in_use(service.parts.database)
        done = (await api.post("/keys/rotate")).data
        assert (done["sealed"], done["done"], {done["key"]} == before) == (1, True, False)

    async with serving(make_settings(database_url, redis_url, secrets={"key": new})) as (_, api):
        (channel,) = (await api.get("/channels")).data
        assert (await api.post(f"/channels/{channel['id']}/test")).data["delivered"] is True


async def swap(database: Database) -> None:
    await database.execute(
        "UPDATE user_notification_configs AS mine SET config = other.config"
        "  FROM user_notification_configs AS other WHERE mine.id <> other.id"
    )


async def test_secrets_that_were_exchanged_between_rows_open_nowhere(service: Service, api: Api, sink: Sink) -> None:
    first, second = await add(api, "first", sink), await add(api, "second", sink)
    await swap(service.parts.database)

    listed = (await api.get("/channels")).data
    tested = await api.post(f"/channels/{first}/test")
    renamed = await api.put(f"/channels/{first}", {"name": "third"})
    kept = await api.put(f"/channels/{first}", {"config": {"url": sink.url, "headers": {"Authorization": "***"}}})

    assert {each["id"]: (each["config"], "belongs to another row" in each["unreadable"]) for each in listed} == {
        first: ({}, True),
        second: ({}, True),
    }
    assert (tested.status, tested.error["code"]) == (503, "secrets.unreadable")
    assert (renamed.status, renamed.error["code"]) == (503, "secrets.unreadable")
    assert (kept.status, kept.error["details"][0]["loc"]) == (400, ["config", "headers", "Authorization"])
    assert "sealed." not in (tested.body + renamed.body + kept.body).decode()
    assert sink.requests == []


async def test_a_channel_that_does_not_open_holds_up_no_other_and_is_told_once_its_secrets_are_set_again(
    service: Service, api: Api, sink: Sink
) -> None:
    broken, whole = await add(api, "broken", sink, default=True), await add(api, "whole", sink, default=True)
    await service.parts.database.execute(
        "UPDATE user_notification_configs SET config = to_jsonb((config #>> '{}') || 'A') WHERE id = $1", broken
    )
    await fire(api, "A")
    (told,) = await sink.wait_for(1)

    async def waits() -> bool:
        return {each["channel_id"]: each["status"] for each in await deliveries(api)} == {
            broken: "pending",
            whole: "sent",
        }

    await until(waits)
    assert told.headers["Authorization"] == HEADERS["Authorization"]

    mended = await api.put(f"/channels/{broken}", {"config": {"url": sink.url, "headers": HEADERS}})

    assert (mended.status, mended.data["unreadable"]) == (200, None)
    assert (await api.post(f"/channels/{broken}/test")).data["delivered"] is True


async def test_a_rotation_names_what_does_not_open_and_leaves_it(settings: Settings, sink: Sink) -> None:
    async with serving(settings) as (service, api):
        await add(api, "first", sink)
        await add(api, "second", sink)
        await swap(service.parts.database)
        before = await keys_in_use(service.parts.database)

        for _ in range(2):
            done = (await api.post("/keys/rotate")).data

            assert done["done"] is True
            assert [place.partition(" ")[0] for place in done["unreadable"]] == ["user_notification_configs.config"] * 2
        assert await keys_in_use(service.parts.database) == before


async def test_an_analyzer_that_does_not_open_is_shown_and_mended(service: Service, api: Api) -> None:
    body = {"name": "h", "provider": "heuristic", "default": True}
    id = (await api.post("/analyzers", body)).data["id"]
    await service.parts.database.execute("UPDATE analyzers SET config = to_jsonb('sealed.1.nobody.AAAA'::text)")

    shown = await api.get(f"/analyzers/{id}")
    tested = await api.post(f"/analyzers/{id}/test")
    await fire(api, "A")
    (alert,) = (await api.get("/alerts")).data
    mended = await api.put(f"/analyzers/{id}", {"config": {}})

    assert "sealed under key nobody" in shown.data["unreadable"]
    assert (tested.status, tested.error["code"]) == (503, "secrets.unreadable")
    assert alert["status"] == "firing"
    assert (mended.status, mended.data["unreadable"]) == (200, None)


async def test_an_alertmanager_configuration_that_does_not_open_is_not_served_and_can_be_replaced(
    service: Service, api: Api
) -> None:
    path = "/clusters/c1/alertmanager-config"
    await govern(api)
    await service.parts.database.execute("UPDATE alertmanager_configs SET config = 'sealed.1.nobody.AAAA'")

    shown = await api.get(path)
    masked = await api.put(path, {"config": CONFIG.replace("http://hook.example/CANARY", "'***'")})
    again = await api.put(path, {"config": f"{CONFIG}# again\n"})

    assert (shown.status, shown.error["code"]) == (503, "secrets.unreadable")
    assert masked.status == 400
    assert (again.status, again.data["version"]) == (200, "v1.0.1")
    assert (await api.get(SERVED)).body.endswith(b"# again\n")


async def test_a_damaged_file_for_a_sidecar_is_a_503_and_never_a_sealed_one(
    settings: Settings, database_url: str
) -> None:
    async with serving(settings) as (service, api):
        await govern(api)
        await service.parts.database.execute("UPDATE config_snapshots SET body = body || 'A'")
    async with serving(settings) as (_, api):
        answer = await api.get(SERVED)

    assert (answer.status, answer.error["code"], answer.headers["Retry-After"]) == (503, "secrets.unreadable", "300")
