"""Statements by name."""

import pytest

from alertagent.storage.queries import Queries, load_queries

TEXT = """-- What stands above the first name belongs to the reader.

-- name: first
-- A remark that goes to the server too.
SELECT 1;

-- name:second
SELECT '-- name: not a block';
"""


def test_a_statement_is_an_attribute_with_its_remarks() -> None:
    queries = Queries(TEXT, "here")

    assert queries.first == "-- A remark that goes to the server too.\nSELECT 1;"
    assert queries.second == "SELECT '-- name: not a block';"


def test_a_missing_name_is_told_with_its_file() -> None:
    with pytest.raises(AttributeError, match=r"here has no statement named 'third'"):
        _ = Queries(TEXT, "here").third


def test_a_name_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="here: a name stands twice"):
        Queries("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;", "here")


@pytest.mark.parametrize(
    "package", ["storage", "queue", *(f"core.{name}" for name in ("audit", "auth", "clusters", "rules"))]
)
def test_the_statements_of_a_package_are_read_from_its_file(package: str) -> None:
    assert isinstance(load_queries(f"alertagent.{package}"), Queries)
