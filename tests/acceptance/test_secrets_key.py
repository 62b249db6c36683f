"""The key of secrets over starts of the real program: made once, kept, missing, another one."""

import stat
from pathlib import Path

import aiohttp
import pytest

from alertagent.storage.sealing import write_key
from tests.support.serve import Serve, beside, run
from tests.support.service import Api
from tests.support.sink import Sink

HEADERS = {"X-Key": "CANARY"}


async def test_a_restart_goes_on_with_the_key_that_the_first_start_made(data_dir: Path) -> None:
    file = data_dir / "secrets.key"
    async with Sink() as sink:
        async with Serve.in_(data_dir) as serve, aiohttp.ClientSession() as session:
            config = {"url": sink.url, "headers": HEADERS}
            made = await Api(session, serve.address).post(
                "/channels", {"name": "ops", "plugin_name": "webhook", "config": config}
            )
            assert made.status == 201
            first = file.read_bytes()
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        async with Serve.in_(data_dir) as serve, aiohttp.ClientSession() as session:
            tested = await Api(session, serve.address).post(f"/channels/{made.data['id']}/test")

    assert tested.data["delivered"] is True
    assert sink.requests[-1].headers["X-Key"] == "CANARY"
    assert file.read_bytes() == first


async def test_without_its_key_file_a_start_is_refused_and_makes_no_other(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    urls = {name: value for name, value in beside(database_url, redis_url).items() if "SECRETS" not in name}
    async with Serve("--data-dir", str(tmp_path), environment=urls):
        (tmp_path / "secrets.key").unlink()

    refused = await run("serve", "--port", "0", "--data-dir", str(tmp_path), environment=urls)

    assert refused.status == 1
    last = refused.stderr.splitlines()[-1]
    assert f"there is no key in {tmp_path}/secrets.key" in last
    assert "restore the key file from the backup" in last
    assert list(tmp_path.iterdir()) == []


async def test_a_second_process_with_another_key_is_refused(database_url: str, redis_url: str, tmp_path: Path) -> None:
    other = tmp_path / "key"
    other.write_text(write_key(bytes(32)))
    urls = {name: value for name, value in beside(database_url, redis_url).items() if "SECRETS" not in name}
    async with Serve.on(database_url, redis_url) as first:
        refused = await run("serve", "--port", "0", environment={**urls, "ALERTAGENT_SECRETS__KEY_FILE": str(other)})

        assert await first.is_ready()

    assert refused.status == 1
    assert refused.stderr.splitlines()[-1].startswith("alertagent: the secrets of this database belong to key ")
    assert f"{other} holds only " in refused.stderr
    assert other.read_text() not in refused.stderr


async def test_with_embedded_engines_a_lost_key_is_reset_where_no_server_runs(data_dir: Path) -> None:
    channel = {"name": "ops", "plugin_name": "webhook", "config": {"url": "http://127.0.0.1:1/", "secret": "CANARY"}}
    async with Serve.in_(data_dir) as serve, aiohttp.ClientSession() as session:
        assert (await Api(session, serve.address).post("/channels", channel)).status == 201
        busy = await run("keys", "reset", "--yes", "--data-dir", str(data_dir))
    (data_dir / "secrets.key").unlink()

    refused = await run("serve", "--port", "0", "--data-dir", str(data_dir))
    done = await run("keys", "reset", "--yes", "--data-dir", str(data_dir))

    assert (busy.status, "in use by another AlertAgent" in busy.stderr) == (1, True)
    assert (refused.status, "alertagent keys reset" in refused.stderr) == (1, True)
    assert (done.status, "lost: user_notification_configs.config (id " in done.stdout) == (0, True)
    async with Serve.in_(data_dir) as serve, aiohttp.ClientSession() as session:
        (shown,) = (await Api(session, serve.address).get("/channels")).data
        assert (shown["name"], shown["config"], "add it there" in shown["unreadable"]) == ("ops", {}, True)


@pytest.mark.parametrize("text", ["CANARY", "", write_key(bytes(16))])
async def test_a_key_that_is_none_is_named_and_not_shown(text: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(text)
    given = {"ALERTAGENT_SECRETS__KEY_FILE": str(tmp_path / "key")}

    refused = await run("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), environment=given)

    assert refused.status == 1
    assert "secrets" in refused.stderr
    assert not text or text not in refused.stderr
    assert not (tmp_path / "data").exists()
