"""What a server may do on the wire: the transport's POSTs against servers that are told every byte and every pause."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from alertagent.kernel.errors import Permanent
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.transport import HttpRequest, HttpResponse, Transport, Unanswered, Unreachable
from alertagent.plugins.wire import MAX_HEAD, endpoint_of
from tests.support.names import Names

BEGIN = b"HTTP/1.1 200 OK\r\n"
CHUNKED = BEGIN + b"Transfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PAUSE = 0.01


class Server:
    """Answers each request by the next of its scripts: pieces that are sent with a pause between; None hangs up.

    `left` is set once the other side has closed a connection, too.
    """

    def __init__(self, *scripts: Sequence[bytes | None]) -> None:
        self._scripts = list(scripts)
        self.requests: list[bytes] = []
        self.connections = 0
        self.closed = 0
        self.left = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self._scripts:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                for piece in self._scripts.pop(0):
                    if piece is None:
                        await self._hang_up(reader, writer)
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(PAUSE)
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.closed += 1
            self.left.set()
            writer.close()

    async def _hang_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say no more, and see the other side go. TLS cannot end one direction alone."""
        if writer.can_write_eof():
            writer.write_eof()
            await reader.read()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve on loopback; yields the URL. Nothing is left open at the end."""
    writers: list[asyncio.StreamWriter] = []
    tasks: list[asyncio.Task[None]] = []

    async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(asyncio.CancelledError):
            task = asyncio.ensure_future(serve(reader, writer))
            tasks.append(task)
            await task

    server = await asyncio.start_server(kept, "127.0.0.1", 0, ssl=context)
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        for writer in writers:
            writer.transport.abort()
        if tasks:
            await asyncio.wait(tasks)
        await asyncio.sleep(PAUSE)  # a transport closes in a later turn of the loop


@asynccontextmanager
async def serving(server: Server, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    async with listening(server.serve, context) as server.url:
        yield server


async def post(transport: Transport, server: Server, body: bytes = b"{}", **fields: object) -> HttpResponse:
    return await transport.send(HttpRequest(url=server.url, body=body, **fields))  # type: ignore[arg-type]


ANSWERS: list[tuple[str, Sequence[bytes | None], tuple[int, bytes]]] = [
    ("in one piece", [OK], (200, b"ok")),
    ("byte by byte", [OK[place : place + 1] for place in range(len(OK))], (200, b"ok")),
    ("without a body", [b"HTTP/1.1 204 No Content\r\n\r\n"], (204, b"")),
    (
        "in chunks",
        [CHUNKED, b"1\r\no\r\n", b"1;x=y\r\nk\r\n", b"0\r\n\r\n"],
        (200, b"ok"),
    ),
    (
        "in chunks with a trailer",
        [CHUNKED + b"2\r\nok\r\n0\r\n", b"Status: 500\r\n\r\n"],
        (200, b"ok"),
    ),
    ("until the connection ends", [b"HTTP/1.1 200 OK\r\n\r\no", b"k", None], (200, b"ok")),
    ("as HTTP/1.0", [b"HTTP/1.0 200 OK\r\n\r\nok", None], (200, b"ok")),
    (
        "after it was said that it comes",
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 P\r\n\r\n", OK],
        (200, b"ok"),
    ),
    (
        "with a redirect",
        [b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"],
        (302, b""),
    ),
]


@pytest.mark.parametrize(("script", "expected"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
async def test_an_answer_is_read_as_it_comes(
    script: Sequence[bytes | None], expected: tuple[int, bytes], transport: Transport
) -> None:
    async with serving(Server(script)) as server:
        answer = await post(transport, server)

    assert (answer.status, answer.body) == expected
    assert "Status" not in answer.headers


BROKEN: list[tuple[str, Sequence[bytes | None]]] = [
    ("nothing", [None]),
    ("half a status line", [b"HTTP/1.1 20", None]),
    ("half of the headers", [b"HTTP/1.1 200 OK\r\nContent-", None]),
    ("half of the body", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", None]),
    ("half of the chunks", [CHUNKED + b"2\r\nok\r\n", None]),
    ("another protocol", [b"SSH-2.0-OpenSSH_9.2\r\n"]),
    ("bytes", [b"\x00\xff\x16\x03\x01"]),
    ("two lengths", [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok"]),
    (
        "a length and chunks",
        [BEGIN + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
    ),
    ("a bad length", [b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"]),
    ("a bad chunk", [CHUNKED + b"xyz\r\n"]),
    ("another protocol from here on", [b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"]),
    ("headers without an end", [b"HTTP/1.1 200 OK\r\n", b"X: " + b"x" * 2 * MAX_HEAD]),
    ("too many headers", [b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * MAX_HEAD]),
]


@pytest.mark.parametrize("script", [row[1] for row in BROKEN], ids=[row[0] for row in BROKEN])
async def test_what_is_no_answer_may_have_been_received(script: Sequence[bytes | None], transport: Transport) -> None:
    async with serving(Server(script, [OK])) as server:
        with pytest.raises(Unanswered, match="broke off"):
            await post(transport, server)
        again = await post(transport, server)

    assert again.status == 200
    assert server.connections == 2
    assert len(server.requests) == 2


async def test_that_a_server_changes_the_protocol_is_no_error_of_ours(
    transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    change = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    async with serving(Server([change])) as server:
        with pytest.raises(Unanswered, match="changes to another protocol"):
            await post(transport, server)

    assert not caplog.records


async def test_an_answer_that_drips_is_not_waited_for_longer_than_any_other() -> None:
    drops = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *(b"x" for _ in range(1000))]
    async with (
        serving(Server(drops)) as server,
        Transport(AddressGuard(["127.0.0.0/8"]), timeout=timedelta(seconds=0.3)) as transport,
    ):
        with pytest.raises(Unanswered, match=r"did not answer in 0\.3 s"):
            await post(transport, server)


async def test_a_connection_is_kept_for_the_next_request(transport: Transport) -> None:
    async with serving(Server([OK], [OK], [OK])) as server:
        for _ in range(3):
            await post(transport, server)

    assert server.connections == 1


CLOSING = {
    "asks for it": [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"],
    "speaks HTTP/1.0": [b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    "says more than one answer": [OK + OK],
    "says something unasked": [OK, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"],
    "hangs up": [OK, None],
}


@pytest.mark.parametrize("script", CLOSING.values(), ids=CLOSING)
async def test_a_connection_is_not_used_again_when_the_other_side(
    script: Sequence[bytes | None], transport: Transport
) -> None:
    async with serving(Server(script, [OK])) as server:
        first = await post(transport, server)
        async with asyncio.timeout(5):
            await server.left.wait()
        second = await post(transport, server)

    assert [first.status, second.status] == [200, 200]
    assert server.connections == 2


async def test_a_kept_connection_that_breaks_under_a_request_repeats_nothing(transport: Transport) -> None:
    """Nobody can tell whether the other side had read it."""
    async with serving(Server([OK], [None], [OK])) as server:
        await post(transport, server)
        with pytest.raises(Unanswered):
            await post(transport, server)

    assert len(server.requests) == 2


async def test_an_answer_that_was_cut_ends_its_connection(transport: Transport) -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    async with serving(Server([long], [OK])) as server:
        cut = await post(transport, server, answer_limit=10)
        await post(transport, server)

    assert cut.body == b"x" * 10
    assert server.connections == 2


async def test_an_answer_before_the_request_is_read_is_an_answer(transport: Transport) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.Event().wait()

    async with listening(refuse) as url:
        answer = await transport.send(HttpRequest(url=url, body=b"x" * 20_000_000))

    assert answer.status == 413


async def test_requests_at_once_have_a_connection_each(transport: Transport) -> None:
    async with serving(Server(*([OK] for _ in range(20)))) as server:
        answers = await asyncio.gather(*(post(transport, server, str(number).encode()) for number in range(20)))

    assert {answer.body for answer in answers} == {b"ok"}
    assert sorted(int(request.partition(b"\r\n\r\n")[2]) for request in server.requests) == list(range(20))


async def test_a_request_that_is_cancelled_leaves_no_connection_behind(transport: Transport) -> None:
    async with serving(Server([b""], [OK])) as server:
        task = asyncio.create_task(post(transport, server))
        while not server.requests:  # noqa: ASYNC110 - another task of this test
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await post(transport, server)

    assert task.cancelled()
    assert server.connections == 2


async def test_the_end_of_the_transport_closes_what_was_kept() -> None:
    async with serving(Server([OK], [OK])) as server:
        async with Transport(AddressGuard(["127.0.0.0/8"])) as transport:
            await post(transport, server)
        while not server.closed:  # noqa: ASYNC110 - the server notices by itself
            await asyncio.sleep(0)


async def test_the_first_address_that_answers_is_taken() -> None:
    names = Names(both_test=["127.0.0.9", "127.0.0.1"])
    async with serving(Server([OK])) as server, Transport(AddressGuard(["127.0.0.0/8"], resolver=names)) as transport:
        server.url = server.url.replace("127.0.0.1", "both.test")
        answer = await post(transport, server)

    assert answer.status == 200


async def test_a_forbidden_address_beside_an_allowed_one_is_not_connected_to() -> None:
    names = Names(both_test=["127.0.0.1", "127.0.0.2"])
    async with serving(Server([OK])) as server, Transport(AddressGuard(["127.0.0.1/32"], resolver=names)) as transport:
        server.url = server.url.replace("127.0.0.1", "both.test")
        answer = await post(transport, server)

    assert answer.status == 200


@pytest.mark.parametrize("value", ["a\r\nX-Other: 1", "a\nb", "a\x00b", "\ud800"])
async def test_a_header_cannot_become_two(value: str, transport: Transport) -> None:
    async with serving(Server([OK])) as server:
        with pytest.raises(Permanent, match="malformed"):
            await post(transport, server, headers={"X-One": value})

    assert server.requests == []


async def test_a_user_in_the_url_is_sent_as_before(transport: Transport) -> None:
    async with serving(Server([OK])) as server:
        server.url = server.url.replace("http://", "http://me:secret@")
        await post(transport, server)

    assert b"Authorization: Basic bWU6c2VjcmV0" in server.requests[0]


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ssl.SSLContext]:
    """Makes a server with a certificate for this name, by an authority that is trusted."""

    def make(name: str) -> ssl.SSLContext:
        key, file = tmp_path / "key.pem", tmp_path / "cert.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}"]
        subprocess.run(
            [*command, "-addext", f"subjectAltName={name}", "-keyout", key, "-out", file],
            check=True,
            capture_output=True,
        )
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file, key)
        return context

    return make


async def test_a_message_goes_over_tls(certificate: Callable[[str], ssl.SSLContext], transport: Transport) -> None:
    async with serving(Server([OK], [OK]), certificate("IP:127.0.0.1")) as server:
        answers = [await post(transport, server) for _ in range(2)]

    assert [answer.body for answer in answers] == [b"ok", b"ok"]
    assert server.connections == 1


async def test_a_server_by_another_name_is_told_nothing(
    certificate: Callable[[str], ssl.SSLContext], transport: Transport
) -> None:
    async with serving(Server([OK]), certificate("DNS:other.test")) as server:
        with pytest.raises(Unreachable, match="TLS handshake failed"):
            await post(transport, server)

    assert server.requests == []


async def test_a_certificate_that_nobody_vouches_for_is_not_taken(
    certificate: Callable[[str], ssl.SSLContext], transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = certificate("IP:127.0.0.1")
    monkeypatch.delenv("SSL_CERT_FILE")
    async with serving(Server([OK]), context) as server:
        with pytest.raises(Unreachable, match="TLS handshake failed"):
            await post(transport, server)

    assert server.requests == []


async def test_a_handshake_that_never_ends_is_not_waited_for_long() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    guard = AddressGuard(["127.0.0.0/8"])
    async with listening(deaf) as url, Transport(guard, connect_timeout=timedelta(seconds=0.2)) as transport:
        with pytest.raises(Unreachable, match="did not accept a connection in time"):
            await transport.send(HttpRequest(url=url.replace("http:", "https:")))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://robot.example.com/send?token=a%2Bb&sign=c%3D", "/send?token=a%2Bb&sign=c%3D"),
        ("http://robot.example.com?token=a", "/?token=a"),
        ("http://robot.example.com/send?", "/send"),
        ("http://robot.example.com/a?b?c", "/a?b?c"),
        ("http://robot.example.com/a#b?c", "/a"),
        ("http://robot.example.com/a?b#c", "/a?b"),
        ("http://robot.example.com/a?50%", "/a?50%25"),
        ("http://robot.example.com/a?名=值", "/a?%E5%90%8D=%E5%80%BC"),
    ],
)
def test_a_request_asks_for_the_path_and_the_query(url: str, target: str) -> None:
    endpoint = endpoint_of(url)
    assert endpoint is not None
    assert endpoint.target == target


def test_a_url_with_a_query_is_looked_at_like_any_other() -> None:
    with pytest.raises(ValueError, match="must begin with http"):
        endpoint_of("ftp://robot.example.com/send?token=a")
    with pytest.raises(ValueError, match="longer than"):
        endpoint_of(f"http://robot.example.com/{'a' * 2_048}?token=b")
