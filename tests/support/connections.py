"""Whoever holds a connection of the pool takes no second one: under load each would wait for one that another holds,
and all of them are held by those who wait for a lock of the first."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from alertagent.storage import database
from alertagent.storage.database import Database

Acquired = Callable[[Database], AbstractAsyncContextManager[Any]]

_PRODUCT, _STORAGE = str(Path(database.__file__).parents[1]), database.__file__
_CONTEXTLIB = asynccontextmanager.__code__.co_filename


@dataclass(slots=True)
class _Hold:
    pool: Database
    is_over: bool = False


_held: ContextVar[_Hold | None] = ContextVar("_held", default=None)


def noting_further_ones(acquired: Acquired, note: Callable[[str], None]) -> Acquired:
    """The same way to a connection; `note` is told where product code that has one already takes another."""

    @asynccontextmanager
    async def wrapped(pool: Database) -> AsyncIterator[Any]:
        outer, taker = _held.get(), _taker()
        if outer is not None and outer.pool is pool and not outer.is_over:
            note(taker)
        hold = _Hold(pool, is_over=not taker.startswith(_PRODUCT))
        token = _held.set(hold)
        try:
            async with acquired(pool) as connection:
                yield connection
        finally:
            hold.is_over = True
            _held.reset(token)

    return wrapped


def _taker() -> str:
    """The file and line that asks for a connection."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename in {__file__, _STORAGE, _CONTEXTLIB}:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
