"""A client that sends bytes as they are, which no HTTP library would."""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson


@dataclass(frozen=True)
class RawAnswer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> Any:
        return orjson.loads(self.body)["error"]


async def exchange(address: str, sent: bytes) -> RawAnswer:
    """One answer; the connection is closed afterwards."""
    parts = urlsplit(address)
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(sent)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            length = 0 if sent.startswith(b"HEAD ") else int(headers.get("content-length", "0"))
            body = await reader.readexactly(length)
            return RawAnswer(int(head[0].split()[1]), headers, body)
        finally:
            writer.close()
            await writer.wait_closed()


def request(method: str, target: str, *headers: bytes, body: bytes = b"", token: bytes = b"ann") -> bytes:
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: x", *headers]
    if token:
        lines.append(b"Authorization: Bearer " + token)
    if body:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body])
