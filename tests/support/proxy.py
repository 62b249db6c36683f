"""A TCP proxy in front of a Redis, that can lose an answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from urllib.parse import urlsplit

PIECE = 1 << 16


class Proxy:
    """Passes everything on, until it is told to swallow the answer to a request.

    The connection is lost with the answer, as when a machine or a network dies at the wrong moment.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._wanted: bytes | None = None
        self.swallowed = asyncio.Event()

    def swallow_answer_to(self, request: bytes) -> None:
        """Swallow the answer to the next request that has these bytes in it."""
        self._wanted = request
        self.swallowed.clear()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await self._connect()
        with closing(to_client), closing(to_server), suppress(OSError):
            async with asyncio.TaskGroup() as group:
                answers = group.create_task(_copy(server, to_client))
                if await self._pass_on(client, to_server):
                    answers.cancel()
                    await asyncio.wait([answers])
                    await server.read(PIECE)
                    self.swallowed.set()
                answers.cancel()

    async def _pass_on(self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> bool:
        """Until the client ends or, then True, it has asked what is not to be answered."""
        while piece := await client.read(PIECE):
            to_server.write(piece)
            if self._wanted and self._wanted in piece:
                self._wanted = None
                return True
        return False

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._target.scheme == "unix":
            return await asyncio.open_unix_connection(self._target.path)
        return await asyncio.open_connection(self._target.hostname, self._target.port)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
    writer.close()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[str, Proxy]]:
    """The URL of a proxy before the Redis at `url`, and the proxy."""
    proxy = Proxy(url)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"redis://127.0.0.1:{port}?{urlsplit(url).query}", proxy
