import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alertagent.core.analysis.values import MAX_SERIES, measured, read_series, span

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "is_asked"),
    [
        ("cpu > 90", "cpu"),
        ("90 < cpu", "cpu"),
        ("rate(errors[5m]) / rate(all[5m]) >= 0.1", "rate(errors[5m]) / rate(all[5m])"),
        ("up == 0", "up"),
        ("a > b", "a > b"),
        ("a and b > 1", "a and b > 1"),
        ("absent(up)", "absent(up)"),
        ("cpu > ${threshold}", "cpu > ${threshold}"),
        ("sum(", "sum("),
        ("(" * 3000, "(" * 3000),
    ],
)
def test_the_measured_side_of_a_comparison_is_asked_for(expression: str, is_asked: str) -> None:
    assert measured(expression).split() == is_asked.split()


def test_the_span_lies_around_the_start_and_never_in_the_future() -> None:
    early, late = span(NOON, NOON + timedelta(minutes=1)), span(NOON, NOON + timedelta(hours=1))

    assert float(early["end"]) - float(early["start"]) == 31 * 60
    assert float(late["end"]) - float(late["start"]) == 40 * 60


def answer(*series: dict[str, str]) -> bytes:
    result: list[dict[str, object]] = [
        {"metric": {"__name__": "up", **labels}, "values": [[1764331200, "1"]]} for labels in series
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def test_series_of_other_things_are_left_out() -> None:
    found = read_series(answer({"instance": "b"}, {}, {"instance": "a", "job": "node"}), {"instance": "a"})

    assert [dict(series.labels) for series in found] == [{"instance": "a", "job": "node"}, {}]
    assert found[0].points == ((datetime(2025, 11, 28, 12, tzinfo=UTC), "1"),)


def test_a_storm_of_series_is_cut() -> None:
    assert len(read_series(answer(*({"n": str(number)} for number in range(100))), {})) == MAX_SERIES


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"data": null}',
        b'{"data": {"result": [{}]}}',
        b'{"data": {"result": [{"metric": {}, "values": [["x", "1"]]}]}}',
        b'{"data": {"result": [{"metric": {}, "values": [[1e300, "1"]]}]}}',
        b'{"data": {"result": [{"metric": {}, "values": [5]}]}}',
    ],
)
def test_what_is_no_matrix_has_no_values(body: Any) -> None:
    assert read_series(body, {}) == ()
