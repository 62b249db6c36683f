"""Facets over a list of a test's own."""

from collections.abc import AsyncIterator

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.storage.database import Database
from alertagent.storage.facets import Facets, fetch_facets
from alertagent.storage.pages import Column, Listing, PageRequest

THINGS = Listing(
    source="SELECT * FROM things",
    columns={"id": Column("t.id"), "size": Column("t.size", "int"), "ready": Column("t.ready", "boolean")},
    sort="id",
    key="t.id",
    labels="t.labels",
    search=("t.id",),
)


@pytest.fixture
async def database(empty_database_url: str) -> AsyncIterator[Database]:
    async with Database.connect(empty_database_url, connections=2) as database:
        await database.execute("CREATE TABLE things (id text, size int, ready boolean, labels jsonb)")
        await database.execute(
            "INSERT INTO things SELECT 'thing' || n, n % 3, n % 2 = 0, jsonb_build_object('n', n::text, 'odd', n % 2)"
            " FROM generate_series(1, 9) AS n"
        )
        yield database


async def test_fields_and_labels_are_counted_most_frequent_first(database: Database) -> None:
    facets = await fetch_facets(database, THINGS, PageRequest(), ["ready", "size", "odd"])

    assert facets.total == 9
    assert list(facets.values["ready"].items()) == [("false", 5), ("true", 4)]
    assert list(facets.values["size"].items()) == [("0", 3), ("1", 3), ("2", 3)]
    assert facets.values["odd"] == {"1": 5, "0": 4}


async def test_only_what_fits_counts(database: Database) -> None:
    facets = await fetch_facets(database, THINGS, PageRequest(filter=['n=~"1|2"'], q="THING"), ["missing", "n"])

    assert facets == Facets(2, {"missing": {"": 2}, "n": {"1": 1, "2": 1}})


async def test_where_nothing_fits_every_facet_is_empty(database: Database) -> None:
    assert await fetch_facets(database, THINGS, PageRequest(q="none"), ["n"]) == Facets(0, {"n": {}})


async def test_names_and_values_are_arguments_and_never_sql(database: Database) -> None:
    name = "n' FROM things; DROP TABLE things; --"

    facets = await fetch_facets(database, THINGS, PageRequest(), [name])

    assert facets.values == {name: {"": 9}}


async def test_a_bad_filter_is_refused(database: Database) -> None:
    with pytest.raises(Invalid):
        await fetch_facets(database, THINGS, PageRequest(filter=["n"]), ["n"])
