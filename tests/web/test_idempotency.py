"""The same reply again, not the same work again."""

import asyncio

import aiohttp
import pytest
from structlog.testing import capture_logs

from alertagent.kernel import errors
from tests.web.small import Memory, SmallApi

NOTES = "/api/v1/notes"


async def add(
    client: aiohttp.ClientSession, text: str = "a", *, key: str = "k", path: str = NOTES, who: str = "ann"
) -> aiohttp.ClientResponse:
    headers = {"Idempotency-Key": key, "Authorization": f"Bearer {who}"}
    response = await client.post(path, json={"text": text}, headers=headers)
    await response.read()
    return response


async def test_a_repeated_request_gets_the_reply_of_the_first(client: aiohttp.ClientSession, small: SmallApi) -> None:
    first, again = await add(client), await add(client)

    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status, await again.read()) == (201, await first.read())
    for name in ("ETag", "Location", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert again.headers["X-Content-Type-Options"] == "nosniff"
    assert small.count == 1


async def test_another_body_with_the_same_key_is_a_conflict(client: aiohttp.ClientSession, small: SmallApi) -> None:
    await add(client, "a")
    other = await add(client, "b")

    assert (other.status, (await other.json())["error"]["code"]) == (409, "request.idempotency_key_reused")
    assert small.count == 1


async def test_keys_of_different_callers_and_places_have_nothing_to_do_with_each_other(
    client: aiohttp.ClientSession, small: SmallApi
) -> None:
    await add(client, "a")
    for different in ({"who": "bob"}, {"key": "K"}):
        assert "Idempotent-Replayed" not in (await add(client, "b", **different)).headers
    assert small.count == 3


async def test_while_the_first_request_runs_a_second_one_is_a_conflict(
    client: aiohttp.ClientSession, small: SmallApi
) -> None:
    small.gate.clear()
    first = asyncio.create_task(add(client))
    await small.entered.wait()

    meanwhile = await add(client)
    assert (await meanwhile.json())["error"]["code"] == "request.idempotency_in_progress"

    small.gate.set()
    assert (await first).status == 201
    assert (await add(client)).headers["Idempotent-Replayed"] == "true"
    assert small.count == 1


async def test_an_answer_with_a_secret_is_never_kept(
    client: aiohttp.ClientSession, small: SmallApi, memory: Memory
) -> None:
    for _ in range(2):
        assert "Idempotent-Replayed" not in (await add(client, path="/api/v1/secrets")).headers

    assert (small.count, memory.kept) == (2, {})


@pytest.mark.parametrize(
    "problem", [errors.Unavailable("x"), errors.External("x"), errors.Conflict("x"), KeyError("x")]
)
async def test_a_key_is_free_again_after_a_failure(
    client: aiohttp.ClientSession, small: SmallApi, memory: Memory, problem: BaseException
) -> None:
    small.problem = problem
    with capture_logs():
        assert (await add(client)).status >= 400
    assert memory.kept == {}

    small.problem = None
    assert (await add(client)).status == 201


async def test_a_body_that_cannot_be_read_claims_no_key(client: aiohttp.ClientSession, memory: Memory) -> None:
    response = await client.post(NOTES, json={"txt": "a"}, headers={"Idempotency-Key": "k"})

    assert (response.status, memory.kept) == (400, {})


async def test_only_post_pays_attention_to_a_key(
    client: aiohttp.ClientSession, small: SmallApi, memory: Memory
) -> None:
    for _ in range(2):
        await client.put(f"{NOTES}/1", json={"text": "a"}, headers={"Idempotency-Key": "k"})
        await client.get(f"{NOTES}/1", headers={"Idempotency-Key": ""})

    assert (small.count, memory.kept) == (4, {})


async def test_what_is_kept_names_neither_the_caller_nor_the_key(client: aiohttp.ClientSession, memory: Memory) -> None:
    await add(client, key="CANARY")

    assert "CANARY" not in str(memory.kept)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "\x85"])
async def test_a_key_that_is_none_is_refused(client: aiohttp.ClientSession, key: str) -> None:
    response = await add(client, key=key)

    assert (response.status, (await response.json())["error"]["code"]) == (400, "request.idempotency_key")
