"""What fires, read as far as a question goes, some hundred alerts at a time.

PostgreSQL writes the JSON of an alert, and we put our part before it. Between two parts nothing of the database is
held. Where a filter picks some, their keys are asked for once, as one text; else we go on from the last key.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import compress
from typing import Any, TypeVar

import orjson

from alertagent.core.gateway.model import Question
from alertagent.kernel.matchers import Matcher
from alertagent.storage.database import Database
from alertagent.storage.pages import Statement
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.gateway")

# Alerts that are read at once, whole or only a few of their labels.
AT_A_TIME = 500
OUTLINES_AT_A_TIME = 2_000

# An expression is tried on the values of a label, and not on each alert, where these are not more.
FEW_VALUES = 5_000

# Until a statement is sent the loop turns some times: a connection is taken from the pool. Whoever uses a part does not
# let it turn, and PostgreSQL would wait until he has done.
TURNS = 6

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Written:
    """Alerts as PostgreSQL wrote them, column by column: the labels, and the rest of the object from its comma on.

    Columns, and not rows: a hundred thousand small objects would have the garbage collector look through the process.
    """

    fingerprints: Sequence[str] = ()
    labels: Sequence[bytes] = ()
    rests: Sequence[bytes] = ()

    def __len__(self) -> int:
        return len(self.fingerprints)


@dataclass(frozen=True, slots=True)
class Outlines:
    """Which alerts there are, and those labels that were asked for, label by label; "" where an alert has it not.

    `labels` is empty unless all of them were asked for.
    """

    fingerprints: Sequence[str] = ()
    labels: Sequence[bytes] = ()
    values: Sequence[Sequence[str]] = ()


class Reading:
    """What fires and fits the labels that a question asks for."""

    def __init__(self, database: Database, keys: str | None, rest: Sequence[Matcher]) -> None:
        self._database = database
        self._keys = keys
        self._rest = rest

    @classmethod
    async def of(cls, database: Database, question: Question) -> "Reading":
        """Look which alerts fit, as far as the database can tell."""
        statement, rest = Statement(), []
        for matcher in question.matchers:
            if matcher.operator.is_regex:
                values = await _values(database, question, matcher.name)
                if values is None:
                    rest.append(matcher)
                    continue
                fitting = [value for value in values if matcher.matches({matcher.name: value})]
                condition = f"= ANY ({statement.argument(fitting)})"
            else:
                operator = "<>" if matcher.operator.is_negative else "="
                condition = f"{operator} {statement.argument(matcher.value)}"
            statement.conditions.append(f"coalesce(labels ->> {statement.argument(matcher.name)}, '') {condition}")
        if not statement.conditions:
            return cls(database, None, rest)
        statement.conditions.insert(0, f"labels @> {statement.argument(question.labels)}")
        keys = await database.fetchval(f"{sql.fitting} {statement.where}", *statement.arguments)
        return cls(database, keys or "", rest)

    async def alerts(self) -> AsyncGenerator[Written, None]:
        """By fingerprint, as they are written."""
        async for columns in self._parts(sql.written, ["labels", "rest"], AT_A_TIME):
            yield Written(*self._fitting(columns))

    async def outlines(self, names: Sequence[str], *, whole: bool) -> AsyncGenerator[Outlines, None]:
        """By fingerprint: these labels of each, and all of its labels if they are wanted as well."""
        values = [f"v{place}" for place in range(len(names))]
        columns = "".join(f", coalesce(labels ->> ${place}, '') AS v{place - 2}" for place, _ in enumerate(names, 2))
        is_whole = whole or bool(self._rest)
        if is_whole:
            columns = f", convert_to(labels::text, 'UTF8') AS labels{columns}"
        select = f"SELECT fingerprint{columns} FROM firing_alerts WHERE"  # noqa: S608 - names are arguments
        names_of_columns = ["labels", *values] if is_whole else values
        async for found in self._parts(select, names_of_columns, OUTLINES_AT_A_TIME, *names):
            fingerprints, *others = self._fitting(found)
            labels = others.pop(0) if is_whole else ()
            yield Outlines(fingerprints, labels, others)

    async def among(self, fingerprints: Sequence[str]) -> Written:
        """Those of these alerts that fire still, whatever the question, in no order."""
        statement = f"{sql.written} fingerprint = ANY ($1)"
        return Written(*await self._columns(statement, ["labels", "rest"], fingerprints, order=""))

    async def labels(self, fingerprints: Sequence[str]) -> AsyncGenerator[Iterable[tuple[str, bytes]], None]:
        """The labels of those of these alerts that fire still, whatever the question."""
        for keys in parts_of(fingerprints, OUTLINES_AT_A_TIME):
            row = await self._database.fetchrow(sql.labels, keys)
            if row is not None and row[0]:
                yield zip(row[0], row[1], strict=True)

    async def _parts(
        self, select: str, names: Sequence[str], limit: int, *arguments: object
    ) -> AsyncGenerator[Sequence[Any], None]:
        """What a statement finds, by fingerprint, some at a time: fingerprints, and these columns."""
        if self._keys is not None:
            for keys in split(self._keys, limit):
                yield await self._columns(f"{select} fingerprint = ANY ($1)", names, keys, *arguments)
            return
        after, is_more = "", True
        while is_more:
            rows = f"{select} fingerprint > $1 ORDER BY fingerprint LIMIT {limit}"
            columns = await self._columns(rows, names, after, *arguments)
            is_more = len(columns[0]) == limit
            if columns[0]:
                after = columns[0][-1]
                yield columns

    async def _columns(
        self, select: str, names: Sequence[str], *arguments: object, order: str = "ORDER BY fingerprint"
    ) -> Sequence[Any]:
        columns = ", ".join(f"array_agg({name} {order})" for name in ("fingerprint", *names))
        row = await self._database.fetchrow(f"SELECT {columns} FROM ({select}) AS found", *arguments)  # noqa: S608
        return [column or [] for column in row or ()]

    def _fitting(self, columns: Sequence[Any]) -> Sequence[Any]:
        """The second of the columns has the labels wherever there is something left to try."""
        if not self._rest:
            return columns
        fits = [all(matcher.matches(labels) for matcher in self._rest) for labels in map(orjson.loads, columns[1])]
        return [list(compress(column, fits)) for column in columns]


async def _values(database: Database, question: Question, name: str) -> Sequence[str] | None:
    """All values that a label has where the question may find something; None if they are too many to try each."""
    rows = await database.fetch(sql.values, question.labels, name, FEW_VALUES + 1)
    return [row["value"] for row in rows] if len(rows) <= FEW_VALUES else None


def split(keys: str, count: int) -> Iterator[list[str]]:
    """The words of a text, so many at a time."""
    for found in re.finditer(rf"(?:\S+ ?){{1,{count}}}", keys):
        yield found[0].split()


def parts_of(items: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    """The items, so many at a time."""
    for start in range(0, len(items), count):
        yield items[start : start + count]


async def ahead(parts: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same, where the next part is made while one is in use."""
    async with aclosing(parts):
        coming = asyncio.ensure_future(anext(parts, None))
        try:
            while (part := await coming) is not None:
                coming = asyncio.ensure_future(anext(parts, None))
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                yield part
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
