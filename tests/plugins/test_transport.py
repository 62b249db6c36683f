import asyncio
import contextlib
import functools
import itertools
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Iterable
from datetime import timedelta

import pytest
from aiohttp import web

from alertagent import __version__
from alertagent.kernel.errors import Permanent
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.transport import MAX_BODY, HttpRequest, Transport, Unanswered, Unreachable
from tests.support.names import Names
from tests.support.serving import serving
from tests.support.sink import Answer, Sink

LOOPBACK = AddressGuard(["127.0.0.0/8"])


async def test_a_request_arrives_as_it_was_made(sink: Sink, transport: Transport) -> None:
    url = f"{sink.url}?access_token=t&sign=a%2Bb%3D"
    answer = await transport.send(HttpRequest(method="PUT", url=url, headers={"X-One": "1"}, body=b"\x00body"))

    [received] = sink.requests
    assert (answer.status, answer.body) == (200, b"ok")
    assert (received.method, received.target) == ("PUT", "/hook?access_token=t&sign=a%2Bb%3D")
    assert (received.headers["X-One"], received.body) == ("1", b"\x00body")
    assert received.headers["User-Agent"] == f"AlertAgent/{__version__}"
    assert received.headers["Accept-Encoding"] == "identity"


async def test_each_request_is_a_new_span_of_the_given_trace(sink: Sink) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    async with Transport(LOOPBACK, trace=lambda: trace) as transport:
        await transport.send(HttpRequest(url=sink.url))
        await transport.send(HttpRequest(url=sink.url))

    first, second = (received.headers["traceparent"] for received in sink.requests)
    assert re.fullmatch(r"00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00", first)
    assert len({trace, first, second}) == 3


async def test_without_a_trace_one_begins(sink: Sink) -> None:
    async with Transport(LOOPBACK, trace=lambda: "garbage") as transport:
        await transport.send(HttpRequest(url=sink.url))

    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", sink.requests[0].headers["traceparent"])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_not_followed(status: int, sink: Sink, transport: Transport) -> None:
    sink.answer_next(Answer(status=status, headers={"Location": f"{sink.origin}/elsewhere"}))

    answer = await transport.send(HttpRequest(url=sink.url))

    assert answer.status == status
    assert len(sink.requests) == 1


async def test_no_cookie_is_kept(sink: Sink, transport: Transport) -> None:
    sink.answer_next(Answer(headers={"Set-Cookie": "session=1"}))

    await transport.send(HttpRequest(url=sink.url))
    await transport.send(HttpRequest(url=sink.url))

    assert "Cookie" not in sink.requests[1].headers


async def test_a_proxy_of_the_environment_is_not_used(
    sink: Sink, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert (await transport.send(HttpRequest(url=sink.url))).status == 200


async def test_a_long_answer_is_cut(sink: Sink, transport: Transport) -> None:
    sink.answer_next(Answer(body=b"x" * 10 * MAX_BODY))

    answer = await transport.send(HttpRequest(url=sink.url))

    assert answer.body == b"x" * MAX_BODY


async def test_a_request_may_allow_a_longer_answer(sink: Sink, transport: Transport) -> None:
    for limit, length in ((3 * MAX_BODY + 1, 3 * MAX_BODY + 1), (20 * MAX_BODY, 10 * MAX_BODY), (5, 5)):
        sink.answer_next(Answer(body=b"x" * 10 * MAX_BODY))

        answer = await transport.send(HttpRequest(url=sink.url, answer_limit=limit))

        assert len(answer.body) == length


async def test_headers_of_an_answer_match_in_any_case(sink: Sink, transport: Transport) -> None:
    sink.answer_next(Answer(status=429, headers={"retry-after": "7"}))

    assert (await transport.send(HttpRequest(url=sink.url))).headers["Retry-After"] == "7"


async def test_a_refused_connection_never_reached_anybody(transport: Transport) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        where = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(Unreachable, match="could not be reached: ConnectionRefusedError") as caught:
            await transport.send(HttpRequest(url=f"{where}/CANARY?t=CANARY"))

    assert where in caught.value.message
    assert "CANARY" not in caught.value.message


async def test_an_unknown_name_never_reached_anybody() -> None:
    async with Transport(AddressGuard(resolver=Names())) as transport:
        with pytest.raises(Unreachable, match=r"^https://nowhere\.test does not resolve"):
            await transport.send(HttpRequest(url="https://nowhere.test/CANARY"))


async def test_a_failed_handshake_never_reached_anybody(sink: Sink, transport: Transport) -> None:
    with pytest.raises(Unreachable, match="TLS handshake failed"):
        await transport.send(HttpRequest(url=sink.url.replace("http:", "https:")))

    assert sink.requests == []


async def test_a_connection_that_is_not_accepted_in_time_never_reached_anybody() -> None:
    """A listener whose backlog is full leaves the next connection hanging in its handshake."""
    with socket.socket() as deaf, socket.socket() as one, socket.socket() as two:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for filler in (one, two):
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        async with Transport(LOOPBACK, connect_timeout=timedelta(seconds=0.2)) as transport:
            with pytest.raises(Unreachable, match="did not accept a connection in time"):
                await transport.send(HttpRequest(url=f"http://127.0.0.1:{deaf.getsockname()[1]}/"))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("hang", "did not answer in 0.3 s"), ("hang_up", "broke off"), ("break_off", "broke off")],
)
async def test_a_request_that_was_sent_and_not_answered_may_have_been_received(
    fault: str, reason: str, sink: Sink
) -> None:
    sink.answer_next(Answer(fault=fault))  # type: ignore[arg-type]  # parametrize knows no literals

    async with Transport(LOOPBACK, timeout=timedelta(seconds=0.3)) as transport:
        with pytest.raises(Unanswered, match=re.escape(reason)) as caught:
            await transport.send(HttpRequest(url=f"{sink.url}?t=CANARY"))

    assert len(sink.requests) == 1
    assert "CANARY" not in caught.value.message


async def test_a_malformed_url_is_final(transport: Transport) -> None:
    with pytest.raises(Permanent) as caught:
        await transport.send(HttpRequest(url="http://CANARY:http/"))

    assert caught.value.code == "outgoing.malformed"
    assert "CANARY" not in caught.value.message


def test_a_request_does_not_show_what_may_be_secret() -> None:
    request = HttpRequest(url="http://x/CANARY", headers={"A": "CANARY"}, body=b"CANARY")

    assert "CANARY" not in repr(request)


@contextlib.asynccontextmanager
async def dripping(parts: Iterable[bytes], *, then: Awaitable[object] | None = None) -> AsyncIterator[str]:
    """A server that sends these chunks one by one and, before it ends, waits for `then`; its URL."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        if then is not None:
            await then
        return response

    app = web.Application()
    app.router.add_post("/", drip)
    async with serving(app) as origin:
        yield f"{origin}/"


async def test_a_stream_is_read_as_it_comes(transport: Transport) -> None:
    goes_on = asyncio.Event()
    async with (
        dripping([b"one"], then=goes_on.wait()) as url,
        transport.stream(HttpRequest(url=url), silence=timedelta(seconds=5)) as answer,
    ):
        first = await anext(answer.chunks)
        goes_on.set()
        rest = [chunk async for chunk in answer.chunks]

    assert (answer.status, first, rest) == (200, b"one", [])


async def test_a_stream_that_falls_silent_or_takes_too_long_is_given_up(transport: Transport) -> None:
    for silence, timeout, words in ((0.1, 5, "sent nothing for 0.1 s"), (5, 0.1, "did not answer in 0.1 s")):
        request = functools.partial(HttpRequest, timeout=timedelta(seconds=timeout))
        async with dripping([b"one"], then=asyncio.Event().wait()) as url:
            with pytest.raises(Unanswered, match=words):
                async with transport.stream(request(url=url), silence=timedelta(seconds=silence)) as answer:
                    await answer.read()


async def test_a_stream_without_an_end_is_not_read_for_ever(transport: Transport) -> None:
    async with dripping(itertools.repeat(b"x" * 1000)) as url:
        with pytest.raises(Unanswered, match="more than 5000 bytes"):
            async with transport.stream(HttpRequest(url=url, answer_limit=5000), silence=timedelta(1)) as answer:
                await answer.read(limit=10_000)


async def test_a_stream_is_guarded_and_says_how_it_broke(sink: Sink, transport: Transport) -> None:
    sink.answer_next(Answer(fault="break_off"), Answer(status=302, headers={"Location": "/elsewhere"}))

    with pytest.raises(Unanswered, match="broke off"):
        async with transport.stream(HttpRequest(url=sink.url), silence=timedelta(1)) as answer:
            await answer.read()
    async with transport.stream(HttpRequest(url=sink.url), silence=timedelta(1)) as answer:
        assert answer.status == 302
    with pytest.raises(Permanent, match=r"outgoing\.allow_networks"):
        async with transport.stream(HttpRequest(url="http://192.168.0.1/"), silence=timedelta(1)):
            pass


async def test_what_goes_wrong_with_the_reader_is_not_blamed_on_the_stream(sink: Sink, transport: Transport) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with transport.stream(HttpRequest(url=sink.url), silence=timedelta(1)):
            raise ValueError("mine")


async def test_a_connection_for_something_else_than_http_is_guarded_too(sink: Sink, transport: Transport) -> None:
    connection = await transport.connect("127.0.0.1", sink.port)
    with connection:
        assert connection.getpeername() == ("127.0.0.1", sink.port)

    async with Transport(AddressGuard()) as closed:
        with pytest.raises(Permanent, match=r"127\.0\.0\.1:\d+ leads to an address that is not public"):
            await closed.connect("127.0.0.1", sink.port)


async def test_a_host_that_cannot_be_connected_to_is_unreachable(transport: Transport) -> None:
    async with Sink() as sink:
        port = sink.port

    with pytest.raises(Unreachable, match=f"127.0.0.1:{port} could not be reached"):
        await transport.connect("127.0.0.1", port)
