"""Starting and stopping: what the person at the terminal sees, and what is left behind."""

import re
import shutil
import signal
import time
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from tests.support.processes import running_in
from tests.support.prometheus import eventually
from tests.support.serve import LOOPBACK, TOKEN, Ended, Serve, beside, run
from tests.support.service import ADMIN_TOKEN, Api

NOBODY = "127.0.0.1:1"


def complaint(ended: Ended, *, status: int = 1) -> str:
    """The one line in which a refused start says why; log lines may come before it, nothing after."""
    lines = ended.stderr.strip().splitlines()
    assert ended.status == status
    assert "Traceback" not in ended.stderr
    assert [line for line in lines if line.startswith("alertagent: ")] == lines[-1:]
    return lines[-1].removeprefix("alertagent: ")


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("serverr: {port: 1}", 'unknown setting "serverr". Did you mean "server"?'),
        ("server: {prt: 1}", 'unknown setting "server.prt". Did you mean "server.port"?'),
        ("server: {port: many}", 'setting "server.port": Input should be a valid integer'),
        ("server: [1\nport: 2", "is not YAML"),
        ("- server", "must hold sections such as `server:`"),
        ("auth: {admin_token_file: /nowhere/token}", "cannot read /nowhere/token: No such file or directory"),
        (
            "auth: {admin_token: 0123456789abcdef, admin_token_file: /etc/hostname}",
            '"admin_token" and "admin_token_file" are both set; keep one',
        ),
    ],
    ids=["section", "key", "value", "broken", "list", "secret-file", "both"],
)
async def test_a_mistake_in_the_settings_file_is_named(text: str, says: str, tmp_path: Path) -> None:
    file = written(tmp_path / "alertagent.yaml", text)

    said = complaint(await run("serve", "--config", file, "--data-dir", str(tmp_path / "data")))

    assert said.startswith(file)
    assert says in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ALERTAGENT_SERVER__PRT", "1", 'Did you mean "ALERTAGENT_SERVER__PORT"?'),
        ("ALERTAGENT_DATABASE__URL", "mysql://root@db/alerts", "database.url"),
        ("ALERTAGENT_REDIS__URL", "http://cache:6379", "redis.url"),
    ],
    ids=["unknown", "database", "redis"],
)
async def test_a_mistake_in_the_environment_is_named(name: str, value: str, says: str, data_dir: Path) -> None:
    ended = await run("serve", "--port", "0", "--data-dir", str(data_dir), environment={name: value})

    assert says in complaint(ended)


async def test_a_missing_settings_file_is_named() -> None:
    said = complaint(await run("serve", "--config", "/nowhere/alertagent.yaml"))

    assert said == "cannot read the settings file /nowhere/alertagent.yaml: No such file or directory"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [("/test_", "/nowhere_", "does not exist"), ("alertagent:", "stranger:", "stranger")],
    ids=["database", "user"],
)
async def test_a_database_that_refuses_us_is_awaited_and_says_why(
    old: str, new: str, says: str, database_url: str, redis_url: str
) -> None:
    serve = Serve.on(database_url.replace(old, new), redis_url)
    await serve.spawn()

    assert says in await serve.said("database.unavailable")
    await serve.said("database.awaited")
    await serve.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_start_that_waits_for_its_database(number: signal.Signals, data_dir: Path) -> None:
    settings = {"ALERTAGENT_DATABASE__URL": f"postgresql://u@{NOBODY}/x"}
    serve = Serve("--data-dir", str(data_dir), environment=settings)
    await serve.spawn()
    await serve.said("database.awaited")
    assert len(running_in(data_dir)) == 1

    serve.send(number)

    assert await serve.ended(within=10) == 0
    assert running_in(data_dir) == []
    assert "Traceback" not in "\n".join(serve.stderr.items)


async def test_a_signal_ends_a_first_start_and_the_next_one_begins_anew(data_dir: Path) -> None:
    serve = Serve.in_(data_dir)
    await serve.spawn()
    await eventually((data_dir / "postgres.new").exists)

    assert await serve.terminate() == 0
    assert running_in(data_dir) == []

    async with serve:
        assert await serve.is_ready()


async def test_an_unreachable_database_is_awaited_visibly_and_then_given_up(redis_url: str) -> None:
    urls = {"ALERTAGENT_DATABASE__URL": f"postgresql://u:canary@{NOBODY}/x", "ALERTAGENT_REDIS__URL": redis_url}

    ended = await run("serve", "--port", "0", environment=urls, within=40)

    assert "gave up after 30 s. Check database.url" in complaint(ended)
    assert ended.stderr.count("database.awaited") >= 10
    assert "canary" not in ended.stderr


async def test_a_taken_port_is_named(database_url: str, redis_url: str) -> None:
    async with Serve.on(database_url, redis_url) as first:
        port = first.address.rpartition(":")[2]
        urls = beside(database_url, redis_url)

        said = complaint(await run("serve", "--port", port, environment=urls))

    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert "address already in use" in said
    assert "--port" in said


async def test_a_start_that_failed_has_not_used_up_the_first_token(data_dir: Path) -> None:
    async with Serve.in_(data_dir / "other") as other:
        taken = other.address.rpartition(":")[2]
        complaint(await run("serve", "--port", taken, "--data-dir", str(data_dir / "own")))

    async with Serve("--data-dir", str(data_dir / "own"), environment={}) as serve:
        await serve.said("Token (shown only now): aa_api_")


async def test_a_data_directory_has_one_serve_and_names_it(data_dir: Path) -> None:
    async with Serve.in_(data_dir) as first:
        said = complaint(await run("serve", "--port", "0", "--data-dir", str(data_dir)))

        assert said.startswith(
            f"the data directory {data_dir} is in use by another AlertAgent (pid {first.process.pid})"
        )
        assert await first.is_ready()


async def test_a_data_directory_of_another_postgresql_is_refused_untouched(data_dir: Path) -> None:
    cluster = data_dir / "postgres"
    cluster.mkdir()
    shutil.chown(cluster, "nobody")
    (cluster / "PG_VERSION").write_text("13\n")

    said = complaint(await run("serve", "--port", "0", "--data-dir", str(data_dir)))

    assert f"{cluster} was written by PostgreSQL 13" in said
    assert "set database.url" in said
    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]
    assert running_in(data_dir) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order_and_its_engines_too(number: signal.Signals, data_dir: Path) -> None:
    async with Serve.in_(data_dir) as serve:
        assert len(running_in(data_dir)) == 2
        began = time.monotonic()

        serve.send(number)
        status = await serve.ended()

    assert status == 0
    assert time.monotonic() - began < 13
    assert running_in(data_dir) == []
    assert "Traceback" not in "\n".join(serve.stderr.items)


async def test_the_first_start_shows_a_token_that_works_and_later_ones_show_none(data_dir: Path) -> None:
    serve = Serve("--data-dir", str(data_dir), environment={})
    async with serve, aiohttp.ClientSession() as session:
        assert await serve.greeted() == serve.address
        shown = await serve.said("Token (shown only now): ")
        token = shown.rpartition(" ")[2]
        assert (await Api(session, serve.address, token).get("/rules")).status == 200

    async with serve, aiohttp.ClientSession() as session:
        await serve.greeted()
        assert (await Api(session, serve.address, token).get("/rules")).status == 200
        assert (await Api(session, serve.address, "guess").get("/rules")).status == 401
    assert "Token" not in "\n".join(serve.stderr.items)


async def test_engines_that_a_kill_left_running_are_taken_over_and_stopped(data_dir: Path) -> None:
    async with Serve.in_(data_dir) as serve:
        engines = running_in(data_dir)
        await serve.kill()
        assert running_in(data_dir) == engines

        await serve.start()

        assert running_in(data_dir) == engines
        assert await serve.terminate() == 0
    assert running_in(data_dir) == []


async def test_api_and_worker_share_the_work_by_their_engines(database_url: str, redis_url: str) -> None:
    urls = beside(database_url, redis_url)
    settings = {**LOOPBACK, **TOKEN, **urls}
    async with (
        Serve("--role", "api", environment=settings) as front,
        Serve("--role", "worker", environment=settings) as back,
        aiohttp.ClientSession() as session,
    ):
        api = Api(session, front.address)
        await api.post("/clusters", {"id": "c1"})
        rule = (await api.post("/rules", {"name": "Up", "expression": "up == 0", "targets": ["c1"]})).data

        async def is_rendered() -> bool:
            return b"alert: Up" in (await api.get("/config/sync?cluster_id=c1&type=prometheus")).body

        await eventually(is_rendered)
        assert (await api.get(f"/rules/{rule['id']}")).data["status"] == "pending"
        assert (await Api(session, back.address).get("/rules")).status in {401, 404}


async def test_migrate_tells_what_is_missing_and_brings_it(empty_database_url: str) -> None:
    settings = {"ALERTAGENT_DATABASE__URL": empty_database_url}

    before = await run("migrate", "--status", environment=settings)
    brought = await run("migrate", environment=settings)
    after = await run("migrate", "--status", environment=settings)

    assert before.stdout.startswith("pending 0001_initial\n")
    assert (before.status, brought.status, after.status) == (1, 0, 0)
    assert brought.stdout.startswith("applied 0001_initial\n")
    assert "pending" not in after.stdout
    assert after.stdout.startswith("applied 0001\n")
    connection = await asyncpg.connect(empty_database_url)
    assert await connection.fetchval("SELECT count(*) FROM alerts") == 0
    await connection.close()


async def test_migrate_without_a_database_names_the_setting() -> None:
    assert "set database.url" in complaint(await run("migrate", "--status"), status=2)


async def test_check_config_shows_where_each_setting_comes_from_but_no_secret(tmp_path: Path) -> None:
    file = written(
        tmp_path / "alertagent.yaml",
        f"server: {{port: 9999}}\nauth: {{admin_token_file: {written(tmp_path / 'token', 'canary-0123456789')}}}\n",
    )
    secret = {"ALERTAGENT_DATABASE__URL": "postgresql://u:canary-0123456789@db/x"}

    shown = await run("check-config", file, "--print", environment=secret)

    assert shown.status == 0
    assert f"server.port: 9999  ({file})" in shown.stdout
    assert re.search(r"^database\.url: \*+  \(environment\)$", shown.stdout, re.MULTILINE)
    assert re.search(r"^auth\.admin_token: \*+ ", shown.stdout, re.MULTILINE)
    assert "canary" not in shown.stdout + shown.stderr


async def test_version_is_one_line() -> None:
    shown = await run("version")

    assert re.fullmatch(r"alertagent \d+\.\d+\.\d+\n", shown.stdout)


async def test_an_unused_port_is_chosen_for_zero(database_url: str, redis_url: str) -> None:
    urls = beside(database_url, redis_url)
    serve = Serve("--port", "0", environment={**TOKEN, **urls})
    await serve.spawn()

    serve.address = await serve.greeted()

    assert await serve.is_ready()
    assert await serve.terminate() == 0
    assert ADMIN_TOKEN not in "\n".join(serve.stderr.items)
