"""Lists: walking them, filtering them, and everything that may be wrong with a request for one."""

import base64
import itertools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alertagent.kernel.errors import Invalid
from alertagent.kernel.matchers import Operator, parse_matcher, written
from alertagent.storage import pages
from alertagent.storage.database import Database
from alertagent.storage.pages import Column, Listing, PageRequest, fetch_page
from tests.support.expressions import EXPRESSIONS, VALUES

LISTING = Listing(
    source="SELECT * FROM things",
    columns={
        "id": Column("t.id"),
        "name": Column("t.name"),
        "size": Column("t.size", "int"),
        "ready": Column("t.ready", "boolean"),
        "made_at": Column("t.made_at", "timestamptz"),
    },
    sort="name",
    key="t.id",
    labels="t.labels",
    search=("t.name", "t.id"),
)

# Few names, sizes and times for many rows: every sort has ties.
ROWS: list[dict[str, Any]] = [
    {
        "id": f"id{number:02}",
        "name": ["a", "B", "b%c", "b_c", "é", "漢", "back\\slash", ""][number % 8],
        "size": number % 3 - 1,
        "ready": number % 2 == 0,
        "made_at": f"2026-01-01T00:00:00.{number % 4:06}Z",
        "labels": {"env": ["prod", "test"][number % 2], "a b": "x", "n": str(number)} if number % 5 else {},
    }
    for number in range(25)
]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.connect(database_url) as database:
        await database.execute(
            "CREATE TABLE things (id text PRIMARY KEY, name text NOT NULL, size int NOT NULL, ready boolean NOT NULL,"
            " made_at timestamptz NOT NULL, labels jsonb NOT NULL)"
        )
        await database.execute(
            "INSERT INTO things SELECT * FROM jsonb_populate_recordset(NULL::things, $1)",
            ROWS,
        )
        yield database


async def ids(database: Database, *filters: str, q: str | None = None) -> list[str]:
    asked = PageRequest(limit=500, filter=filters, sort="id", q=q)
    return [row["id"] for row in (await fetch_page(database, LISTING, asked)).rows]


def having(holds: Callable[[Any], bool]) -> list[str]:
    return [str(row["id"]) for row in ROWS if holds(row)]


async def walked(database: Database, sort: str, limit: int) -> list[str]:
    found, cursor = [], None
    for _ in range(100):
        page = await fetch_page(database, LISTING, PageRequest(limit=limit, sort=sort, cursor=cursor))
        assert page.total == len(ROWS)
        found += [row["id"] for row in page.rows]
        if (cursor := page.next_cursor) is None:
            return found
    raise AssertionError("the pages do not end")


SORTS = [f"{'-' if descending else ''}{name}" for name, descending in itertools.product(LISTING.columns, (False, True))]


async def test_the_pages_of_every_sort_give_every_row_once(database: Database) -> None:
    pairs = [",".join(pair) for pair in itertools.permutations(SORTS, 2)]
    for sort in [*SORTS, *pairs, "ready,-size,made_at,-name", "name,name", "-size,size", " name , -size "]:
        found = await walked(database, sort, limit=7)
        assert sorted(found) == [row["id"] for row in ROWS], sort
        assert found == await walked(database, sort, limit=500), sort


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sort=st.lists(st.sampled_from(SORTS), min_size=1, max_size=5), limit=st.integers(1, 30))
async def test_so_do_pages_of_any_size(database: Database, sort: list[str], limit: int) -> None:
    found = await walked(database, ",".join(sort), limit)

    assert sorted(found) == [row["id"] for row in ROWS]


async def test_descending_is_ascending_backwards(database: Database) -> None:
    for name in LISTING.columns:
        forwards, backwards = await walked(database, name, 500), await walked(database, f"-{name}", 500)
        assert backwards == forwards[::-1], name


async def test_rows_that_come_and_go_move_nothing(database: Database) -> None:
    first = await fetch_page(database, LISTING, PageRequest(limit=3, sort="id"))
    await database.execute("DELETE FROM things WHERE id IN ('id00', 'id02')")
    await database.execute(
        "INSERT INTO things VALUES ('id', 'new', 0, true, now(), '{}'), ('id02a', 'new', 0, true, now(), '{}')"
    )

    second = await fetch_page(database, LISTING, PageRequest(limit=2, sort="id", cursor=first.next_cursor))

    assert [row["id"] for row in second.rows] == ["id02a", "id03"]


async def test_without_a_sort_the_lists_own_one_counts(database: Database) -> None:
    page = await fetch_page(database, LISTING, PageRequest(limit=500))

    assert [row["id"] for row in page.rows] == await walked(database, "name", 500)


async def test_the_last_page_has_no_cursor_even_when_it_is_full(database: Database) -> None:
    assert (await fetch_page(database, LISTING, PageRequest(limit=25))).next_cursor is None
    assert (await fetch_page(database, LISTING, PageRequest(limit=24))).next_cursor is not None


CURSORS = [
    ("", "empty"),
    ("not base64!", "no base64"),
    ("é", "no ASCII"),
    ("AAAA", "no JSON"),
    ("e30", "no list"),
    ("W10", "an empty list"),
    ('["name"]', "no values"),
    ('["name","a"]', "too few values"),
    ('["name","a","id01","x"]', "too many values"),
    ('["name",1,"id01"]', "a number"),
    ('["name",null,"id01"]', "null"),
    ('["-name","a","id01"]', "another sort"),
    ('["name","a\\u0000","id01"]', "NUL"),
]


async def test_a_cursor_that_is_not_of_this_list_is_refused(database: Database) -> None:
    for cursor, what in CURSORS:
        sent = base64.urlsafe_b64encode(cursor.encode()).decode() if cursor.startswith("[") else cursor
        with pytest.raises(Invalid) as caught:
            await fetch_page(database, LISTING, PageRequest(cursor=sent))
        assert caught.value.code == "request.cursor_invalid", what
        assert caught.value.details[0].loc == ("cursor",), what


async def test_a_tampered_cursor_whose_value_has_no_sense_is_refused(database: Database) -> None:
    for column in ("size", "ready", "made_at"):
        cursor = base64.urlsafe_b64encode(json.dumps([column, "'; DROP TABLE things --", "id01"]).encode()).decode()
        with pytest.raises(Invalid) as caught:
            await fetch_page(database, LISTING, PageRequest(sort=column, cursor=cursor))
        assert caught.value.code == "request.filter_invalid", column


async def test_a_cursor_of_one_sort_is_refused_by_another(database: Database) -> None:
    cursor = (await fetch_page(database, LISTING, PageRequest(limit=1, sort="name"))).next_cursor

    for sort in ("-name", "name,id", "size", "name "):
        with pytest.raises(Invalid, match="this sort"):
            await fetch_page(database, LISTING, PageRequest(sort=sort, cursor=cursor))


FILTERS: list[tuple[str, Callable[[Any], bool]]] = [
    ('name="a"', lambda row: row["name"] == "a"),
    ('name!="a"', lambda row: row["name"] != "a"),
    ('name=""', lambda row: row["name"] == ""),
    ('name=~"b.c"', lambda row: row["name"] in {"b%c", "b_c"}),
    ('name!~"b.c|a"', lambda row: row["name"] not in {"b%c", "b_c", "a"}),
    ('name=~"(?i)b.*"', lambda row: row["name"].lower().startswith("b")),
    ('name=~"b"', lambda row: False),
    (r'name=~"[[:alpha:]]\\b.*"', lambda row: row["name"] in {"a", "B", "b%c", "é", "漢"}),
    (r'name="back\\slash"', lambda row: row["name"] == "back\\slash"),
    ('size="-1"', lambda row: row["size"] == -1),
    ('size=~"0|1"', lambda row: row["size"] in {0, 1}),
    ('size="one"', lambda row: False),
    ('ready="true"', lambda row: row["ready"]),
    ('ready!="true"', lambda row: not row["ready"]),
    ('env="prod"', lambda row: row["labels"].get("env") == "prod"),
    ('env=""', lambda row: "env" not in row["labels"]),
    ('env!="prod"', lambda row: row["labels"].get("env") != "prod"),
    ('env=~"prod|test"', lambda row: "env" in row["labels"]),
    ('env=~".*"', lambda row: True),
    ('env!~".+"', lambda row: "env" not in row["labels"]),
    ('"a b"="x"', lambda row: "a b" in row["labels"]),
    ('nobody_has_this="x"', lambda row: False),
]


async def test_a_filter_finds_what_it_says(database: Database) -> None:
    for text, holds in FILTERS:
        assert await ids(database, text) == having(holds), text


WORDS = Listing(
    source="SELECT word FROM unnest($1::text[]) AS word", columns={"word": Column("t.word")}, sort="word", key="t.word"
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=EXPRESSIONS, operator=st.sampled_from(["=~", "!~"]))
async def test_whatever_comparison_an_expression_becomes_finds_the_same(
    database: Database, pattern: str, operator: str
) -> None:
    filter = written("word", Operator(operator), pattern)
    matcher = parse_matcher(filter)
    page = await fetch_page(database, WORDS, PageRequest(limit=500, filter=[filter]), VALUES)

    assert {row["word"] for row in page.rows} == {word for word in VALUES if matcher.matches({"word": word})}


async def test_all_filters_must_hold_and_the_total_counts_what_is_left(database: Database) -> None:
    page = await fetch_page(
        database, LISTING, PageRequest(limit=1, filter=('env="prod"', 'ready="true"', 'name!="a"'), q="id")
    )

    expected = [
        row
        for row in ROWS
        if row["labels"] and row["ready"] and row["name"] != "a"  # an even number is prod
    ]
    assert page.total == len(expected)


INJECTIONS = [
    "' OR '1'='1",
    "'; DROP TABLE things; --",
    "$1",
    "%s",
    "t.id",
    "{name}",
    "a' || pg_sleep(10) || '",
    "\\'; SELECT 1",
    "''",
    "/*",
]


async def test_nothing_in_a_filter_or_a_search_becomes_sql(database: Database) -> None:
    for text in INJECTIONS:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        for filter_ in (f'name="{quoted}"', f'env="{quoted}"', f'"{quoted}"="x"'):
            assert await ids(database, filter_) == [], filter_
        assert await ids(database, q=text) == [], text
        with pytest.raises(Invalid):
            await fetch_page(database, LISTING, PageRequest(sort=text))

    assert len(await ids(database)) == len(ROWS)


SEARCHES: list[tuple[str, set[str]]] = [
    ("%", {"b%c"}),
    ("_", {"b_c"}),
    ("b_", {"b_c"}),
    ("\\", {"back\\slash"}),
    ("B", {"B", "b%c", "b_c", "back\\slash"}),
    ("漢", {"漢"}),
    ("É", {"é"}),
    ("nothing like it", set()),
    ("", {str(row["name"]) for row in ROWS}),
]


async def test_a_search_finds_the_text_as_it_is_written(database: Database) -> None:
    for q, names in SEARCHES:
        found = (await fetch_page(database, LISTING, PageRequest(limit=500, q=q))).rows
        assert {row["name"] for row in found} == names, q


async def test_a_search_in_a_list_without_searchable_columns_finds_nothing(database: Database) -> None:
    assert (await fetch_page(database, replace(LISTING, search=()), PageRequest(q="a"))).total == 0


IMPOSSIBLE_FILTERS = [
    "",
    "name",
    'name="a',
    'name=~"("',
    'name=~"a(?=b)"',
    'name=~"a{1001}"',
    'name=~"x{300}"',  # RE2 takes it, PostgreSQL does not
    r'name=~"\\pN"',
    'env=~"*"',
    'name=~"' + "a" * 1025 + '"',
]


async def test_a_filter_that_cannot_be_is_refused(database: Database) -> None:
    for filter_ in IMPOSSIBLE_FILTERS:
        with pytest.raises(Invalid) as caught:
            await ids(database, filter_)
        assert caught.value.code == "request.filter_invalid", filter_


async def test_a_field_that_a_list_without_labels_does_not_have_is_refused_with_those_it_has(
    database: Database,
) -> None:
    with pytest.raises(Invalid, match='cannot filter by "env"; known: id, name, size, ready, made_at'):
        await fetch_page(database, replace(LISTING, labels=None), PageRequest(filter=('env="prod"',)))


async def test_a_sort_by_what_is_no_column_is_refused_with_those_that_are(database: Database) -> None:
    for sort in ["env", "-", ",", "name,", "--name", "name;id", "t.id", "name desc", "NAME"]:
        with pytest.raises(Invalid, match="known: id, name, size") as caught:
            await fetch_page(database, LISTING, PageRequest(sort=sort))
        assert caught.value.code == "request.sort_invalid", sort


async def test_what_is_too_many_to_count_has_no_total(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "COUNT_UP_TO", 25)
    assert (await fetch_page(database, LISTING, PageRequest())).total == 25

    monkeypatch.setattr(pages, "COUNT_UP_TO", 24)
    assert (await fetch_page(database, LISTING, PageRequest())).total is None


async def test_a_source_may_have_parameters_beside_those_of_the_request(database: Database) -> None:
    small = replace(LISTING, source="SELECT * FROM things WHERE size = ANY ($1::int[]) AND ready = $2")
    expected = [row["id"] for row in ROWS if row["size"] == 1 and row["ready"] and row["labels"].get("env") == "prod"]

    page = await fetch_page(database, small, PageRequest(filter=['env="prod"'], sort="id"), [1], True)

    assert [row["id"] for row in page.rows] == expected
    assert page.total == len(expected)


@pytest.mark.parametrize("near", [(1,), (4, 8), (25,), ()])
async def test_a_filter_that_is_tried_on_the_first_rows_before_finds_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch, near: tuple[int, ...]
) -> None:
    monkeypatch.setattr(pages, "NEAR", near)
    by_walking = replace(LISTING, walked=("made_at", "size"))

    for sort, filter in itertools.product(
        ["made_at", "-made_at", "-size", "name"], ['env="prod"', 'name!~"b.*"', 'n="7"']
    ):
        cursors: list[str | None] = [None, None]
        for _ in range(len(ROWS)):
            one, other = [
                await fetch_page(database, listing, PageRequest(limit=2, sort=sort, filter=[filter], cursor=cursor))
                for listing, cursor in zip((LISTING, by_walking), cursors, strict=True)
            ]
            assert (one.rows, one.total) == (other.rows, other.total), (sort, filter)
            cursors = [one.next_cursor, other.next_cursor]
            if cursors == [None, None]:
                break
        assert cursors == [None, None]
