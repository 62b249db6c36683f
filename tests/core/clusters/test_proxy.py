"""Queries through a cluster's query URL: a real Prometheus, and a server that misbehaves."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from alertagent.core.clusters import proxy
from tests.support.prometheus import Prometheus, running
from tests.support.service import Api
from tests.support.serving import serving


class Upstream:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answer: Any = lambda: web.json_response({"status": "success", "data": {"resultType": "vector"}})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        assert request.query == {"tenant": "secret"}
        self.asked.append((request.path, {name: str(value) for name, value in form.items()}))
        response: web.StreamResponse = self.answer()
        return response


@pytest.fixture
async def upstream(api: Api) -> AsyncIterator[Upstream]:
    upstream, app = Upstream(), web.Application()
    app.router.add_route("*", "/{path:.*}", upstream.handle)
    async with serving(app) as origin:
        await api.post("/clusters", {"id": "c1", "query_url": f"{origin}/prometheus/?tenant=secret"})
        yield upstream


RANGE = {"query": "up", "start": "1", "end": "2026-11-22T12:00:00Z", "step": "30s"}


async def test_the_question_goes_on_and_the_answer_comes_back_as_it_is(api: Api, upstream: Upstream) -> None:
    instant = await api.get("/clusters/c1/query", params={"query": "up", "time": "17", "limit": "3", "timeout": "5s"})
    ranged = await api.get("/clusters/c1/query_range", params=RANGE)

    assert (instant.status, ranged.status) == (200, 200)
    assert instant.json == {"status": "success", "data": {"resultType": "vector"}}
    assert upstream.asked == [
        ("/prometheus/api/v1/query", {"query": "up", "time": "17", "limit": "3", "timeout": "5s"}),
        ("/prometheus/api/v1/query_range", {**RANGE, "timeout": "30s"}),
    ]


async def test_a_real_prometheus_answers_and_explains_its_refusals(api: Api, tmp_path: Any) -> None:
    async with running(Prometheus(tmp_path)) as prometheus:
        await api.post("/clusters", {"id": "c1", "query_url": prometheus.url})

        fine = await api.get("/clusters/c1/query", params={"query": "vector(1) + 1"})
        broken = await api.get("/clusters/c1/query", params={"query": "up ==="})
        backwards = await api.get("/clusters/c1/query_range", params={**RANGE, "start": "9", "end": "1", "step": "1"})

    assert (fine.data["resultType"], fine.data["result"][0]["value"][1]) == ("vector", "2")
    assert (broken.status, broken.error["code"]) == (400, "query.refused")
    assert "parse error" in broken.error["message"]
    assert (backwards.status, "end timestamp" in backwards.error["message"]) == (400, True)


MISBEHAVIOUR: dict[str, tuple[Any, int, str]] = {
    "no JSON": (lambda: web.Response(text="<html>"), 502, "query.failed"),
    "a JSON text": (lambda: web.json_response("success"), 502, "query.failed"),
    "no data": (lambda: web.json_response({"status": "success"}), 502, "query.failed"),
    "another page": (lambda: web.Response(status=404, text="not found"), 502, "query.failed"),
    "a redirect": (lambda: web.Response(status=302, headers={"Location": "http://example.com"}), 502, "query.failed"),
    "a failure": (lambda: web.json_response({"status": "error", "error": "memory"}, status=503), 502, "query.failed"),
    "a refusal": (lambda: web.json_response({"status": "error", "error": "bad"}, status=422), 400, "query.refused"),
    "NaN": (lambda: web.Response(body=b'{"status": "success", "data": NaN}'), 502, "query.failed"),
    "broken UTF-8": (lambda: web.Response(body=b'{"status": "success", "data": "\xff"}'), 502, "query.failed"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "status", "code"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
async def test_what_is_no_answer_of_prometheus_is_told_without_its_address(
    api: Api, upstream: Upstream, answer: Any, status: int, code: str
) -> None:
    upstream.answer = answer

    told = await api.get("/clusters/c1/query", params={"query": "up"})

    assert (told.status, told.error["code"]) == (status, code)
    assert b"secret" not in told.body
    assert b"/prometheus" not in told.body


async def test_an_answer_that_is_too_large_is_refused(
    api: Api, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "LARGEST", 1000)
    upstream.answer = lambda: web.json_response({"status": "success", "data": "x" * 1000})

    told = await api.get("/clusters/c1/query", params={"query": "up"})

    assert (told.status, told.error["code"]) == (400, "query.too_large")


async def test_no_more_than_a_few_run_at_once(api: Api, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "AT_ONCE", 0)

    told = await api.get("/clusters/c1/query", params={"query": "up"})

    assert (told.status, told.error["code"], "Retry-After" in told.headers) == (503, "query.too_many", True)


async def test_a_cluster_without_an_address_or_with_a_dead_one_says_so(api: Api) -> None:
    await api.post("/clusters", {"id": "none"})
    await api.post("/clusters", {"id": "dead", "query_url": "http://127.0.0.1:1"})

    none = await api.get("/clusters/none/query", params={"query": "up"})
    dead = await api.get("/clusters/dead/query", params={"query": "up"})
    unknown = await api.get("/clusters/unknown/query", params={"query": "up"})

    assert (none.status, none.error["code"]) == (409, "cluster.no_query_url")
    assert (dead.status, dead.error["type"]) == (502, "external")
    assert unknown.status == 404


BAD = [
    {},
    {"query": ""},
    {"query": "up", "timeout": "31s"},
    {"query": "up", "timeout": "0s"},
    {"query": "up", "limit": "-1"},
    {"query": "up", "step": "1"},
    {"query": "x" * 8193},
]


@pytest.mark.parametrize("query", BAD)
async def test_a_bad_question_is_not_even_asked(api: Api, upstream: Upstream, query: dict[str, str]) -> None:
    told = await api.get("/clusters/c1/query", params=query)

    assert (told.status, told.error["type"]) == (400, "validation")
    assert upstream.asked == []
