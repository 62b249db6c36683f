"""Reload and proof, against the real thing where the answer is its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from alertagent.core.configs import marker
from alertagent.kernel.errors import Fatal
from alertagent.sidecar.model import ErrorClass, Rejected, Undecided
from alertagent.sidecar.rule_target import Group, RuleTarget, revisions
from alertagent.sidecar.site import Site
from alertagent.sidecar.targets import KINDS, kind_of, target_for
from tests.support.config_server import rule_file
from tests.support.prometheus import Prometheus, free_port, running


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def test_prometheus_shows_the_marks_of_all_the_files_that_it_loads(
    session: ClientSession, prometheus: Prometheus
) -> None:
    one, two = rule_file("One"), rule_file("Two")
    (prometheus.rules / "one.yml").write_bytes(one)
    (prometheus.rules / "two.yml").write_bytes(two)
    target = RuleTarget(Site(session, prometheus.reload_url))
    assert await target.running() == frozenset()
    await target.reload()

    assert await target.running() == {target.mark_of(one), target.mark_of(two)}


async def test_prometheus_refuses_a_bad_file(session: ClientSession, prometheus: Prometheus) -> None:
    (prometheus.rules / "one.yml").write_bytes(rule_file("One", expr="sum("))

    with pytest.raises(Rejected) as caught:
        await RuleTarget(Site(session, prometheus.reload_url)).reload()
    assert caught.value.error_class is ErrorClass.REFUSED
    assert "its log says what is wrong" in caught.value.message


async def test_prometheus_says_its_version(session: ClientSession, prometheus: Prometheus) -> None:
    assert await RuleTarget(Site(session, prometheus.reload_url)).version() == "2.42.0+ds"


async def test_without_the_lifecycle_api_nothing_was_judged(session: ClientSession, tmp_path: Path) -> None:
    async with running(Prometheus(tmp_path, lifecycle=False)) as prometheus:
        with pytest.raises(Undecided, match=r"--web\.enable-lifecycle") as caught:
            await RuleTarget(Site(session, prometheus.reload_url)).reload()
    assert caught.value.error_class is ErrorClass.FORBIDDEN


async def test_a_target_that_is_down_was_not_asked(session: ClientSession) -> None:
    with pytest.raises(Undecided) as caught:
        await RuleTarget(Site(session, f"http://127.0.0.1:{free_port()}/-/reload")).running()
    assert caught.value.error_class is ErrorClass.UNREACHABLE


@pytest.mark.parametrize(
    ("ready", "reload", "error_class"),
    [
        (503, 200, ErrorClass.UNREACHABLE),
        (200, 503, ErrorClass.UNREACHABLE),
        (200, 404, ErrorClass.MISDIRECTED),
        (200, 302, ErrorClass.MISDIRECTED),
        (200, 401, ErrorClass.MISDIRECTED),
    ],
)
async def test_an_answer_that_is_no_verdict_leaves_it_open(
    ready: int, reload: int, error_class: ErrorClass, session: ClientSession
) -> None:
    async with answering({"/-/ready": ready, "/-/reload": reload}) as url:
        with pytest.raises(Undecided) as caught:
            await RuleTarget(Site(session, f"{url}/-/reload")).reload()
    assert caught.value.error_class is error_class


async def test_a_page_that_is_no_list_of_rules_is_the_wrong_address(session: ClientSession) -> None:
    async with answering({"/api/v1/rules": 200}) as url:
        with pytest.raises(Undecided) as caught:
            await RuleTarget(Site(session, f"{url}/-/reload")).running()
    assert caught.value.error_class is ErrorClass.MISDIRECTED


HUGE = '{"data": {"groups": [{"name": "g", "rules": [{"name": "A", "duration": 1' + "0" * 400 + "}]}]}}"


@pytest.mark.parametrize("page", ["[" * 100_000, '{"data": {"groups": ' + "[" * 100_000, HUGE])
async def test_a_page_that_no_target_would_send_is_the_wrong_address(page: str, session: ClientSession) -> None:
    async with answering({"/api/v1/rules": 200}, page) as url:
        with pytest.raises(Undecided) as caught:
            await RuleTarget(Site(session, f"{url}/-/reload")).running()
    assert caught.value.error_class is ErrorClass.MISDIRECTED


async def test_what_speaks_no_http_is_told_in_one_line_without_the_address(session: ClientSession) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\0\1 220 smtp.example.com\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(Undecided, match="does not speak HTTP") as caught:
            await Site(session, f"http://127.0.0.1:{port}/-/reload?authKey=secret").reload()
        with pytest.raises(Undecided, match="does not speak HTTP") as reload:
            await Site(session, f"http://127.0.0.1:{port}/-/reload").get("-/ready", authKey="secret")

    for message in (caught.value.message, reload.value.message):
        assert "secret" not in message
        assert "\n" not in message


async def test_a_page_that_never_ends_is_left(session: ClientSession) -> None:
    async with answering({"/api/v1/rules": 200}, "x" * (2 << 20)) as url:
        with pytest.raises(Undecided, match=r"more than 1 MiB.*reload URL"):
            await RuleTarget(Site(session, f"{url}/-/reload", max_body=1 << 20)).running()


async def test_a_target_that_does_not_answer_is_given_up(session: ClientSession) -> None:
    async with answering({}) as url:
        target = RuleTarget(Site(session, f"{url}/prefix/-/reload?authKey=secret", timeout=timedelta(seconds=0.2)))
        with pytest.raises(Undecided) as caught:
            await target.running()
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "url", ["http://host:9090", "http://host:9090/reload", "host:9090/-/reload", "http:///-/reload"]
)
async def test_a_reload_url_that_cannot_work_is_refused_at_once(url: str, session: ClientSession) -> None:
    with pytest.raises(Fatal, match="reload URL"):
        target_for(kind_of("prometheus"), session, url)


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Fatal, match="prometheus, vmalert, alertmanager"):
        kind_of("nagios")


def test_the_tools_are_called_as_they_want_to_be() -> None:
    path = Path("/rules.yml")

    assert KINDS["prometheus"].check.on(path) == ["check", "rules", "/rules.yml"]
    assert KINDS["vmalert"].check.on(path) == ["-dryRun", "-rule=/rules.yml"]


def test_only_the_marker_in_its_own_group_counts() -> None:
    rule = {"name": marker.ALERT, "annotations": {"revision": "r1"}}
    listed = [{"name": marker.GROUP, "rules": [rule, {"name": "Other"}]}, {"name": "theirs", "rules": [rule]}]
    groups = [Group.read(group) for group in listed]

    assert revisions(groups[1:]) == frozenset()
    assert revisions(groups) == {"r1"}


@asynccontextmanager
async def answering(statuses: dict[str, int], page: str = "<html></html>") -> AsyncIterator[str]:
    """A server with these statuses at these paths; what is not named is never answered."""

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path not in statuses:
            await asyncio.Event().wait()
        return web.Response(status=statuses[request.path], text=page)

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
