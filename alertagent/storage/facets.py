"""What values the rows of a list have, and how often: one look at the rows, however many fields are asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alertagent.storage.database import Executor
from alertagent.storage.pages import Listing, PageRequest, explained, filtered, subject

TOP = 50


@dataclass(frozen=True, slots=True)
class Facets:
    """`values`: by field, its most frequent values, at most TOP; "" stands for rows without it."""

    total: int
    values: Mapping[str, Mapping[str, int]]


async def fetch_facets(executor: Executor, listing: Listing, request: PageRequest, by: Sequence[str]) -> Facets:
    """Count the values of these fields among what fits the filter. Raises Invalid for a bad filter or field."""
    statement = filtered(listing, request)
    columns = ", ".join(f"{subject(statement, listing, name)} AS v{place}" for place, name in enumerate(by))
    tops = " UNION ALL ".join(
        f"(SELECT {place} AS place, v{place} AS value, count(*) AS count FROM kept"  # noqa: S608 - all of it is ours
        f" GROUP BY v{place} ORDER BY count(*) DESC, v{place} LIMIT {TOP})"
        for place in range(len(by))
    )
    with explained():
        rows = await executor.fetch(
            f"WITH kept AS MATERIALIZED (SELECT {columns} FROM ({listing.source}) AS t"  # noqa: S608
            f" WHERE {statement.where}) {tops} UNION ALL SELECT -1, '', count(*) FROM kept",
            *statement.arguments,
        )
    values: dict[str, dict[str, int]] = {name: {} for name in by}
    for row in rows:
        if row["place"] >= 0:
            values[by[row["place"]]][row["value"]] = row["count"]
    return Facets(total=next(row["count"] for row in rows if row["place"] < 0), values=values)
