"""Durations as vmalert writes them; what else a field may hold is told by the tests of whole files."""

from datetime import timedelta

import pytest

from alertagent.core.rules.file_values import parse_metricsql_duration


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
