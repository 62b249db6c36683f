"""What commands print: tables for people, JSON or YAML for programs.

A table is fitted to the terminal. Where its output goes elsewhere it is not cut, and tabs part the columns, so that
`cut -f1` does what one expects. No character of a value can steer the terminal.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any
from unicodedata import east_asian_width

import click

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_GAP = 2

Row = Mapping[str, Any]
Columns = Mapping[str, str | Callable[[Row], Any]]
"""By heading: the name of a field, or what makes the cell out of the row."""


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class Output:
    """Where a command puts what it has to show."""

    def __init__(self, format: Format = Format.TABLE) -> None:
        self._format = format

    @property
    def is_for_people(self) -> bool:
        return self._format is Format.TABLE

    def list(self, rows: Iterable[Row], columns: Columns, *, empty: str) -> None:
        """Many things; programs get all their fields, and `empty` tells people that there are none."""
        found = list(rows)
        if self._format is not Format.TABLE:
            self._document(found)
        elif not found:
            click.echo(empty, err=True)
        else:
            cells = [[_cell(row, source) for source in columns.values()] for row in found]
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
            click.echo("\n".join(table([list(columns), *cells], width)))

    def one(self, thing: Any) -> None:
        """One thing with all its fields; for people as YAML, which escapes what could steer a terminal."""
        if self._format is Format.TABLE:
            Output(Format.YAML).one(thing)
        else:
            self._document(thing)

    def said(self, text: str, data: Any) -> None:
        """What was done: lines for people, none where there is no text; the data for programs."""
        if self._format is not Format.TABLE:
            self._document(data)
        elif text:
            click.echo("\n".join(map(clean, text.split("\n"))))

    def _document(self, data: Any) -> None:
        if self._format is Format.JSON:
            click.echo(json.dumps(data, ensure_ascii=False, indent=2))
            return
        import yaml  # noqa: PLC0415 - paid for by whoever wants it

        click.echo(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), nl=False)


def table(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """The rows, the first of which has the headings, as lines: within a width, or parted by tabs."""
    if width is None:
        return ["\t".join(row) for row in rows]
    widths = _fitted([max(map(columns_of, column)) for column in zip(*rows, strict=True)], rows[0], width)
    return [
        (" " * _GAP).join(_padded(cell, wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def columns_of(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese characters take two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def clean(text: str) -> str:
    return _CONTROL.sub(" ", text)


def _cell(row: Row, source: str | Callable[[Row], Any]) -> str:
    value = row.get(source) if isinstance(source, str) else source(row)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return clean(",".join(map(str, value))) or "-"
    return clean(str(value)) or "-"


def _fitted(widths: list[int], headings: Sequence[str], width: int) -> list[int]:
    """Take from the widest column, one at a time, but leave every heading whole."""
    excess = sum(widths) + _GAP * (len(widths) - 1) - width
    while excess > 0:
        able = [number for number, wide in enumerate(widths) if wide > columns_of(headings[number])]
        if not able:
            break
        widths[max(able, key=lambda number: widths[number])] -= 1
        excess -= 1
    return widths


def _padded(text: str, width: int) -> str:
    if columns_of(text) > width:
        while columns_of(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - columns_of(text))
