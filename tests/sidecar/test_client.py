"""What the sidecar makes of the server's answers, and how it keeps the server told."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from alertagent.kernel.clock import SystemClock
from alertagent.kernel.errors import Fatal
from alertagent.sidecar import client
from alertagent.sidecar.client import Server
from alertagent.sidecar.model import Away, Discarded, Identity, Report
from alertagent.sidecar.reporter import Reporter
from alertagent.sidecar.token import Token
from tests.support.config_server import TOKEN, ConfigServer, answer, rule_file, sha256
from tests.support.prometheus import free_port

IDENTITY = Identity(cluster_id="c1", config_type="prometheus", instance="i1")
REPORT = Report(
    config_hash="d",
    applied_hash="d",
    rejected_hash=None,
    succeeded=True,
    error_class=None,
    error_message=None,
    checker="promtool",
    target_version=None,
    duration=timedelta(),
)
NO_WAIT = timedelta()


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
def asked(session: ClientSession, server: ConfigServer) -> Server:
    return Server(session, server.url, IDENTITY, token=Token(TOKEN))


def answering(status: int, *, headers: dict[str, str] | None = None, body: Any = None) -> Any:
    async def lie(_: web.Request, __: bytes) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return lie


async def test_a_configuration_is_fetched_whole(asked: Server) -> None:
    offer = await asked.fetch(known=None, wait=NO_WAIT)

    assert offer is not None
    assert (offer.hash, offer.content.main) == (sha256(rule_file("First")), rule_file("First"))


async def test_a_compressed_configuration_is_verified_as_it_was_before(server: ConfigServer, asked: Server) -> None:
    async def compressed(request: web.Request, body: bytes) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "gzip"
        response = answer(body)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    server.lie = compressed
    offer = await asked.fetch(known=None, wait=NO_WAIT)

    assert offer is not None
    assert offer.content.main == server.body


async def test_the_known_configuration_is_not_sent_again(server: ConfigServer, asked: Server) -> None:
    assert await asked.fetch(known=sha256(server.body), wait=timedelta(seconds=1)) is None


@pytest.mark.parametrize(
    ("status", "words"), [(401, "token"), (403, "token"), (404, "cluster"), (409, "refuses"), (503, "refuses")]
)
async def test_a_refusal_comes_with_the_servers_own_words(
    status: int, words: str, server: ConfigServer, asked: Server
) -> None:
    server.lie = answering(status, body={"error": {"message": "because of this"}})

    with pytest.raises(Away, match=f"{words}.*HTTP {status}.*because of this"):
        await asked.fetch(known=None, wait=NO_WAIT)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("999999", 60), ("Wed, 21 Oct 2026 07:28:00 GMT", None)])
async def test_retry_after_is_passed_on(header: str, seconds: int | None, server: ConfigServer, asked: Server) -> None:
    server.lie = answering(503, headers={"Retry-After": header})

    with pytest.raises(Away) as caught:
        await asked.fetch(known=None, wait=NO_WAIT)
    assert caught.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))


async def test_a_redirect_is_not_followed_so_the_token_stays_here(server: ConfigServer, asked: Server) -> None:
    server.lie = answering(302, headers={"Location": f"http://127.0.0.1:{free_port()}/"})

    with pytest.raises(Away, match="redirects"):
        await asked.fetch(known=None, wait=NO_WAIT)
    assert len(server.polls) == 1


async def test_a_server_that_is_not_there_is_away(session: ClientSession) -> None:
    nobody = Server(session, f"http://127.0.0.1:{free_port()}", IDENTITY, token=Token(TOKEN))

    with pytest.raises(Away, match="not reachable"):
        await nobody.fetch(known=None, wait=NO_WAIT)


async def test_a_server_that_accepts_and_is_silent_is_given_up(
    server: ConfigServer, asked: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "POLL_SLACK", timedelta(seconds=-1.8))

    with pytest.raises(Away, match=r"no answer in time|[Tt]imeout"):
        await asked.fetch(known=sha256(server.body), wait=timedelta(seconds=2))


async def test_a_body_over_the_cap_is_cut_off(
    server: ConfigServer, asked: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_BODY", 16)

    with pytest.raises(Discarded, match="larger"):
        await asked.fetch(known=None, wait=NO_WAIT)


@pytest.mark.parametrize("endpoint", ["alertagent:9000", "ftp://host", "http://", "http://host:port"])
async def test_an_endpoint_that_cannot_work_is_refused_at_once(endpoint: str, session: ClientSession) -> None:
    with pytest.raises(Fatal, match="endpoint"):
        Server(session, endpoint, IDENTITY, token=Token(None))


async def test_an_endpoint_may_have_a_path(session: ClientSession, server: ConfigServer) -> None:
    behind = Server(session, f"{server.url}/alerting/", IDENTITY, token=Token(TOKEN))

    with pytest.raises(Away, match="HTTP 404"):
        await behind.fetch(known=None, wait=NO_WAIT)


async def test_a_report_is_accepted(server: ConfigServer, asked: Server) -> None:
    await asked.report(REPORT, datetime.now(UTC))

    assert server.reports[0]["instance"] == "i1"


async def test_what_did_not_change_is_told_as_a_heartbeat_only(server: ConfigServer, asked: Server) -> None:
    reporter = Reporter(asked, SystemClock())
    assert await reporter.tell(REPORT)
    assert await reporter.tell(REPORT)

    assert len(server.reports) == 1
    impatient = Reporter(asked, SystemClock(), heartbeat=timedelta())
    await impatient.tell(REPORT)
    await impatient.tell(REPORT)
    assert len(server.reports) == 3


async def test_what_was_not_delivered_is_told_again(server: ConfigServer, asked: Server) -> None:
    reporter = Reporter(asked, SystemClock())
    server.refuses_reports = True
    assert not await reporter.tell(REPORT)
    server.refuses_reports = False
    assert await reporter.tell(REPORT)

    assert len(server.reports) == 1


async def test_an_error_that_is_nested_for_ever_is_only_an_error(server: ConfigServer, asked: Server) -> None:
    async def lie(_: web.Request, __: bytes) -> web.StreamResponse:
        return web.Response(status=500, text="[" * 16_000)

    server.lie = lie

    with pytest.raises(Away, match="HTTP 500"):
        await asked.fetch(known=None, wait=NO_WAIT)


async def test_a_token_that_its_file_has_changed_meanwhile_is_the_one_that_counts(
    session: ClientSession, server: ConfigServer, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    asked = Server(session, server.url, IDENTITY, token=Token("revoked", file))

    with pytest.raises(Away, match="token"):
        await asked.fetch(known=None, wait=NO_WAIT)
    file.write_text(f"{TOKEN}\n")
    assert await asked.fetch(known=None, wait=NO_WAIT)
    for spoilt in ("", "two\nlines", "käse"):
        file.write_text(spoilt)
        assert await asked.fetch(known=None, wait=NO_WAIT)
    file.unlink()
    assert await asked.fetch(known=None, wait=NO_WAIT)


@pytest.mark.parametrize("text", ["two\nlines", "käse", "nul\0"])
def test_what_no_header_can_hold_is_no_token(text: str) -> None:
    with pytest.raises(Fatal, match="one line"):
        Token(text)


async def test_no_message_holds_the_token(
    session: ClientSession, server: ConfigServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "a-token-that-is-not-known"
    stranger = Server(session, server.url, IDENTITY, token=Token(secret))

    with pytest.raises(Away) as caught:
        await stranger.fetch(known=None, wait=NO_WAIT)
    await Reporter(stranger, SystemClock()).tell(REPORT)

    assert secret not in caught.value.message + caplog.text + capsys.readouterr().out
