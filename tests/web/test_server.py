"""Routes as they are served: shapes of answers, conditional requests, HEAD."""

import asyncio

import aiohttp
import pytest

from tests.web.raw import exchange, request
from tests.web.small import SmallApi

NOTES = "/api/v1/notes"


async def test_one_thing_is_data_with_its_tag(client: aiohttp.ClientSession) -> None:
    response = await client.get(f"{NOTES}/n1")

    assert await response.json() == {"data": {"text": "n1", "count": 1}}
    assert (response.headers["ETag"], response.content_type) == ('"3"', "application/json")


async def test_a_list_is_data_and_a_page(client: aiohttp.ClientSession) -> None:
    response = await client.get(f"{NOTES}?words=a")

    expected = {"data": [{"text": "a", "count": 0}], "page": {"next_cursor": "more", "total": None}}
    assert await response.json() == expected


async def test_statuses_and_headers_are_the_declared_ones_unless_the_handler_says_others(
    client: aiohttp.ClientSession,
) -> None:
    added = await client.post(NOTES, json={"text": "a"})
    assert (added.status, added.headers["Location"]) == (201, "/there")
    assert (await client.put(f"{NOTES}/1", json={"text": "a"})).status == 202
    removed = await client.delete(f"{NOTES}/1")
    assert (removed.status, await removed.read()) == (204, b"")


async def test_raw_bytes_go_out_as_they_are(client: aiohttp.ClientSession) -> None:
    response = await client.post("/api/v1/files", data=b"a: 1", headers={"Content-Type": "application/yaml"})

    assert (await response.read(), response.content_type) == (b"a: 1", "application/yaml")
    assert (response.headers["ETag"], response.headers["X-Of-Ours"]) == ('"f"', "1")


@pytest.mark.parametrize(
    ("known", "status"), [('"3"', 304), ('W/"3"', 304), ('"1", "3"', 304), ("*", 304), ('"4"', 200), ("garbage", 200)]
)
async def test_who_has_it_already_gets_a_304(client: aiohttp.ClientSession, known: str, status: int) -> None:
    for method in ("GET", "HEAD"):
        response = await client.request(method, f"{NOTES}/1", headers={"If-None-Match": known})
        assert (response.status, response.headers["ETag"]) == (status, '"3"'), method
        if status == 304:
            assert await response.read() == b""


async def test_a_change_is_never_a_304(client: aiohttp.ClientSession) -> None:
    assert (await client.post(NOTES, json={"text": "a"}, headers={"If-None-Match": '"3"'})).status == 201


async def test_revisions_that_a_change_expects_reach_the_handler(
    client: aiohttp.ClientSession, small: SmallApi
) -> None:
    await client.put(f"{NOTES}/1", json={"text": "a"}, headers={"If-Match": '"3-active", W/"4"'})

    assert small.calls[-1].expected == frozenset({3})


async def test_head_is_get_without_the_body(address: str, small: SmallApi) -> None:
    got = await exchange(address, request("GET", f"{NOTES}/1"))
    head = request("HEAD", f"{NOTES}/1", b"Connection: close")
    reader_answer = await _head(address, head)

    assert b" 200 OK\r\n" in reader_answer
    assert f"Content-Length: {len(got.body)}\r\n".encode() in reader_answer
    assert reader_answer.endswith(b"\r\n\r\n")
    assert small.count == 2


async def _head(address: str, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address.removeprefix("http://").split(":"))
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_encoded_parts_of_a_path_reach_the_handler_decoded(address: str) -> None:
    for sent, got in {
        "a%20b": "a b",
        "%E4%B8%89": "三",
        "a%2Fb": "a/b",
        "%ff": "%ff",
        "a+b": "a+b",
        "%2e%2e": "..",
    }.items():
        answer = await exchange(address, request("GET", f"{NOTES}/{sent}"))
        assert answer.status == 200, sent
        assert got in answer.body.decode(), sent


async def test_what_is_short_has_a_length_and_what_is_not_comes_in_parts(client: aiohttp.ClientSession) -> None:
    short, long = await client.get("/api/v1/streams/short"), await client.get("/api/v1/streams/long")

    assert (await short.json(), short.headers["Content-Length"]) == ([1], "3")
    assert (await long.json(), long.headers["Transfer-Encoding"]) == ([1, 2222222222], "chunked")


async def test_what_fails_before_anything_was_sent_is_an_error_like_any_other(client: aiohttp.ClientSession) -> None:
    response = await client.get("/api/v1/streams/refused")

    assert (response.status, (await response.json())["error"]["message"]) == (503, "no place")


@pytest.mark.parametrize("kind", ["broken", "crashed"])
async def test_an_answer_that_breaks_off_never_looks_complete(client: aiohttp.ClientSession, kind: str) -> None:
    with pytest.raises(aiohttp.ClientError):
        await (await client.get(f"/api/v1/streams/{kind}")).read()

    assert (await client.get("/api/v1/streams/short")).status == 200
