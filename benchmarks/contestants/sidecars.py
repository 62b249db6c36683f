"""Very many sidecars in one process, which speak just enough HTTP. What they find goes to stdout as JSON, a line each.

    python -m benchmarks.contestants.sidecars ask PORT TOKEN ETAG SECONDS     asks again and again on 16 connections
    python -m benchmarks.contestants.sidecars wait PORT TOKEN ETAG COUNT      waits on COUNT connections for a change

`wait` says `{"waiting": COUNT}` when all have asked, and the moments of the first and the last answer when all came.
"""

import asyncio
import json
import resource
import sys
import time
from typing import cast

import uvloop

CONNECTIONS = 16
AT_ONCE = 200


def question(token: str, etag: str, wait: int) -> bytes:
    lines = [
        f"GET /api/v1/config/sync?cluster_id=c1&type=prometheus&wait={wait} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token}",
        f'If-None-Match: "{etag}"',
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class Asker(asyncio.Protocol):
    """Sends the question whenever the last one was answered; a 304 has no body."""

    def __init__(self, asked: bytes) -> None:
        self.answers = 0
        self._asked = asked
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._asked)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n") and self._transport is not None:
            self.answers += 1
            self._transport.write(self._asked)


class Waiter(asyncio.Protocol):
    """Waits for the first bytes of an answer."""

    def __init__(self, asked: bytes, answered: "asyncio.Queue[float]") -> None:
        self._asked = asked
        self._answered = answered
        self._is_new = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._asked)

    def data_received(self, data: bytes) -> None:
        if self._is_new:
            self._is_new = False
            assert data.startswith(b"HTTP/1.1 200"), data[:100]
            self._answered.put_nowait(time.time())


async def ask(port: int, token: str, etag: str, seconds: float) -> None:
    loop, asked = asyncio.get_running_loop(), question(token, etag, 0)
    made = [await loop.create_connection(lambda: Asker(asked), "127.0.0.1", port) for _ in range(CONNECTIONS)]
    before, began = sum(asker.answers for _, asker in made), time.perf_counter()
    await asyncio.sleep(seconds)
    answers, took = sum(asker.answers for _, asker in made) - before, time.perf_counter() - began
    say(rate=answers / took)


async def wait(port: int, token: str, etag: str, count: int) -> None:
    loop, asked, answered = asyncio.get_running_loop(), question(token, etag, 60), asyncio.Queue[float]()
    kept = []
    for _ in range(0, count, AT_ONCE):
        connecting = (
            loop.create_connection(lambda: Waiter(asked, answered), "127.0.0.1", port) for _ in range(AT_ONCE)
        )
        kept += await asyncio.gather(*connecting)
    await asyncio.sleep(3)
    say(waiting=len(kept) - answered.qsize())
    moments = [await answered.get() for _ in range(count)]
    say(first=min(moments), last=max(moments))


def say(**figures: float) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    work = ask if sys.argv[1] == "ask" else wait
    uvloop.run(work(int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])))
