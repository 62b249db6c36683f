"""Bytes that are no request."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from alertagent.web.protocol import Runner
from alertagent.web.server import application, collect
from tests.web.raw import exchange, request
from tests.web.small import Door, Memory, SmallApi


@pytest.fixture
async def address() -> AsyncIterator[str]:
    app = application(collect([SmallApi()]), authenticator=Door(), replies=Memory(), registry=CollectorRegistry())
    runner = Runner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


UNREADABLE = {
    "a method with a control character": b"G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the path": b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "no slash": b"GET open HTTP/1.1\r\nHost: x\r\n\r\n",
    "a blank in a header's name": b"GET /open HTTP/1.1\r\nHost: x\r\nX A: 1\r\n\r\n",
    "no host": b"GET /open HTTP/1.1\r\n\r\n",
    "two lengths": b"POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a negative length": b"POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a length and chunks": b"POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a very long address": b"GET /open?" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a very long header": b"GET /open HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 9000 + b"\r\n\r\n",
    "very many headers": b"GET /open HTTP/1.1\r\nHost: x\r\n" + b"X-A: 1\r\n" * 500 + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 30 + b"\r\n\r\n",
    "noise": bytes(range(256)) + b"\r\n\r\n",
}


@pytest.mark.parametrize("sent", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_is_no_request_gets_the_envelope_too_and_no_version(address: str, sent: bytes) -> None:
    with capture_logs() as logs:
        answer = await exchange(address, sent)

    assert (answer.status, answer.error["type"], answer.error["code"]) == (400, "validation", "request.unreadable")
    assert answer.headers["server"] == "AlertAgent"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("request.unreadable", "debug")]


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Bearer CANARY\x01",
        b"Authorization: Bearer CANARY\x00",
        b"Authorization: Bearer CANARY\n X",
        b"Authorization: Bearer CANARY'\x01",
        b"Authorization: Bearer " + b"CANARY" * 2000,
        b"Authorization Bearer CANARY",
    ],
)
async def test_of_a_broken_header_neither_the_answer_nor_the_log_repeats_the_token(address: str, line: bytes) -> None:
    with capture_logs() as logs:
        answer = await exchange(address, b"GET /open HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n")

    assert (answer.status, answer.error["code"]) == (400, "request.unreadable")
    assert "CANARY" not in f"{answer.error} {logs}"


async def test_a_broken_header_is_named(address: str) -> None:
    answer = await exchange(address, b"GET /open HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\x01\r\n\r\n")

    assert answer.error["message"] == "this is not a request: Invalid header value char, in the header Authorization"


@pytest.mark.parametrize("path", ["/open", "/nothing"])
@pytest.mark.parametrize("expectation", [b"unicorns", b"\xff"])
async def test_an_expectation_that_nobody_knows_gets_the_envelope_too(
    address: str, path: str, expectation: bytes
) -> None:
    answer = await exchange(address, request("GET", path, b"Expect: " + expectation))

    assert (answer.status, answer.error["code"]) == (400, "request.expectation")
    assert answer.error["message"] == "of the header Expect only 100-continue is understood"
    assert answer.headers["server"] == "AlertAgent"


async def test_the_next_connection_is_served(address: str) -> None:
    for sent in UNREADABLE.values():
        await exchange(address, sent)

    assert (await exchange(address, request("GET", "/open"))).body == b"open"
