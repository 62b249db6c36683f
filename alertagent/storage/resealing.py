"""Sealing anew what lies under another key than the one that seals now, or in the clear.

Batch by batch, each in a transaction of its own, beside everybody who reads and writes: what is sealed under the key
before opens as well. Whoever is broken off goes on where he was, because what is done is not found again.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.sealing import PREFIX, Column, Form, Place, Unreadable
from alertagent.storage.seals import Sealer, Seals

BATCH = 50

# How a column reads as a text that begins with the prefix where it is sealed.
_AS_TEXT = {
    Form.JSON: "{name} #>> '{{}}'",
    Form.TEXT: "{name}",
    Form.BYTES: "encode(substring({name} FOR 64), 'escape')",
}


@dataclass(slots=True, kw_only=True)
class Resealed:
    """How many values were sealed, and those that do not open."""

    sealed: int = 0
    unreadable: list[Place] = field(default_factory=list)
    is_done: bool = False


class Resealing:
    """Goes over the columns with secrets."""

    def __init__(self, database: Database, seals: Seals, columns: Sequence[Column]) -> None:
        self._database = database
        self._seals = seals
        self._columns = columns

    async def run(self, span: timedelta) -> Resealed:
        """Seal for about this long; `is_done` when nothing is left but what does not open."""
        deadline, done = time.monotonic() + span.total_seconds(), Resealed()
        for column in self._columns:
            after: tuple[Any, ...] | None = None
            while after != ():
                if time.monotonic() > deadline:
                    return done
                after = await self._batch(column, after, done)
        done.is_done = True
        return done

    async def left(self, executor: Executor, id: str | None) -> int:
        """How many values are not sealed under the key of this id."""
        counts = [await executor.fetchval(_count(column), _head(id)) for column in self._columns]
        return sum(counts)

    async def give_up(self, transaction: Transaction) -> list[Place]:
        """Of what does not open, delete what is made again from the rest; the places of the others."""
        lost = []
        for column in self._columns:
            for row in await transaction.fetch(_select(column, is_first=True), _head(None)):
                place = _place(column, row)
                try:
                    self._seals.opened(place, row["stored"])
                except Unreadable:
                    if column.is_made:
                        await transaction.execute(_delete(column), *place.ids)
                    else:
                        lost.append(place)
        return lost

    async def _batch(self, column: Column, after: tuple[Any, ...] | None, done: Resealed) -> tuple[Any, ...]:
        """The last row of the batch; empty when there was none."""
        async with self._database.transaction() as transaction:
            sealer = await self._seals.sealer(transaction)
            head = _head(sealer.key.id if sealer.key is not None else None)
            statement = _select(column, is_first=after is None, limit=BATCH)
            rows = await transaction.fetch(statement, head, *(after or ()))
            for place, sealed in self._anew(column, sealer, rows, done):
                await transaction.execute(_update(column), sealed, *place.ids)
                done.sealed += 1
        return tuple(rows[-1][name] for name in column.key) if rows else ()

    def _anew(
        self, column: Column, sealer: Sealer, rows: Sequence[Any], done: Resealed
    ) -> Iterator[tuple[Place, str | bytes]]:
        for row in rows:
            place = _place(column, row)
            try:
                value = self._seals.opened(place, row["stored"])
            except Unreadable:
                done.unreadable.append(place)
            else:
                yield place, sealer.sealed(place, value)


def _place(column: Column, row: Any) -> Place:
    return column.at(*(row[name] for name in column.key))


def _head(id: str | None) -> str:
    """How everything begins that is sealed under this key; without one, nothing does."""
    return f"{PREFIX}{id or ''}."


# The names in these statements are constants of ours.


def _where(column: Column) -> str:
    text = _AS_TEXT[column.form].format(name=column.name)
    return f"{column.only} AND {column.name} IS NOT NULL AND NOT starts_with({text}, $1)"


def _count(column: Column) -> str:
    return f"SELECT count(*) FROM {column.table} WHERE {_where(column)}"  # noqa: S608


def _select(column: Column, *, is_first: bool, limit: int | None = None) -> str:
    key = ", ".join(column.key)
    places = ", ".join(f"${number}" for number, _ in enumerate(column.key, 2))
    behind = "" if is_first else f" AND ({key}) > ({places})"
    at_most = "" if limit is None else f" LIMIT {limit}"
    return (
        f"SELECT {key}, {column.name} AS stored FROM {column.table}"  # noqa: S608
        f" WHERE {_where(column)}{behind} ORDER BY {key}{at_most} FOR NO KEY UPDATE"
    )


def _update(column: Column) -> str:
    return f"UPDATE {column.table} SET {column.name} = $1 WHERE {_row(column, 2)}"  # noqa: S608


def _delete(column: Column) -> str:
    return f"DELETE FROM {column.table} WHERE {_row(column, 1)}"  # noqa: S608


def _row(column: Column, first: int) -> str:
    return " AND ".join(f"{name} = ${number}" for number, name in enumerate(column.key, first))
