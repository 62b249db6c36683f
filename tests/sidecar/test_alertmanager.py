"""Alertmanager's own word on what it runs, and what is special about governing it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from alertagent.sidecar.alertmanager import Alertmanager
from alertagent.sidecar.model import ErrorClass, Rejected, Undecided
from alertagent.sidecar.site import Site
from tests.sidecar import stands
from tests.sidecar.conftest import Sidecar
from tests.sidecar.stands import Stand, alertmanager_file, bundle, files_of, files_on, stand, tar_of
from tests.sidecar.test_matrix import applied, failed, reload
from tests.support.config_server import ConfigServer
from tests.support.prometheus import free_port, running


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Stand]:
    up = stand("alertmanager", tmp_path)
    async with running(up.target):
        yield up


@pytest.mark.parametrize("prefix", ["", "/behind/a/proxy"])
async def test_it_shows_the_mark_of_the_file_that_it_loaded(
    prefix: str, session: ClientSession, tmp_path: Path
) -> None:
    live = tmp_path / "alertmanager.yml"
    live.write_bytes(alertmanager_file("one"))
    process = stands.Alertmanager(tmp_path, live, prefix=prefix)
    target = Alertmanager(Site(session, process.reload_url))
    async with running(process):
        assert await target.running() == {target.mark_of(alertmanager_file("one"))}
        assert await target.version() == "0.25.0"
        for number in range(5):
            live.write_bytes(alertmanager_file("one", str(number)))
            await target.reload()
            assert await target.running() == {target.mark_of(live.read_bytes())}


async def test_it_refuses_with_its_reason_and_shows_nothing_until_a_reload_succeeds(
    session: ClientSession, up: Stand
) -> None:
    target = Alertmanager(Site(session, up.target.reload_url))
    good = up.live.read_bytes()
    up.live.write_bytes(good + b"nonsense: 1\n")
    with pytest.raises(Rejected, match="field nonsense not found") as caught:
        await target.reload()
    assert caught.value.error_class is ErrorClass.REFUSED
    assert await target.running() == frozenset()
    up.live.write_bytes(good)
    await target.reload()

    assert await target.running() == {target.mark_of(good)}


@pytest.mark.parametrize("page", ["", "alertmanager_config_hash 1\n", "alertmanager_config_hash x\n", "<html>"])
async def test_metrics_of_something_else_are_the_wrong_address(page: str, session: ClientSession) -> None:
    async with showing(page) as url:
        with pytest.raises(Undecided) as caught:
            await Alertmanager(Site(session, f"{url}/-/reload")).running()
    assert caught.value.error_class is ErrorClass.MISDIRECTED


@pytest.mark.parametrize("templates", [False, True])
async def test_plain_yaml_and_bundles_are_taken_in_turn(
    templates: bool, server: ConfigServer, up: Stand, sidecar: Sidecar
) -> None:
    plain = alertmanager_file("Plain")
    first, second = (bundle("First"), plain) if templates else (plain, bundle("First"))
    await server.offer(first)
    async with sidecar(up):
        await server.reported(applied(first))
        await server.offer(second)
        await server.reported(applied(second))
        assert up.is_on_disk(second)


async def test_new_templates_alone_are_a_change(server: ConfigServer, up: Stand, sidecar: Sidecar) -> None:
    one, two = (bundle("First", template=b'{{ define "t" }}%d{{ end }}' % number) for number in range(2))
    await server.offer(one)
    async with sidecar(up):
        await server.reported(applied(one))
        await server.offer(two)
        await server.reported(applied(two))

        assert up.is_on_disk(two)


@pytest.mark.parametrize("damage", ["edit", "unlink", "add", "directory", "link"])
async def test_templates_that_somebody_changed_are_restored_and_reported(
    damage: str, server: ConfigServer, up: Stand, sidecar: Sidecar
) -> None:
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
        template = next(up.live.parent.glob("alertagent-templates/*/title.tmpl"))
        inflict(damage, template)
        await reload(up)
        await server.reported(lambda report: report["error_class"] == "drift")

        assert up.is_on_disk(up.good)
        assert not template.is_symlink()


async def test_templates_that_do_not_come_with_it_keep_a_configuration_out(
    server: ConfigServer, up: Stand, sidecar: Sidecar
) -> None:
    files = files_of(up.better)
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
        await server.offer(tar_of({"alertmanager.yml": files[""]}))
        report = await server.reported(failed("check"))

        assert "did not come with it" in report["error_message"]
        assert up.is_on_disk(up.good)


async def test_a_hostile_bundle_touches_nothing(server: ConfigServer, up: Stand, sidecar: Sidecar) -> None:
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
        await server.offer(tar_of({"alertmanager.yml": alertmanager_file("First"), "../escaped": b"x"}))
        report = await server.reported(failed("integrity"))

        assert "no place for a template" in report["error_message"]
        assert up.is_on_disk(up.good)
        assert not (up.live.parent.parent / "escaped").exists()


async def test_a_file_that_alertmanager_does_not_look_at_is_not_applied(
    server: ConfigServer, up: Stand, sidecar: Sidecar, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    elsewhere = replace(up, live=tmp_path / "elsewhere" / "alertmanager.yml")
    await server.offer(up.good)
    async with sidecar(elsewhere):
        report = await server.reported(failed("not_applied"))

        assert files_on(elsewhere.live) == {}
        assert report["applied_hash"] is None


async def test_the_operators_own_templates_are_left_alone(server: ConfigServer, up: Stand, sidecar: Sidecar) -> None:
    mine = up.live.parent / "alertagent-templates" / "mine"
    mine.mkdir(parents=True)
    (mine / "x.tmpl").write_bytes(b"x")
    await server.offer(up.good)
    async with sidecar(up):
        await server.reported(applied(up.good))
        await server.offer(up.better)
        await server.reported(applied(up.better))

    assert (mine / "x.tmpl").read_bytes() == b"x"


async def test_something_in_the_way_of_the_templates_is_named(
    server: ConfigServer, up: Stand, sidecar: Sidecar, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    (up.live.parent / "alertagent-templates").symlink_to(tmp_path / "theirs")
    before = up.live.read_bytes()
    await server.offer(up.good)
    async with sidecar(up):
        report = await server.reported(failed("io"))

    assert "alertagent-templates is in the way" in report["error_message"]
    assert list((tmp_path / "theirs").iterdir()) == []
    assert up.live.read_bytes() == before


def inflict(damage: str, template: Path) -> None:
    match damage:
        case "edit":
            template.write_bytes(b"mine")
        case "unlink":
            template.unlink()
        case "add":
            template.with_name("more.tmpl").write_bytes(b"mine")
        case "directory":
            template.with_name("more").mkdir()
        case "link":
            elsewhere = template.parents[2] / "elsewhere.tmpl"
            template.rename(elsewhere)
            elsewhere.write_bytes(b"mine")
            template.symlink_to(elsewhere)


@asynccontextmanager
async def showing(page: str) -> AsyncIterator[str]:
    """A server that answers everything with this page."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(text=page)

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
