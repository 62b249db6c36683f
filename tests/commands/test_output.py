import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alertagent.commands.output import Columns, Format, Output, clean, columns_of, table

ROWS = [
    {"id": "1", "name": "北京\x1b[31m\n一", "on": True, "tags": ["a", "b"], "hidden": None},
    {"id": "22", "name": "b", "on": False, "tags": [], "hidden": 1},
]
COLUMNS: Columns = {
    "ID": "id",
    "NAME": "name",
    "ON": "on",
    "TAGS": "tags",
    "TWICE": lambda row: row["id"] * 2,
    "NONE": "none",
}


def test_where_it_goes_to_a_program_a_table_is_whole_and_parted_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    Output().list(ROWS, COLUMNS, empty="nothing")

    assert capsys.readouterr().out.splitlines() == [
        "ID\tNAME\tON\tTAGS\tTWICE\tNONE",
        "1\t北京 [31m 一\tyes\ta,b\t11\t-",
        "22\tb\tno\t-\t2222\t-",
    ]


def test_programs_get_every_field_as_json_or_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    Output(Format.JSON).list(ROWS, COLUMNS, empty="nothing")
    assert json.loads(capsys.readouterr().out) == ROWS
    Output(Format.YAML).list(ROWS, COLUMNS, empty="nothing")
    assert yaml.safe_load(capsys.readouterr().out) == ROWS
    Output(Format.YAML).said("done", {"count": 1})
    assert capsys.readouterr().out == "count: 1\n"
    Output(Format.JSON).one(ROWS[0])
    assert json.loads(capsys.readouterr().out) == ROWS[0]


def test_one_thing_is_yaml_for_people_which_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Output().one(ROWS[0])

    shown = capsys.readouterr().out
    assert yaml.safe_load(shown) == ROWS[0]
    assert "\x1b" not in shown


def test_that_there_is_nothing_is_said_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    Output().list([], COLUMNS, empty="there is nothing")
    assert tuple(capsys.readouterr()) == ("", "there is nothing\n")
    Output(Format.JSON).list([], COLUMNS, empty="there is nothing")
    assert tuple(capsys.readouterr()) == ("[]\n", "")


def test_chinese_characters_take_two_columns_each() -> None:
    assert table([["ID", "NAME", "X"], ["1", "北京", "y"], ["2", "b", "z"]], 80) == [
        "ID  NAME  X",
        "1   北京  y",
        "2   b     z",
    ]


def test_the_widest_columns_give_way_to_the_terminal() -> None:
    rows = [["ID", "WHY", "ERROR"], ["1", "exhausted", "e" * 50]]

    assert table(rows, 25) == ["ID  WHY        ERROR", "1   exhausted  eeeeeeeee…"]
    assert table(rows, 1) == ["ID  WHY  ERROR", "1   ex…  eeee…"]


CELLS = st.text(alphabet="ab 北é", max_size=30).map(str.strip)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5), st.integers(20, 120))
def test_every_line_fits_whatever_the_cells_are(cells: list[tuple[str, str, str]], width: int) -> None:
    lines = table([("A", "B", "C"), *cells], width)

    assert len(lines) == len(cells) + 1
    assert all(columns_of(line) <= width for line in lines)


@given(st.text())
def test_no_text_can_steer_a_terminal(text: str) -> None:
    assert all(ord(character) >= 32 and not 127 <= ord(character) < 160 for character in clean(text))
