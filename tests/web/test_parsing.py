"""Bodies and queries, and the ways in which they can be wrong on the wire."""

import asyncio
import gzip
import resource
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from structlog.testing import capture_logs

from alertagent.web import room
from tests.web.raw import exchange, request
from tests.web.small import SmallApi

NOTES = "/api/v1/notes"
GOOD = b'{"text": "a"}'
JSON = b"Content-Type: application/json"


def packed(body: bytes) -> bytes:
    """The same on every call, as the names of tests made from it must be."""
    return gzip.compress(body, mtime=0)


async def post(client: aiohttp.ClientSession, body: bytes, **headers: str) -> aiohttp.ClientResponse:
    given = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await client.post(NOTES, data=body, headers=given)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (GOOD, "identity"),
        (packed(GOOD), "gzip"),
        (packed(GOOD), "GZIP"),
        (zlib.compress(GOOD), "deflate"),
        (packed(GOOD + b" " * 1_000_000), "gzip"),
    ],
)
async def test_a_compressed_body_is_read(client: aiohttp.ClientSession, body: bytes, encoding: str) -> None:
    response = await post(client, body, Content_Encoding=encoding)

    assert response.status == 201, await response.text()


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (GOOD, "gzip", 400, "request.body_unreadable"),
        (GOOD, "deflate", 400, "request.body_unreadable"),
        (packed(GOOD)[:-1], "gzip", 400, "request.body_unreadable"),
        (packed(GOOD)[:5], "gzip", 400, "request.body_unreadable"),
        (packed(GOOD)[:-8] + bytes(8), "gzip", 400, "request.body_unreadable"),
        (zlib.compress(GOOD)[:-1], "deflate", 400, "request.body_unreadable"),
        (packed(GOOD) + b"more", "gzip", 400, "request.body_unreadable"),
        (packed(GOOD), "br", 415, "request.unsupported_media"),
        (packed(GOOD), "zstd", 415, "request.unsupported_media"),
        (packed(packed(GOOD)), "gzip, gzip", 415, "request.unsupported_media"),
        (GOOD, "é", 415, "request.unsupported_media"),
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_refused(
    client: aiohttp.ClientSession, body: bytes, encoding: str, status: int, code: str
) -> None:
    response = await post(client, body, Content_Encoding=encoding)

    assert (response.status, (await response.json())["error"]["code"]) == (status, code)
    assert (await client.get("/open")).status == 200


async def test_what_follows_a_compressed_body_is_not_waited_for(address: str) -> None:
    sent = request("POST", NOTES, JSON, b"Content-Encoding: gzip", b"Content-Length: 1000000000") + packed(GOOD)

    answer = await exchange(address, sent + b"more")

    assert (answer.status, answer.error["code"]) == (400, "request.body_unreadable")


@pytest.mark.parametrize("window", [zlib.MAX_WBITS, 16 + zlib.MAX_WBITS])
async def test_a_bomb_is_refused_before_it_goes_off(client: aiohttp.ClientSession, window: int) -> None:
    packer = zlib.compressobj(9, wbits=window)
    bomb = b"".join(packer.compress(b" " * 10_000_000) for _ in range(30)) + packer.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    response = await post(client, bomb, Content_Encoding="gzip" if window > 16 else "deflate")

    assert response.status == 413
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100 * 1024, f"{grown} KiB more, of a bomb of 300 MB"


async def test_the_limit_counts_what_is_sent_to_the_byte(client: aiohttp.ClientSession) -> None:
    fits = GOOD + b" " * (1024 * 1024 - len(GOOD))

    assert (await post(client, fits)).status == 201
    assert (await post(client, packed(fits), Content_Encoding="gzip")).status == 201
    too_large = await client.post(NOTES, data=_in_pieces(fits + b" "), headers={"Content-Type": "application/json"})
    assert (too_large.status, (await too_large.json())["error"]["type"]) == (413, "too_large")


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


async def test_a_body_that_does_not_arrive_is_a_408(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ARRIVAL", timedelta(seconds=0.05))
    for sent in (b"", GOOD[:3]):
        answer = await exchange(address, request("POST", NOTES, JSON, b"Content-Length: 100") + sent)
        assert (answer.status, answer.error["type"]) == (408, "timeout")


async def test_a_sender_that_hangs_up_in_its_body_is_no_defect_of_ours(
    address: str, client: aiohttp.ClientSession, small: SmallApi
) -> None:
    with capture_logs() as logs:
        _, writer = await asyncio.open_connection(*address.removeprefix("http://").split(":"))
        writer.write(request("POST", NOTES, JSON, b"Content-Length: 100") + GOOD[:3])
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(10):
            while not any(entry.get("method") == "POST" for entry in logs):
                assert (await client.get("/open")).status == 200

    assert [(e["event"], e["status"]) for e in logs if e.get("method") == "POST"] == [("request.served", 400)]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("APPLICATION/JSON", 201),
        ("text/json", 415),
        ("application/json-patch+json", 415),
        ("a\u00ff/b", 415),
        ("application/json, text/plain", 415),
    ],
)
async def test_only_json_is_read_as_json(client: aiohttp.ClientSession, content_type: str, status: int) -> None:
    assert (await post(client, GOOD, Content_Type=content_type)).status == status


async def test_bytes_in_the_content_type_are_no_defect_either(address: str) -> None:
    answer = await exchange(address, request("POST", NOTES, b"Content-Type: a\xff/b", b"Content-Length: 2") + b"{}")

    assert answer.status == 415


async def test_a_raw_body_arrives_as_it_was_and_only_in_its_own_type(client: aiohttp.ClientSession) -> None:
    body = b"\x00\xff any: [bytes"
    response = await client.post("/api/v1/files", data=body, headers={"Content-Type": "application/yaml"})
    assert await response.read() == body

    refused = await client.post("/api/v1/files", data=body, headers={"Content-Type": "application/json"})
    assert "send application/yaml" in (await refused.json())["error"]["message"]


@pytest.mark.parametrize("escape", [r"\u0000", r"\\\u0000", r"\\\\\u0000", r"x\u0000y"])
async def test_a_nul_is_refused_however_it_is_escaped(client: aiohttp.ClientSession, escape: str) -> None:
    response = await post(client, f'{{"text": "{escape}"}}'.encode())

    assert (await response.json())["error"]["code"] == "request.nul"


@pytest.mark.parametrize("text", [r"\\u0000", r"\\\\u0000", "u0000", r"\u0001"])
async def test_what_only_looks_like_a_nul_is_taken(client: aiohttp.ClientSession, text: str) -> None:
    assert (await post(client, f'{{"text": "{text}"}}'.encode())).status == 201


async def test_of_a_key_given_twice_the_last_counts(client: aiohttp.ClientSession) -> None:
    response = await post(client, b'{"text": "first", "text": "last"}')

    assert (await response.json())["data"]["text"] == "last"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("wrd=1", 'unknown parameter "wrd". Did you mean "word"?'),
        ("word=1&word=2", 'the parameter "word" stands 2 times'),
        ("words=1&other=2", 'unknown parameter "other".'),
        ("word=%00", '"word" holds the character U+0000'),
        ("x" * 200 + "=1", f'unknown parameter "{"x" * 80}".'),
    ],
)
async def test_a_query_that_is_wrong_is_refused_by_name(address: str, query: str, message: str) -> None:
    answer = await exchange(address, request("GET", f"{NOTES}?{query}"))

    assert (answer.status, answer.error["message"]) == (400, message)


async def test_a_parameter_that_may_repeat_is_a_list(client: aiohttp.ClientSession) -> None:
    response = await client.get(f"{NOTES}?words=a&words=b&words=")

    assert [item["text"] for item in (await response.json())["data"]] == ["a", "b", ""]


async def test_a_foreign_route_takes_what_it_knows_and_of_that_the_last(client: aiohttp.ClientSession) -> None:
    response = await client.get("/api/v2/notes?word=first&other=1&word=last&words=a&words=b")

    assert await response.text() == "last a b"


async def test_a_route_without_parameters_takes_none(client: aiohttp.ClientSession) -> None:
    assert (await client.get(f"{NOTES}/1?word=a")).status == 400
    assert (await client.post(f"{NOTES}?dry_run=true", json={"text": "a"})).status == 400


async def test_a_parameter_goes_by_the_name_that_callers_know(address: str) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer ann"}) as client:
        told = await client.post(f"{address}/api/v1/trials?from=here")
        unknown = await client.post(f"{address}/api/v1/trials?from_=here")

        assert (told.status, (await told.json())["data"]) == (200, {"would": "here"})
        assert (unknown.status, "from_" in await unknown.text()) == (400, True)


async def test_a_header_that_is_no_text_is_refused_as_any_other(address: str) -> None:
    answer = await exchange(address, request("POST", NOTES, b"Content-Encoding: \xff", body=b"{}"))

    assert (answer.status, answer.error["message"][:20]) == (415, 'content encoding "?"')
