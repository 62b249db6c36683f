"""Lists by keyset: filtered, sorted and paged by the database, whatever the feature.

A feature says once what its list is (`Listing`); a request says which part of it. The cursor holds the sort
values of the last row, so a page costs the same however deep it lies and rows that come or go move nothing.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson

from alertagent.kernel.errors import Detail, Invalid
from alertagent.kernel.matchers import Matcher, Operator, parse_matcher
from alertagent.kernel.patterns import Gap, Parts, read_pattern
from alertagent.storage.database import Executor

_ESCAPE = re.compile(r"\\.", re.DOTALL)
_ESCAPED = {r"\b": r"\y", r"\B": r"\Y", r"\z": r"\Z"}
_LIKE = {Gap.ANYTHING: "%", Gap.SOMETHING: "_%", Gap.ONE: "_"}

# Counting more costs more than anyone reads out of the number.
COUNT_UP_TO = 10_000

# Of a list that can be walked, what a filter finds is looked for among so many rows first, then among all.
NEAR = (5_000, 20_000)


@dataclass(frozen=True, slots=True)
class Column:
    """A public field: the SQL that gives it, and its type there."""

    sql: str
    type: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a list shows. `source` is a SELECT; the columns are read from its result.

    `labels` names a jsonb column whose keys can be filtered like fields; `key` is unique and breaks ties. A text is
    looked for in the columns `search`, and in `lowered`, which is in lower case already and so much faster. `walked`
    are the fields that have an index together with the key: in their order the first rows are found without the others.
    """

    source: str
    columns: Mapping[str, Column]
    sort: str
    key: str = "id"
    key_type: str = "text"
    labels: str | None = None
    search: Sequence[str] = ()
    lowered: str | None = None
    walked: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """Which part of a list, as the query string says it."""

    limit: int = 50
    cursor: str | None = None
    sort: str | None = None
    filter: Sequence[str] = ()
    q: str | None = None


@dataclass(frozen=True, slots=True)
class PageOf:
    rows: list[asyncpg.Record]
    next_cursor: str | None
    total: int | None


@dataclass(slots=True)
class Statement:
    """Conditions and the arguments that they refer to."""

    conditions: list[str] = field(default_factory=list)
    arguments: list[object] = field(default_factory=list)

    def argument(self, value: object) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    @property
    def where(self) -> str:
        return " AND ".join(f"({condition})" for condition in self.conditions) or "true"


@dataclass(frozen=True, slots=True)
class _Order:
    column: Column
    descending: bool


async def fetch_page(executor: Executor, listing: Listing, request: PageRequest, *parameters: object) -> PageOf:
    """Run the list, whose source may have parameters. Raises Invalid for a bad sort, filter or cursor."""
    with explained():
        rows = await _rows(executor, listing, request, parameters)
        more = len(rows) > request.limit
        is_all = request.cursor is None and not more
        total = len(rows) if is_all else await _count(executor, listing, filtered(listing, request, parameters))
    rows = rows[: request.limit]
    return PageOf(rows, _cursor(request, listing, rows[-1]) if more else None, total if total <= COUNT_UP_TO else None)


async def _rows(
    executor: Executor, listing: Listing, request: PageRequest, parameters: Sequence[object]
) -> list[asyncpg.Record]:
    """The rows of a page, and one more if there is one.

    PostgreSQL cannot know how many rows an expression or a label fits. It takes them for few, looks through the whole
    list and joins and sorts what it found; so where the list can be walked, a filter is tried on the first rows alone
    before, and only keys are sorted.
    """
    sort = request.sort or listing.sort
    order = _order(listing, sort)
    statement = filtered(listing, request, parameters)
    after = "true"
    if request.cursor is not None:
        after = _after(statement, order, _opened(request, listing, len(order)))
    if statement.conditions and sort.strip().removeprefix("-") in listing.walked:
        rows: list[asyncpg.Record] = []
        tried = 0
        for among in (*NEAR, None):
            if among is not None and tried and 2 * len(rows) * among <= request.limit * tried:
                continue  # what is that rare does not fill a page from there either
            select = _select_walking(listing, statement, order, after, limit=request.limit + 1, among=among)
            rows = await executor.fetch(select, *statement.arguments)
            if len(rows) > request.limit:
                break
            tried = among or 0
        return rows
    statement.conditions.append(after)
    return await executor.fetch(_select(listing, statement, order, request.limit + 1), *statement.arguments)


async def fetch_keys(executor: Executor, listing: Listing, request: PageRequest) -> list[str]:
    """The keys of what fits the filter, at most `limit` and in no order. Raises Invalid for a bad filter."""
    statement = filtered(listing, request)
    with explained():
        rows = await executor.fetch(
            f"SELECT {listing.key} AS key FROM ({listing.source}) AS t"  # noqa: S608 - the listing is ours
            f" WHERE {statement.where} LIMIT {request.limit}",
            *statement.arguments,
        )
    return [row["key"] for row in rows]


async def fetch_greatest(
    executor: Executor, listing: Listing, request: PageRequest, column: str, *parameters: object
) -> Any:
    """The greatest value of a column among what fits the filter; None where nothing does."""
    statement = filtered(listing, request, parameters)
    with explained():
        return await executor.fetchval(
            f"SELECT max({column}) FROM ({listing.source}) AS t WHERE {statement.where}",  # noqa: S608 - ours
            *statement.arguments,
        )


async def _count(executor: Executor, listing: Listing, statement: Statement) -> int:
    """How many rows fit, up to one more than COUNT_UP_TO."""
    count: int = await executor.fetchval(
        f"SELECT count(*) FROM (SELECT FROM ({listing.source}) AS t WHERE {statement.where}"  # noqa: S608 - ours
        f" LIMIT {COUNT_UP_TO + 1}) AS counted",
        *statement.arguments,
    )
    return count


@contextmanager
def explained() -> Iterator[None]:
    """What PostgreSQL cannot do with a filter or a cursor is the caller's mistake."""
    try:
        yield
    except asyncpg.DataError as error:
        raise Invalid(f"this filter or cursor does not fit: {error}", code="request.filter_invalid") from error
    except asyncpg.InvalidRegularExpressionError as error:
        raise Invalid(f"a regular expression cannot be used here: {error}", code="request.filter_invalid") from error


def _order(listing: Listing, sort: str) -> list[_Order]:
    order = []
    for part in sort.split(","):
        name = part.strip().removeprefix("-")
        if name not in listing.columns:
            known = ", ".join(listing.columns)
            raise Invalid(
                f'cannot sort by "{name}"; known: {known}',
                code="request.sort_invalid",
                details=[Detail(("sort",), f"known: {known}")],
            )
        order.append(_Order(listing.columns[name], part.strip().startswith("-")))
    return [*order, _Order(Column(listing.key, listing.key_type), order[-1].descending)]


def matchers(request: PageRequest) -> list[Matcher]:
    """The filters, read. Raises Invalid."""
    return [matcher_of(text) for text in request.filter]


def filtered(listing: Listing, request: PageRequest, parameters: Sequence[object] = ()) -> Statement:
    statement = Statement(arguments=list(parameters))
    # What costs least is looked at first.
    for matcher in sorted(matchers(request), key=lambda each: each.operator.is_regex):
        statement.conditions.append(_condition(statement, listing, matcher))
    if request.q:
        statement.conditions.append(_search(listing, statement.argument(f"%{_escaped(request.q)}%")))
    return statement


def _search(listing: Listing, place: str) -> str:
    found = [f"{column} ILIKE {place}" for column in listing.search]
    if listing.lowered is not None:
        found.append(f"{listing.lowered} LIKE lower({place})")
    return " OR ".join(found) or f"{place}::text IS NULL"


def matcher_of(text: str) -> Matcher:
    """A filter as a matcher. Raises Invalid."""
    try:
        return parse_matcher(text)
    except ValueError as error:
        raise Invalid(str(error), code="request.filter_invalid", details=[Detail(("filter",), str(error))]) from error


def _condition(statement: Statement, listing: Listing, matcher: Matcher) -> str:
    column = listing.columns.get(matcher.name)
    if column is not None and column.type == "text" and matcher.operator is Operator.EQUAL and matcher.value:
        return f"{column.sql} = {statement.argument(matcher.value)}"  # an index can help
    left = subject(statement, listing, matcher.name)
    if matcher.operator.is_regex:
        fits = _expression(statement, left, matcher.value)
        return f"NOT ({fits})" if matcher.operator.is_negative else fits
    return f"{left} {'<>' if matcher.operator.is_negative else '='} {statement.argument(matcher.value)}"


def _expression(statement: Statement, left: str, pattern: str) -> str:
    """Whether a text fits an expression; PostgreSQL runs that only where no comparison tells, which is faster."""
    reading = read_pattern(pattern)
    if reading.values:
        return f"{left} = ANY ({statement.argument(reading.values)}::text[])"
    likes = [_like(parts) for parts in reading.alternatives]
    if reading.is_whole:
        return f"{left} LIKE ANY ({statement.argument(likes)}::text[])"
    fits = f"{left} ~ {statement.argument(_posix(pattern))}"
    if not reading.is_telling:
        return fits
    return f"{left} LIKE ANY ({statement.argument([f'{like}%' for like in likes])}::text[]) AND {fits}"


def subject(statement: Statement, listing: Listing, name: str) -> str:
    """A field, or a label where there are any, as a text. Raises Invalid for one that the list does not have."""
    if name in listing.columns:
        return f"coalesce(({listing.columns[name].sql})::text, '')"
    if listing.labels is not None:
        return f"coalesce({listing.labels} ->> {statement.argument(name)}, '')"
    message = f'cannot filter by "{name}"; known: {", ".join(listing.columns)}'
    raise Invalid(message, code="request.filter_invalid", details=[Detail(("filter",), message)])


def _like(parts: Parts) -> str:
    return "".join(_LIKE[part] if isinstance(part, Gap) else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    """A text as LIKE reads it."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _posix(pattern: str) -> str:
    r"""An RE2 pattern for the whole value as PostgreSQL spells it, which takes options only in front and where
    `\b` is a backspace. What it cannot do at all it refuses."""
    options = "(?i)" if pattern.startswith("(?i)") else ""
    body = _ESCAPE.sub(lambda found: _ESCAPED.get(found[0], found[0]), pattern.removeprefix(options))
    return f"{options}^(?:{body})$"


def _select(listing: Listing, statement: Statement, order: list[_Order], limit: int) -> str:
    return (
        f"SELECT t.*, {_places(order)} AS _keys FROM ({listing.source}) AS t"  # noqa: S608 - the listing is ours
        f" WHERE {statement.where} ORDER BY {_by(order)} LIMIT {limit}"
    )


def _select_walking(
    listing: Listing, statement: Statement, order: list[_Order], after: str, *, limit: int, among: int | None
) -> str:
    """The same from so many of the first rows, of which PostgreSQL reads only what the filter and the order need."""
    source, by = f"({listing.source}) AS t", _by(order)
    near = f"SELECT t.* FROM {source} WHERE {after}"  # noqa: S608 - the listing is ours
    if among is not None:
        near += f" ORDER BY {by} LIMIT {among}"
    picked = (
        f"SELECT {listing.key} AS key FROM ({near}) AS t"  # noqa: S608 - as above
        f" WHERE {statement.where} ORDER BY {by} LIMIT {limit}"
    )
    return (
        f"WITH picked AS MATERIALIZED ({picked}) SELECT t.*, {_places(order)} AS _keys"  # noqa: S608 - as above
        f" FROM picked JOIN {source} ON {listing.key} = picked.key ORDER BY {by}"
    )


def _places(order: list[_Order]) -> str:
    return f"ARRAY[{', '.join(f'({part.column.sql})::text' for part in order)}]"


def _by(order: list[_Order]) -> str:
    return ", ".join(f"{part.column.sql} {'DESC' if part.descending else 'ASC'}" for part in order)


def _after(statement: Statement, order: list[_Order], values: list[str]) -> str:
    """Behind the row with these values: greater in the first column, or equal there and greater in the next …"""
    alternatives, equal = [], ""
    for part, value in zip(order, values, strict=True):
        place = f"{statement.argument(value)}::text::{part.column.type}"
        alternatives.append(f"{equal}{part.column.sql} {'<' if part.descending else '>'} {place}")
        equal += f"{part.column.sql} = {place} AND "
    return " OR ".join(f"({alternative})" for alternative in alternatives)


def _cursor(request: PageRequest, listing: Listing, row: asyncpg.Record) -> str:
    content = orjson.dumps([request.sort or listing.sort, *row["_keys"]])
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _opened(request: PageRequest, listing: Listing, length: int) -> list[str]:
    cursor = request.cursor or ""
    try:
        content = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        content = None
    sort = request.sort or listing.sort
    whole = isinstance(content, list) and len(content) == length + 1 and all(isinstance(v, str) for v in content)
    if not whole or content[0] != sort or any("\x00" in value for value in content):
        message = "this cursor is not one of this list and this sort; start again without it"
        raise Invalid(message, code="request.cursor_invalid", details=[Detail(("cursor",), message)])
    values: list[str] = content[1:]
    return values
