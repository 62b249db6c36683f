"""What is served, at hand: which configuration is current, its bytes, and the rules that the next one is made from.

Nothing here is asked twice at the same time. Ten thousand sidecars that are woken together make one query.
"""

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_MEBIBYTE = 1024 * 1024


class OneAtATime(Generic[T]):
    """Work by key: who comes while it is under way gets the result of who came first."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Future[T | None]] = {}

    async def do(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        while (running := self._running.get(key)) is not None:
            result = await asyncio.shield(running)
            if result is not None:
                return result
        return await self._lead(key, work)

    async def _lead(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        running = self._running[key] = asyncio.get_running_loop().create_future()
        try:
            result = await work()
        except asyncio.CancelledError:
            running.set_result(None)  # the one who worked has left; another may begin anew
            raise
        except Exception as error:
            running.set_exception(error)
            running.exception()  # nobody need have waited for it
            raise
        else:
            running.set_result(result)
            return result
        finally:
            del self._running[key]


class Bodies:
    """Files by their hash, plain and compressed, up to some size in all; the least used go first."""

    def __init__(self, capacity: int = 64 * _MEBIBYTE) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._loading = OneAtATime[bytes]()

    async def plain(self, hash: str, load: Callable[[], Awaitable[bytes]]) -> bytes:
        """The file, which `load` brings when it is not at hand."""
        return await self._get(hash, load)

    async def zipped(self, hash: str, load: Callable[[], Awaitable[bytes]]) -> bytes:
        """The same as gzip; the same file always gives the same bytes."""

        async def compress() -> bytes:
            return await asyncio.to_thread(gzip.compress, await self.plain(hash, load), 6, mtime=0)

        return await self._get(f"{hash}.gz", compress)

    async def _get(self, key: str, load: Callable[[], Awaitable[bytes]]) -> bytes:
        body = self._kept.get(key)
        if body is None:
            body = await self._loading.do(key, load)
            self.keep(key, body)
        self._kept.move_to_end(key)
        return body

    def keep(self, key: str, body: bytes) -> None:
        """Put a file at hand that somebody will ask for soon."""
        if key not in self._kept:
            self._kept[key] = body
            self._size += len(body)
        # The last one stays, however large it is: somebody is about to send it.
        while self._size > self._capacity and len(self._kept) > 1:
            self._size -= len(self._kept.popitem(last=False)[1])
