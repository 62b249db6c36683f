"""The API as commands call it, against a server that answers anything at all."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from alertagent.commands.client import Client, CouldNotRun, Refused
from alertagent.kernel.errors import Detail, Problem
from tests.support.serving import serving

ERROR = {
    "error": {
        "type": "validation",
        "code": "rule.expression_invalid",
        "message": "no",
        "details": [{"loc": ["expression"], "message": "here", "line": 1, "column": 5}],
    }
}


@dataclass
class Server:
    """Answers with what it is told to, and keeps what it was asked."""

    address: str = ""
    answers: list[web.Response] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.raw_path, await request.text()))
        self.headers.append(dict(request.headers))
        return self.answers.pop(0) if self.answers else web.json_response({"data": {"a": 1}})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    async with serving(app) as found.address:
        yield found


async def call(server: Server, do: Callable[[Client], Any], token: str | None = "t") -> Any:
    return await asyncio.to_thread(do, Client(server.address + "/", token))


async def test_pieces_of_a_path_cannot_lead_elsewhere_and_absent_parameters_are_left_out(server: Server) -> None:
    found = await call(
        server,
        lambda client: client.get("queues", "../tokens?a", "dead", limit=5, no=None, on=True, filter=["a=b", "c"]),
    )

    assert found == {"a": 1}
    assert server.asked == [("GET", "/api/v1/queues/..%2Ftokens%3Fa/dead?limit=5&on=true&filter=a%3Db&filter=c", "")]
    assert server.headers[0]["Authorization"] == "Bearer t"


async def test_a_body_is_json_or_goes_as_it_is(server: Server) -> None:
    await call(server, lambda client: client.post("rules", body={"name": "北"}), token=None)
    await call(server, lambda client: client.put("rules", "1", body={}))
    raw = await call(
        server,
        lambda client: client.call("POST", ["rules", "import"], body=b"groups: []", content_type="application/yaml"),
    )
    server.answers.append(web.Response(status=204))
    await call(server, lambda client: client.delete("rules", "1"))

    assert json.loads(server.asked[0][2]) == {"name": "北"}
    assert "Authorization" not in server.headers[0]
    assert [headers.get("Content-Type") for headers in server.headers] == [
        "application/json",
        "application/json",
        "application/yaml",
        None,
    ]
    assert (raw.status, raw.json) == (200, {"data": {"a": 1}})
    assert server.asked[2:] == [("POST", "/api/v1/rules/import", "groups: []"), ("DELETE", "/api/v1/rules/1", "")]


async def test_a_list_is_walked_to_its_end_or_its_limit(server: Server) -> None:
    def page(items: list[int], cursor: str | None) -> web.Response:
        return web.json_response({"data": items, "page": {"next_cursor": cursor, "total": None}})

    server.answers = [page([1, 2], "x"), page([3], None), page([1, 2], "x"), page([3], "y")]

    assert await call(server, lambda client: list(client.each("tasks", sort="id"))) == [1, 2, 3]
    assert await call(server, lambda client: list(client.each("tasks", limit=3))) == [1, 2, 3]
    assert [path for _, path, _ in server.asked] == [
        "/api/v1/tasks?sort=id&limit=500",
        "/api/v1/tasks?sort=id&limit=500&cursor=x",
        "/api/v1/tasks?limit=3",
        "/api/v1/tasks?limit=1&cursor=x",
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, Refused) for status in (400, 404, 405, 409, 412, 413, 415)),
        *((status, CouldNotRun) for status in (401, 403, 408, 429, 500, 502, 503)),
    ],
)
async def test_what_the_server_says_is_kept_and_a_refusal_told_from_a_failure(
    server: Server, status: int, kind: type[Problem]
) -> None:
    server.answers.append(web.json_response(ERROR, status=status))

    with pytest.raises(kind, match="no") as found:
        await call(server, lambda client: client.get("rules"))

    assert found.value.code == "rule.expression_invalid"
    assert found.value.details == (Detail(("expression",), "here", 1, 5),)


async def test_without_a_token_it_says_where_one_would_go(server: Server) -> None:
    server.answers.append(web.json_response(ERROR, status=401))

    with pytest.raises(CouldNotRun, match="--token-file, or set ALERTAGENT_TOKEN"):
        await call(server, lambda client: client.get("rules"), token=None)


async def test_the_token_is_not_carried_to_where_a_server_sends_us(server: Server) -> None:
    server.answers.append(web.Response(status=302, headers={"Location": "http://elsewhere.example/"}))

    with pytest.raises(CouldNotRun, match=r"sends us to http://elsewhere\.example/"):
        await call(server, lambda client: client.get("rules"))

    assert len(server.asked) == 1


@pytest.mark.parametrize("body", ["<html>502</html>", "{}", "[]", '{"error": "x"}', '{"error": {"message": "m"}}'])
async def test_an_error_that_is_not_ours_is_said_to_be_somebody_elses(server: Server, body: str) -> None:
    server.answers.append(web.Response(status=502, text=body))

    with pytest.raises(CouldNotRun, match="answered 502 and nothing that AlertAgent says"):
        await call(server, lambda client: client.get("rules"))


async def test_a_success_that_is_not_ours_is_said_to_be_somebody_elses(server: Server) -> None:
    server.answers.append(web.Response(text="<html>welcome</html>"))

    with pytest.raises(CouldNotRun, match="answered 200 and nothing that AlertAgent says"):
        await call(server, lambda client: client.get("rules"))


@pytest.mark.parametrize("server", ["", "alerts:8080", "ftp://h", "http://", "http://h:x", "http://[::1"])
def test_what_is_no_address_is_told_at_once(server: str) -> None:
    with pytest.raises(CouldNotRun, match="is not the address of a server"):
        Client(server)


@pytest.mark.parametrize("token", ["CANARY\nX-Other: 1", "CANARY b", "CANARY 北", "\x7fCANARY"])
def test_what_cannot_be_a_token_is_told_without_repeating_it(token: str) -> None:
    with pytest.raises(CouldNotRun, match="characters that no token has") as found:
        Client("http://127.0.0.1:1", token)

    assert "CANARY" not in found.value.message


def test_a_server_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(CouldNotRun, match=r":1 does not answer: .*refused.*--server or ALERTAGENT_SERVER"):
        Client("http://127.0.0.1:1", "t").get("rules")


async def test_a_server_that_hangs_up_is_one_clear_line() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"nonsense\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(CouldNotRun, match="does not answer"):
            await asyncio.to_thread(Client(f"http://127.0.0.1:{port}").get, "rules")


async def test_a_proxy_is_not_asked_for_this_machine(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert await call(server, lambda client: client.get("rules")) == {"a": 1}
