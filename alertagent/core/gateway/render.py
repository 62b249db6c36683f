"""Alerts and groups as Alertmanager writes them: what is said of an alert here, and what stands around it. Pure.

An alert itself is written by PostgreSQL. Source: prometheus/alertmanager, `api/v2/compat.go`, `api/v2/openapi.yaml`.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

import orjson

from alertagent.core.gateway.model import Standing
from alertagent.kernel.labels import Labels


def moment(at: datetime) -> str:
    """`2026-11-28T03:42:41.308Z`: always in milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def head(receivers: Sequence[str], standing: Standing, muted_by: Sequence[str] = ()) -> bytes:
    """The beginning of an alert, up to its labels."""
    said = {
        "receivers": [{"name": name} for name in receivers],
        "status": {
            "inhibitedBy": standing.inhibited_by,
            "mutedBy": muted_by,
            "silencedBy": standing.silenced_by,
            "state": "active" if standing.is_active and not muted_by else "suppressed",
        },
    }
    return orjson.dumps(said)[:-1] + b',"labels":'


def group(labels: Labels, receiver: str) -> bytes:
    """The beginning of a group, up to its alerts; `]}` ends it."""
    return orjson.dumps({"labels": labels, "receiver": {"name": receiver}})[:-1] + b',"alerts":['


async def array_of(written: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """An array as it comes, of what is written some at a time."""
    opening = b"["
    async with aclosing(written):
        async for some in written:
            yield opening + some
            opening = b","
    yield b"]" if opening == b"," else b"[]"
