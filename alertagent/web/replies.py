"""What a handler may answer."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(Generic[T]):
    """One resource, `{"data": …}`. `etag` is the bare tag, without quotes; `status` overrides the route's."""

    data: T
    etag: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list: `{"data": […], "page": {"next_cursor", "total"}}`. `total` is None where unknown."""

    items: Sequence[T]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Bytes as they are."""

    body: bytes
    content_type: str
    etag: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Bytes as they come, until they end or the reader leaves. One that does not read is cut off.

    What ends within its first `whole` bytes goes out as one answer with a length. `within` bounds how long all of it
    may take, for what must not be held up by who reads slowly.
    """

    parts: AsyncGenerator[bytes, None]
    content_type: str
    whole: int = 0
    within: timedelta | None = None
