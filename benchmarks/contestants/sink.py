"""A receiver of webhooks: takes every POST and remembers when it first heard of each alert of an Alertmanager's.

    python -m benchmarks.contestants.sink PORT

An alert goes by its label `uid`. `GET /seen` tells how many POSTs came and, by uid, the moments (time.monotonic);
`DELETE /seen` forgets them. It speaks just enough HTTP, so that it takes little from what is measured beside it, and
answers with what all providers' robots say at once; below `/teams` with nothing, as a workflow does.
"""

import asyncio
import re
import sys
import time
from typing import cast

import orjson
import uvloop

_TAKEN = b'{"errcode":0,"errmsg":"ok","code":0,"ok":true,"id":"1"}'
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Seen:
    """What has arrived."""

    def __init__(self) -> None:
        self.posts = 0
        self.moments: dict[str, float] = {}

    def add(self, body: bytes) -> None:
        now = time.monotonic()
        self.posts += 1
        for alert in orjson.loads(body).get("alerts", ()):
            self.moments.setdefault(alert["labels"]["uid"], now)


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end + 2)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < size:
                return
            head, body, self._buffer = self._buffer[:end], self._buffer[end + 4 : size], self._buffer[size:]
            self._answer(self._act(head, body))

    def _act(self, head: bytes, body: bytes) -> bytes:
        method = head.split(b" ", 1)[0]
        if method == b"POST":
            self._seen.add(body)
            return b"" if head.startswith(b"POST /teams") else _TAKEN
        if method == b"DELETE":
            self._seen.__init__()  # type: ignore[misc]  # begins anew
            return b"{}"
        return orjson.dumps({"posts": self._seen.posts, "moments": self._seen.moments})

    def _answer(self, body: bytes) -> None:
        if self._transport is not None:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(head + body)


async def listen(port: int) -> None:
    seen = Seen()
    server = await asyncio.get_running_loop().create_server(lambda: Sink(seen), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(listen(int(sys.argv[1])))
