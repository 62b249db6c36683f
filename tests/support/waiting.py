"""Waiting for what another task does, without polling."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """A list whose growth can be awaited."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._grown = asyncio.Event()

    def add(self, item: Item) -> None:
        self.items.append(item)
        self._grown.set()

    async def wait_for(self, expected: int | Callable[[list[Item]], bool], timeout: float = 10) -> list[Item]:  # noqa: ASYNC109
        """The items, once there are `expected` many or the predicate holds. Raises AssertionError showing them."""
        try:
            async with asyncio.timeout(timeout):
                while not self._is_enough(expected):
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            raise AssertionError(f"not what was expected within {timeout} s: {self.items}") from None
        return list(self.items)

    def _is_enough(self, expected: int | Callable[[list[Item]], bool]) -> bool:
        return len(self.items) >= expected if isinstance(expected, int) else expected(self.items)
