"""Everything that a database holds, as a thief of it would read it."""

import orjson

from alertagent.storage.database import Database

_COLUMNS = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
     WHERE table_schema = 'public' ORDER BY table_name, ordinal_position
"""


async def dump(database: Database) -> str:
    """Every value of every column of every table; JSON without its escapes, bytes as the characters that they are."""
    lines: list[str] = []
    for row in await database.fetch(_COLUMNS):
        table, column = row["table_name"], row["column_name"]
        held = await database.fetch(f'SELECT "{column}" AS held FROM "{table}"')
        lines += (f"{table}.{column}: {_readable(value['held'])}" for value in held)
    return "\n".join(lines)


def _readable(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict | list):
        return (
            "\n".join(map(_readable, value.values() if isinstance(value, dict) else value))
            + orjson.dumps(value, default=str).decode()
        )
    return str(value)
