"""Replies kept for `Idempotency-Key`, in PostgreSQL: a repeated request may reach another process or a later start."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from alertagent.storage.database import Database
from alertagent.storage.queries import load_queries

KEPT_FOR = timedelta(hours=24)

# A process that was killed while it worked never says how it ended; its claim is free again after this.
CLAIM_LASTS = timedelta(minutes=2)

sql = load_queries("alertagent.storage")


@dataclass(frozen=True, slots=True)
class StoredReply:
    """`status` is None while the first request still runs."""

    digest: bytes
    status: int | None
    headers: Mapping[str, str]
    body: bytes


class StoredReplies:
    """The replies of the last 24 hours, by key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, key: str, digest: bytes) -> StoredReply | None:
        """None when the key is now the caller's; otherwise what is known of the request that had it first."""
        while True:
            if await self._database.fetchval(sql.claim_reply, key, digest, KEPT_FOR, CLAIM_LASTS) is not None:
                return None
            row = await self._database.fetchrow(sql.kept_reply, key)
            if row is not None:
                return StoredReply(row["digest"], row["status"], row["headers"] or {}, row["body"] or b"")

    async def keep(self, key: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        await self._database.execute(sql.keep_reply, key, status, dict(headers), body)

    async def release(self, key: str) -> None:
        await self._database.execute(sql.release_reply, key)

    async def forget_old(self) -> None:
        await self._database.execute(sql.forget_replies, KEPT_FOR)
