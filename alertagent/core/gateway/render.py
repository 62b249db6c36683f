"""Alerts and groups as Alertmanager's API v2 writes them. Pure.

Source: prometheus/alertmanager, `api/v2/compat.go` and `api/v2/openapi.yaml`.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from alertagent.core.alerts.model import Alert
from alertagent.core.gateway.model import Standing
from alertagent.kernel.labels import Labels


@lru_cache(maxsize=4096)
def moment(at: datetime) -> str:
    """`2026-11-28T03:42:41.308Z`: always in milliseconds. Alerts of one post share their times."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def alert(alert: Alert, standing: Standing, receivers: Iterable[str], muted_by: Sequence[str] = ()) -> bytes:
    """One alert. `updatedAt` is when it was last heard of; a generator without a URL is left out."""
    is_active = standing.is_active and not muted_by
    written: dict[str, Any] = {
        "annotations": alert.annotations,
        "endsAt": moment(alert.ends_at),
        "fingerprint": alert.fingerprint,
        "receivers": [{"name": name} for name in receivers],
        "startsAt": moment(alert.starts_at),
        "status": {
            "inhibitedBy": standing.inhibited_by,
            "mutedBy": muted_by,
            "silencedBy": standing.silenced_by,
            "state": "active" if is_active else "suppressed",
        },
        "updatedAt": moment(alert.last_seen_at),
        "labels": alert.labels,
    }
    if alert.generator_url:
        written["generatorURL"] = alert.generator_url
    return orjson.dumps(written)


def group(labels: Labels, receiver: str, alerts: Iterable[bytes]) -> bytes:
    """One group of alerts that are written already."""
    head = orjson.dumps({"labels": labels, "receiver": {"name": receiver}})
    return head[:-1] + b',"alerts":' + array(alerts) + b"}"


def array(written: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(written) + b"]"


async def array_of(written: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same as it comes, of what is written some at a time."""
    opening = b"["
    async with aclosing(written):
        async for some in written:
            yield opening + some
            opening = b","
    yield b"]" if opening == b"," else b"[]"
