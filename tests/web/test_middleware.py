"""What surrounds every request: errors, authentication, identity, security headers, metrics, one log line."""

import asyncio
import gc
import weakref
from base64 import b64encode

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from alertagent.kernel import errors
from alertagent.kernel.errors import Invalid, Problem
from tests.web.raw import exchange, request
from tests.web.small import SmallApi
from tests.web.test_errors import CONTRACT

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NOTES = "/api/v1/notes"
FOREIGN = "/api/v2/notes"
BEARER = 'Bearer realm="alertagent"'


@pytest.mark.parametrize(("kind", "status"), CONTRACT.items(), ids=lambda value: getattr(value, "__name__", value))
async def test_whatever_a_handler_raises_becomes_its_status(
    client: aiohttp.ClientSession, small: SmallApi, kind: type[Problem], status: int
) -> None:
    small.problem = kind("what and why", code="a.code")

    with capture_logs():
        response = await client.get(f"{NOTES}/1")

    content = await response.json()
    assert response.status == status
    assert content["error"] == {"type": kind.type, "code": "a.code", "message": "what and why", "details": []}
    assert content["path"] == f"{NOTES}/1"
    assert content["request_id"] == response.headers["X-Request-ID"]
    assert ("Retry-After" in response.headers) is (status in {429, 503})


async def test_a_defect_is_a_500_that_says_nothing_and_a_log_entry_that_says_all(
    client: aiohttp.ClientSession, small: SmallApi
) -> None:
    small.problem = KeyError("CANARY")

    with capture_logs() as logs:
        response = await client.get(f"{NOTES}/1")

    text = await response.text()
    assert response.status == 500
    assert "CANARY" not in text
    assert "KeyError" not in text
    crash = next(entry for entry in logs if entry["event"] == "request.crashed")
    assert (crash["error"], crash["exc_info"]) == ("KeyError", True)
    assert not any("CANARY" in str(entry) for entry in logs)


async def test_what_was_raised_does_not_outlive_its_answer(client: aiohttp.ClientSession, small: SmallApi) -> None:
    """The body of the request hangs on its traceback."""
    small.problem = Invalid("no")
    raised = weakref.ref(small.problem)
    gc.collect()
    gc.disable()
    try:
        assert (await client.post("/api/v1/notes", json={"text": "a"})).status == 400
        small.problem = None
        assert raised() is None
    finally:
        gc.enable()


async def test_an_unknown_route_and_a_wrong_method_are_told_in_the_envelope(client: aiohttp.ClientSession) -> None:
    unknown = await client.get("/api/v1/nothing")
    assert (unknown.status, (await unknown.json())["error"]["code"]) == (404, "route.not_found")

    wrong = await client.patch(NOTES)
    assert (wrong.status, wrong.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert (await wrong.json())["error"]["type"] == "method_not_allowed"

    options = await client.options(f"{NOTES}/1")
    assert (options.status, options.headers["Allow"]) == (405, "DELETE, GET, HEAD, PUT")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        (b"", 401),
        (b"Bearer", 401),
        (b"Bearer ", 401),
        (b"Basic YW5uOmFubg==", 401),
        (b"Token ann", 401),
        (b"ann", 401),
        (b"Bearer stranger", 401),
        (b"Bearer ann eve", 401),
        (b"Bearer \xff\xfe", 401),
        ("Bearer é".encode(), 401),
        (b"Bearer ann", 200),
        (b"bearer ann", 200),
        (b"BEARER   ann ", 200),
        (b"Bearer down", 503),
    ],
)
async def test_only_a_bearer_token_that_somebody_holds_opens_the_api(
    address: str, authorization: bytes | None, status: int
) -> None:
    headers = [] if authorization is None else [b"Authorization: " + authorization]

    with capture_logs():
        answer = await exchange(address, request("GET", NOTES, *headers, token=b""))

    assert answer.status == status
    assert ("www-authenticate" in answer.headers) is (status == 401)


@pytest.mark.parametrize(
    ("credential", "status"),
    [
        (b64encode(b"anybody:ann"), 200),
        (b64encode(b":ann"), 200),
        (b64encode(b"ann:"), 401),
        (b64encode(b"ann"), 401),
        (b64encode(b"anybody:stranger"), 401),
        (b64encode(b"anybody:ann:ann"), 401),
        (b64encode(b"anybody:\xff"), 401),
        (b"", 401),
        (b"YW5uOmFub", 401),
        (b"%%%%", 401),
        (b"\xff\xfe", 401),
    ],
)
async def test_a_foreign_route_takes_a_token_as_a_password(address: str, credential: bytes, status: int) -> None:
    with capture_logs():
        answer = await exchange(address, request("GET", FOREIGN, b"Authorization: Basic " + credential, token=b""))

    assert answer.status == status
    assert answer.headers.get("www-authenticate") == (BEARER if status == 401 else None)


async def test_other_routes_take_no_password(address: str) -> None:
    header = b"Authorization: Basic " + b64encode(b"anybody:ann")

    assert (await exchange(address, request("GET", NOTES, header, token=b""))).status == 401
    assert (await exchange(address, request("GET", "/api/v2/nothing", header, token=b""))).status == 401


async def test_a_foreign_route_says_what_was_wrong_and_no_more(client: aiohttp.ClientSession, small: SmallApi) -> None:
    mistaken = await client.get(f"{FOREIGN}?size=many")
    small.problem = errors.Invalid("not so")
    refused = await client.get(FOREIGN)
    small.problem = errors.Unavailable("away")
    with capture_logs():
        away = await client.get(FOREIGN)

    assert (mistaken.status, "size" in await mistaken.json()) == (400, True)
    assert (refused.status, await refused.json()) == (400, "not so")
    assert (away.status, (await away.json())["error"]["message"]) == (503, "away")


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1/nothing", NOTES, "/api/%76%31/notes", "//api/v1/notes"])
async def test_authentication_comes_before_routing(address: str, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "TRACE"):
        answer = await exchange(address, request(method, path, token=b""))
        assert answer.status == (404 if path.startswith("//") else 401), method


async def test_the_public_needs_no_token_and_is_not_asked_for_one(address: str, small: SmallApi) -> None:
    assert (await exchange(address, request("GET", "/open", token=b""))).body == b"open"
    assert (await exchange(address, request("GET", "/open", token=b"stranger"))).status == 200
    assert small.calls[-1].principal.id == "anonymous"


async def test_a_viewer_may_look_and_not_touch(client: aiohttp.ClientSession, small: SmallApi) -> None:
    eve = {"Authorization": "Bearer eve"}

    assert (await client.get(NOTES, headers=eve)).status == 200
    refused = await client.post(NOTES, json={"text": "a"}, headers=eve)

    assert (await refused.json())["error"]["message"] == "eve may not POST /api/v1/notes"
    assert (refused.status, small.count) == (403, 1)


async def test_request_id_and_trace_are_taken_carried_and_echoed(
    client: aiohttp.ClientSession, small: SmallApi
) -> None:
    response = await client.get(NOTES, headers={"X-Request-ID": "mine-1", "traceparent": TRACE})

    assert (response.headers["X-Request-ID"], response.headers["traceparent"]) == ("mine-1", TRACE)
    assert (small.calls[0].request_id, small.calls[0].trace) == ("mine-1", TRACE)
    assert (small.calls[0].principal.id, small.calls[0].remote) == ("ann", "127.0.0.1")


async def test_a_made_up_request_id_cannot_write_into_headers_or_logs(address: str) -> None:
    with capture_logs() as logs:
        answer = await exchange(address, request("GET", NOTES, b"X-Request-ID: \x1b[31m\xff", token=b"ann"))

    assert answer.status in {200, 400}
    assert not any("\x1b" in str(entry) for entry in logs)


@pytest.mark.parametrize("path", ["/open", NOTES, "/api/v1/nothing", "/nothing"])
async def test_every_answer_has_the_security_headers_and_no_version(client: aiohttp.ClientSession, path: str) -> None:
    for method in ("GET", "POST", "HEAD"):
        headers = (await client.request(method, path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'self'; frame-ancestors 'none'"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Server"] == "AlertAgent"
        assert "Access-Control-Allow-Origin" not in headers


async def test_no_sender_can_grow_the_metrics(address: str, registry: CollectorRegistry) -> None:
    async with aiohttp.ClientSession(address, headers={"Authorization": "Bearer ann"}) as client:
        await client.get("/x/0")
        await client.get(f"{NOTES}/0")
        await client.patch(NOTES)
        before = len(generate_latest(registry).splitlines())
        for number in range(1000):
            await client.get(f"/x/{number}", params={f"p{number}": "1"})
            await client.get(f"{NOTES}/{number}")
        for method in ("PROPFIND", "REPORT", "LOCK", "MKCOL"):
            await client.request(method, NOTES)
            await client.request(method, f"/x/{method}")

    text = generate_latest(registry).decode()
    assert len(text.splitlines()) == before
    assert 'route="/api/v1/notes/{id}"' in text


async def test_each_request_is_one_log_line_with_its_template(client: aiohttp.ClientSession) -> None:
    with capture_logs() as logs:
        await client.post(f"{NOTES}?secret=CANARY", json={"text": "CANARY"}, headers={"X-Request-ID": "r1"})
        await client.delete(f"{NOTES}/1")
        await client.get(f"{NOTES}/1")

    lines = [(entry["method"], entry["route"], entry["status"], entry["log_level"], entry["actor"]) for entry in logs]
    assert lines == [
        ("POST", NOTES, 400, "info", "ann"),
        ("DELETE", f"{NOTES}/{{id}}", 204, "info", "ann"),
        ("GET", f"{NOTES}/{{id}}", 200, "debug", "ann"),
    ]
    assert "CANARY" not in str(logs)


async def test_what_fails_on_our_side_is_logged_as_a_warning(client: aiohttp.ClientSession, small: SmallApi) -> None:
    small.problem = errors.Unavailable("away")

    with capture_logs() as logs:
        await client.get(f"{NOTES}/1")

    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("request.served", "warning")]


async def test_a_client_that_goes_away_does_not_stop_the_work(
    address: str, client: aiohttp.ClientSession, small: SmallApi
) -> None:
    small.gate.clear()
    _, writer = await asyncio.open_connection(*address.removeprefix("http://").split(":"))
    writer.write(request("DELETE", f"{NOTES}/1"))
    await small.entered.wait()
    writer.close()
    await writer.wait_closed()

    with capture_logs() as logs:
        small.gate.set()
        assert (await client.get("/open")).status == 200

    assert [entry["status"] for entry in logs if entry.get("method") == "DELETE"] == [204]
