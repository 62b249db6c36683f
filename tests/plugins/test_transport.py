import re
import socket
from datetime import timedelta

import pytest

from alertagent import __version__
from alertagent.kernel.errors import Permanent
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.transport import MAX_BODY, HttpRequest, Transport, Unanswered, Unreachable
from tests.support.names import Names
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
