"""A TCP link to a server on a Unix socket that can be cut, as a network is: nobody hears anything, not even an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

PIECE = 1 << 16


class Link:
    """Whole at first. What was sent while it was cut arrives when it is healed."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._whole = asyncio.Event()
        self._whole.set()

    def cut(self) -> None:
        self._whole.clear()

    def heal(self) -> None:
        self._whole.set()

    async def carry(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with closing(to_client), suppress(OSError):
            await self._whole.wait()
            server, to_server = await asyncio.open_unix_connection(self._socket)
            with closing(to_server):
                ways = [
                    asyncio.create_task(self._pass_on(client, to_server)),
                    asyncio.create_task(self._pass_on(server, to_client)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE):
            await self._whole.wait()
            writer.write(piece)
            await writer.drain()
        await self._whole.wait()


@asynccontextmanager
async def linked(socket: str) -> AsyncIterator[tuple[int, Link]]:
    """The port of a link to this socket, and the link. It is whole at the end."""
    link = Link(socket)
    async with await asyncio.start_server(link.carry, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1], link
        finally:
            link.heal()
