"""Durations as vmalert writes them, numbers as both do; what else fields hold is told by tests of whole files."""

from datetime import timedelta

import pytest

from alertagent.core.rules.file_values import Misread, parse_metricsql_duration, read_integer
from alertagent.kernel.yaml_guard import load


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("90", 90_000),
        ("0", 0),
        ("1.5", 1_500),
        (".5", 500),
        ("1.5h", 5_400_000),
        ("12h1d", 129_600_000),
        ("1d12h", 129_600_000),
        ("1h1h", 7_200_000),
        ("5M", 300_000),
        ("1w1y", 372 * 86_400_000),
        ("3ms", 3),
        ("0.003s", 3),
    ],
)
def test_a_duration_of_vmalert_is_read_exactly(text: str, milliseconds: int) -> None:
    assert parse_metricsql_duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a duration"),
        ("-5m", "not a duration"),
        ("1h30", "not a duration"),
        ("5 m", "not a duration"),
        ("1i", "not a duration"),
        ("1e3", "not a duration"),
        ("1" * 200 + "s", "not a duration"),
        ("0.1ms", "no whole number of milliseconds"),
        ("999y", "out of range"),
    ],
)
def test_what_is_none_or_would_lose_something_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_metricsql_duration(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10", 10),
        ("+5", 5),
        ("-1", -1),
        ("00", 0),
        ("010", 8),
        ("-010", -8),
        ("089", 89),
        ("0x1F", 31),
        ("0o17", 15),
        ("0b11", 3),
        ("1_000", 1000),
        ("~", None),
    ],
)
def test_a_number_is_what_the_servers_read(text: str, number: int | None) -> None:
    assert read_integer(load(text)) == number


@pytest.mark.parametrize("text", ["'5'", "_1", "1.5", "0x", "0xg", "five", "9" * 19, "[1]"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(Misread, match="whole number"):
        read_integer(load(text))
