"""Who asks for a long answer and does not read it holds nothing up for ever."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from datetime import timedelta
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from alertagent.web.access import viewer
from alertagent.web.call import Call
from alertagent.web.replies import Stream
from alertagent.web.routes import get
from alertagent.web.server import WRITE_TIMEOUT_SECONDS, application, collect
from tests.support.serving import serving
from tests.web.raw import request
from tests.web.small import Door, Memory

PART = b"x" * 65536


class EndlessApi:
    """Sends until it is cut off."""

    def __init__(self, within: timedelta) -> None:
        self.within = within
        self.ended = asyncio.Event()

    @get("/endless", access=viewer("notes:read"))
    async def endless(self, call: Call) -> Stream:
        """Parts without an end."""
        return Stream(parts=self._parts(), content_type="text/plain", within=self.within)

    async def _parts(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield PART
        finally:
            self.ended.set()


async def test_who_stops_reading_is_cut_off_when_the_whole_takes_too_long() -> None:
    """Well before the bound of a single part, which would end it too."""
    api = EndlessApi(within=timedelta(seconds=0.2))
    app = application(collect([api]), authenticator=Door(), replies=Memory(), registry=CollectorRegistry())
    async with serving(app) as origin:
        place = urlsplit(origin)
        loop = asyncio.get_running_loop()
        with socket.socket() as reader:
            reader.setblocking(False)
            await loop.sock_connect(reader, (place.hostname, place.port))
            await loop.sock_sendall(reader, request("GET", "/api/v1/endless"))

            async with asyncio.timeout(WRITE_TIMEOUT_SECONDS - 1):
                await api.ended.wait()

            last = b""
            async with asyncio.timeout(10):
                while came := await loop.sock_recv(reader, 1 << 20):
                    last = came

    assert last
    assert not last.endswith(b"\r\n0\r\n\r\n")  # it must not look complete
