"""SQL by name: every feature keeps its statements in a `queries.sql` beside its code.

A block starts with `-- name: replace_rule` and goes on to the next one. Comments inside belong to the reader of
the file and of the server's log.
"""

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


class Queries:
    """The named statements of one `queries.sql`, as attributes."""

    def __init__(self, text: str, source: str) -> None:
        parts = _NAME.split(text)
        self._source = source
        self._statements = {name: statement.strip() for name, statement in zip(parts[1::2], parts[2::2], strict=True)}
        if len(self._statements) != len(parts[1::2]):
            raise ValueError(f"{source}: a name stands twice")

    def __getattr__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"{self._source} has no statement named {name!r}") from None


def load_queries(package: str) -> Queries:
    """Read the `queries.sql` of a package."""
    return Queries(files(package).joinpath("queries.sql").read_text("utf-8"), f"{package}/queries.sql")
