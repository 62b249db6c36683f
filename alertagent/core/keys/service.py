"""Changing the key that secrets are sealed under, while everybody goes on."""

import asyncio
from datetime import timedelta

import structlog

from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.core.keys.model import KnownKey, Progress, State
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.queries import load_queries
from alertagent.storage.resealing import Resealing
from alertagent.storage.sealing import Key
from alertagent.storage.seals import Seals, proof

# A call answers after about this long, done or not.
STEP = timedelta(seconds=5)

SHOWN = 100

sql = load_queries("alertagent.storage")

log = structlog.get_logger()


class Keys:
    """The keys of the database, and those of this process."""

    def __init__(self, database: Database, seals: Seals, resealing: Resealing, audit: Audit) -> None:
        self._database = database
        self._seals = seals
        self._resealing = resealing
        self._audit = audit

    async def state(self) -> State:
        rows = await self._database.fetch(sql.sealing_keys)
        held = (await asyncio.to_thread(self._seals.reload)).keys
        keys = [
            KnownKey(id=row["id"], seals=row["seals"], held=row["id"] in held, added_at=row["added_at"]) for row in rows
        ]
        current = next((key.id for key in keys if key.seals), None)
        left = await self._resealing.left(self._database, current)
        return State(source=str(self._seals.source), keys=keys, left=left)

    async def rotate(self, actor: Actor) -> Progress:
        """Go on with a rotation that is under way, or begin one; for some seconds, until nothing is left.

        Raises Conflict where a new key is wanted and somebody else has to make it.
        """
        async with self._database.transaction() as transaction:
            key = await self._begun(transaction, actor)
        done = await self._resealing.run(STEP)
        if done.is_done:
            await self._database.execute(sql.forget_sealing_keys, key.id)
        unreadable = [str(place) for place in done.unreadable[:SHOWN]]
        left = 0 if done.is_done else await self._resealing.left(self._database, key.id)
        return Progress(key=key.id, sealed=done.sealed, left=left, done=done.is_done, unreadable=unreadable)

    async def _begun(self, transaction: Transaction, actor: Actor) -> Key:
        """The key to seal under, made the current one if it was not yet."""
        await transaction.execute(sql.lock_sealing_keys)
        known = await transaction.fetch(sql.sealing_keys)
        current = next((row["id"] for row in known if row["seals"]), None)
        keyring = await asyncio.to_thread(self._seals.reload)
        # The keys before are forgotten only when nothing is left.
        is_under_way = len(known) > 1
        if keyring.first.id == current and not is_under_way:
            keyring = await asyncio.to_thread(self._seals.renew)
        key = keyring.first
        if key.id != current:
            await use(transaction, key)
            seen = {"before": {"key": current} if current is not None else None, "after": {"key": key.id}}
            await self._audit.record(transaction, actor, "keys.rotated", ("key", key.id), **seen)
            log.info("secrets.key_changed", key=key.id, before=current)
        return key


async def use(transaction: Executor, key: Key) -> None:
    """Make it the key that seals. What other transactions seal now is waited for."""
    await transaction.execute(sql.add_sealing_key, *proof(key))
    await transaction.execute(sql.retire_sealing_key, key.id)
    await transaction.execute(sql.use_sealing_key, key.id)
