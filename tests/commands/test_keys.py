"""`alertagent keys` as a process of its own, against a running service, and on a database whose key is lost."""

import json
from collections.abc import Mapping
from pathlib import Path

from alertagent.app import Service
from alertagent.storage.sealing import write_key
from tests.support.serve import Ended, beside, run
from tests.support.service import ADMIN_TOKEN, KEY, Api, make_settings, serving

CHANNEL = {"name": "ops", "plugin_name": "webhook", "config": {"url": "http://127.0.0.1:1/", "secret": "CANARY"}}
OTHER = write_key(bytes(32))


async def keys(address: str, *arguments: str, token: str = ADMIN_TOKEN) -> Ended:
    return await run("keys", *arguments, environment={"ALERTAGENT_SERVER": address, "ALERTAGENT_TOKEN": token})


async def test_the_status_names_keys_by_their_ids(service: Service, api: Api) -> None:
    await api.post("/channels", CHANNEL)
    shown = await keys(service.address, "status")
    (key,) = json.loads((await keys(service.address, "status", "-o", "json")).stdout)

    assert shown.stdout.startswith("KEY\tSEALS\tHELD\tSINCE\n")
    assert key["id"] in shown.stdout
    assert "keys from the setting secrets.key; values under another key: 0" in shown.stderr
    assert KEY not in shown.stdout + shown.stderr


async def test_a_rotation_makes_a_key_where_the_file_is_the_servers_own(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with serving(make_settings(database_url, redis_url, secrets={}, data_dir=tmp_path)) as (service, api):
        await api.post("/channels", CHANNEL)
        done = await keys(service.address, "rotate")
        (key,) = (await api.get("/keys")).data["keys"]

    assert (done.status, done.stdout) == (0, f"1 secrets are sealed under key {key['id']}\n")
    assert len([line for line in (tmp_path / "secrets.key").read_text().splitlines() if not line.startswith("#")]) == 2


async def test_a_rotation_without_a_new_key_says_where_to_put_one(service: Service) -> None:
    refused = await keys(service.address, "rotate")
    stranger = await keys(service.address, "rotate", token="nobody")

    assert refused.status == 1
    assert "put a new one there, before the others" in refused.stderr
    assert stranger.status == 2


async def reset(environment: Mapping[str, str], *arguments: str) -> Ended:
    return await run("keys", "reset", *arguments, environment=environment)


async def test_when_the_key_is_lost_a_reset_begins_anew_and_names_what_to_set_again(
    database_url: str, redis_url: str
) -> None:
    lost, new = beside(database_url, redis_url), beside(database_url, redis_url) | {"ALERTAGENT_SECRETS__KEY": OTHER}
    async with serving(make_settings(database_url, redis_url)) as (_, api):
        channel = (await api.post("/channels", CHANNEL)).data
        await api.post("/clusters", {"id": "c1", "config_types": ["alertmanager"]})
        config = {"config": "route: {receiver: r}\nreceivers: [{name: r}]\n"}
        await api.put("/clusters/c1/alertmanager-config", config)
        await api.get("/config/sync?cluster_id=c1&type=alertmanager")

    needless = await reset(lost, "--yes")
    refused = await run("serve", "--port", "0", environment=new)
    asked = await reset(new)
    done = await reset(new, "--yes")

    assert (needless.status, "nothing is lost" in needless.stderr) == (1, True)
    assert refused.status == 1
    assert "run `alertagent keys reset`" in refused.stderr.splitlines()[-1]
    assert (asked.status, "Aborted" in asked.stderr) == (1, True)
    assert done.status == 0
    first, *places = done.stdout.splitlines()
    assert first.startswith("secrets are sealed under key ")
    assert {place.partition(" (")[0] for place in places} == {
        "lost: user_notification_configs.config",
        "lost: alertmanager_configs.config",
        "lost: alertmanager_configs.templates",
        "lost: alertmanager_config_versions.config",
        "lost: alertmanager_config_versions.templates",
    }
    async with serving(make_settings(database_url, redis_url, secrets={"key": OTHER})) as (_, api):
        assert "is sealed under key" in (await api.get(f"/channels/{channel['id']}")).data["unreadable"]
        again = await api.put(f"/channels/{channel['id']}", {"config": CHANNEL["config"]})
        assert (again.status, again.data["unreadable"]) == (200, None)
        assert (await api.get("/config/sync?cluster_id=c1&type=alertmanager")).status == 503
        assert (await api.put("/clusters/c1/alertmanager-config", config)).status == 200
        assert (await api.get("/config/sync?cluster_id=c1&type=alertmanager")).status == 200
