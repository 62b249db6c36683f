"""W3C Trace Context: the trace that the work at hand belongs to, from a request through its tasks to what they send.

A traceparent names a trace and the span that brought the work about. Whoever goes on does so in the same trace, with
a span of its own. The one in force travels with the context of the coroutine, so that nobody has to hand it on.
"""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeGuard
from uuid import UUID

_FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = "01"

_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def current() -> str | None:
    """The traceparent of the work at hand; None outside of any."""
    return _current.get()


def is_traceparent(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and _FORM.fullmatch(text) is not None


def accepted(header: str | None) -> str:
    """What a caller sent, or a new trace where that is none."""
    return header if is_traceparent(header) else child_of(None)


def child_of(parent: str | None) -> str:
    """A new span in the parent's trace, or in a new trace where the parent is none."""
    found = _FORM.fullmatch(parent or "")
    trace, flags = (found[1], found[3]) if found else (random.randbytes(16).hex(), _SAMPLED)
    return f"00-{trace}-{random.randbytes(8).hex()}-{flags}"


def begun_by(id: str) -> str:
    """The trace of work that nobody's trace led to: all its attempts share it, because the work's own UUID names it."""
    return f"00-{UUID(id).hex}-{random.randbytes(8).hex()}-{_SAMPLED}"


def id_of(traceparent: str) -> str:
    """The trace in a traceparent, as logs show it."""
    return traceparent.split("-")[1]


@contextmanager
def following(parent: str) -> Iterator[str]:
    """Go on in the parent's trace for as long as the block lasts; yields the traceparent in force there."""
    own = child_of(parent)
    token = _current.set(own)
    try:
        yield own
    finally:
        _current.reset(token)
