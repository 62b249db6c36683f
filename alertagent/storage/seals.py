"""What opens, and which key seals: the keys of this process, and what the database knows of keys.

The database says which key seals, so that all processes seal under the same one; each transaction that writes secrets
asks. A key that is met and not known is looked for once more where the keys come from, so that one that was added to a
file needs no restart.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from alertagent.kernel.errors import Fatal, Problem
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.queries import load_queries
from alertagent.storage.sealing import Column, Form, Key, Keyring, Place, Unreadable, key_of

PROOF = Column(table="sealing_keys", name="proof", key=("id",), form=Form.TEXT)
_KNOWN_TEXT = "alertagent"

sql = load_queries("alertagent.storage")

log = structlog.get_logger()


class Source(Protocol):
    """Where the keys of this process come from; as a text, how people call that place."""

    def load(self) -> Keyring | None:
        """The keys as they are now; None where there are none yet. Raises Fatal."""

    def make(self) -> Keyring:
        """Make the first key. Raises Conflict where that is not ours to do, Unavailable."""

    def renew(self) -> Keyring:
        """Put a new key before those that are there. Raises likewise."""


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals what one transaction writes. Without a key it leaves that in the clear."""

    key: Key | None

    def sealed(self, place: Place, value: Any) -> Any:
        """What to store in this place."""
        if self.key is None or value is None:
            return value
        return place.column.stored(self.key.seal(place.column.plain(value), place))


class Seals:
    """Opens what lies sealed in the database, and lets through what lies in the clear."""

    def __init__(self, keyring: Keyring, source: Source) -> None:
        self.keyring = keyring
        self.source = source

    def opened(self, place: Place, stored: Any) -> Any:
        """Raises Unreadable."""
        sealed = place.column.sealed(stored)
        if sealed is None:
            return stored
        id = key_of(sealed)
        key = self._key(id)
        if key is None:
            raise Unreadable(
                f"{place} is sealed under key {id}, which is not in {self.source}: add it there, "
                "or set these secrets again"
            )
        return place.column.value(key.open(sealed, place))

    def tried(self, place: Place, stored: Any) -> tuple[Any, str | None]:
        """The value; or None and why it does not open, where one row must not keep others from being read."""
        try:
            return self.opened(place, stored), None
        except Unreadable as problem:
            return None, problem.message

    async def sealer(self, transaction: Transaction) -> Sealer:
        """For what this transaction writes; until it ends no other key begins to seal. Raises Unreadable."""
        await transaction.execute(sql.hold_sealing_keys)
        id = await transaction.fetchval(sql.sealing_key)
        if id is None:
            return Sealer(None)
        key = self._key(id)
        if key is None:
            raise Unreadable(f"secrets are sealed under key {id}, which is not in {self.source}: add it there")
        return Sealer(key)

    def renew(self) -> Keyring:
        """Make a new key, which every process finds where the keys come from. Raises Conflict, Unavailable."""
        self.keyring = self.source.renew()
        return self.keyring

    def reload(self) -> Keyring:
        """Look again for what was added to the keys; where that fails, the ones known so far stay."""
        with suppress(Problem):
            self.keyring = self.source.load() or self.keyring
        return self.keyring

    def _key(self, id: str) -> Key | None:
        return self.keyring.keys.get(id) or self.reload().keys.get(id)


async def claimed(database: Database, source: Source, columns: Sequence[Column]) -> Seals:
    """The seals of a database, once it and the keys of this process fit each other; a fresh one learns of the key.

    Raises Fatal, Unavailable. A key is made only where the database knows of none, for another one would open nothing.
    """
    known = await database.fetch(sql.sealing_keys)
    keyring = source.load()
    if keyring is None:
        if known:
            raise Fatal(f"{_belongs(known[0]['id'])}, and there is no key in {source}. {_REMEDY}")
        keyring = source.make()
    async with database.transaction() as transaction:
        await transaction.execute(sql.lock_sealing_keys)
        await _agree(transaction, keyring, source, columns)
    return Seals(keyring, source)


def proof(key: Key) -> tuple[str, str]:
    """The id of a key, and what shows whether another process has the same."""
    return key.id, key.seal(_KNOWN_TEXT.encode(), PROOF.at(key.id))


async def _agree(transaction: Executor, keyring: Keyring, source: Source, columns: Sequence[Column]) -> None:
    known = await transaction.fetch(sql.sealing_keys)
    if not known:
        await transaction.execute(sql.add_sealing_key, *proof(keyring.first))
    else:
        _require(keyring, known[0]["id"], known[0]["proof"], source)
    if known and known[0]["seals"]:
        return
    if await holds_secrets(transaction, columns):
        log.warning("secrets.in_the_clear", remedy="alertagent keys rotate, once every process is of this release")
        return
    await transaction.execute(sql.use_sealing_key, known[0]["id"] if known else keyring.first.id)


def _require(keyring: Keyring, id: str, shown: str, source: Source) -> None:
    key = keyring.keys.get(id)
    if key is None:
        raise Fatal(f"{_belongs(id)}, and {source} holds only {keyring.ids}. {_REMEDY}")
    try:
        key.open(shown, PROOF.at(id))
    except Unreadable as problem:
        raise Fatal(f"{_belongs(id)}, and its proof does not open: restore the table sealing_keys") from problem


async def holds_secrets(executor: Executor, columns: Sequence[Column]) -> bool:
    """Whether any row has something that is to be sealed."""
    for column in columns:
        statement = f"SELECT EXISTS (SELECT FROM {column.table} WHERE {column.only} AND {column.name} IS NOT NULL)"  # noqa: S608 - ours
        if await executor.fetchval(statement):
            return True
    return False


def _belongs(id: str) -> str:
    return f"the secrets of this database belong to key {id}"


_REMEDY = (
    "All processes on one database need the same keys: restore the key file from the backup, or name the right one "
    "with secrets.key_file. Only where that key is lost for good, run `alertagent keys reset` and set the secrets again"
)
