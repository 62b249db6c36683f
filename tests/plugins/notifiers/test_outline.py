from datetime import timedelta

import pytest

from alertagent.plugins.notifiers.outline import SHORTENED, fit, named, outline, plain, title
from tests.support.messages import NOON, make_alert, make_message

GROUP = """\
Severity: warning
Started: 2026-11-22T14:40:00Z

Alerts (3)
- HighCPU: instance=a
- HighCPU: instance=b, zone=z1
- [resolved] HighCPU: instance=c
AlertAgent: https://alertagent.example
Source: http://prom.example/graph?g0.expr=up

Description
CPU usage is over 90%

Labels
alertname: HighCPU
severity: warning"""


def test_a_group_names_its_alerts_by_what_sets_them_apart() -> None:
    message = make_message(
        make_alert(severity="warning", instance="a"),
        make_alert(severity="warning", instance="b", zone="z1"),
        make_alert(severity="warning", instance="c", status="resolved"),
    )

    assert "\n".join(map(plain, outline(message, names=1_000))) == GROUP
    assert title(message) == "[FIRING] HighCPU"


def test_a_single_alert_shows_its_labels_and_annotations_and_its_end() -> None:
    alert = make_alert(
        severity="", status="resolved", ends_at=NOON + timedelta(minutes=5), annotations={"summary": "two\nlines"}
    )

    lines = list(map(plain, outline(make_message(alert, content=""), names=1_000)))

    assert "Severity: not set" in lines
    assert "Ended: 2026-11-22T14:45:00Z" in lines
    assert "summary: two lines" in lines
    assert "\nDescription" not in lines


def test_where_there_is_little_room_each_alert_gets_less() -> None:
    alerts = [make_alert(f"Alert{number:02}", junk="x" * 500) for number in range(20)]

    lines = named(alerts, {}, room=600)

    assert len(lines) == 20
    assert all(f"Alert{number:02}" in line for number, line in enumerate(lines))
    assert sum(len(line.encode()) + 1 for line in lines) <= 600


def test_those_that_find_no_room_are_counted() -> None:
    alerts = [make_alert(f"AnAlertWithAName{number:04}") for number in range(100)]

    lines = named(alerts, {}, room=340)

    assert lines[-1] == f"and {100 - (len(lines) - 1)} more"


@pytest.mark.parametrize(
    ("room", "expected"), [(11, "aaa\nbbb\nccc"), (19, "aaa\nbbb\nccc"), (10, SHORTENED), (20, "aaa\nbbb\nccc")]
)
def test_lines_are_taken_whole(room: int, expected: str) -> None:
    assert fit(["aaa", "bbb", "ccc"], room, size=len) == expected


def test_what_had_to_go_leaves_a_mark() -> None:
    text = fit(["aaaa"] * 10, 30, size=len)

    assert text == f"aaaa\naaaa\naaaa\n{SHORTENED}"
    assert len(text) <= 30


def test_an_analysis_says_what_to_do_next() -> None:
    analysis = {"root_cause": "logs\ngrew", "confidence": 0.85, "actions": ["rotate", "look", "call", "wait"]}

    lines = list(map(plain, outline(make_message(extra={"analysis": analysis}), names=1_000)))

    start = lines.index("\nAnalysis (85% sure)")
    assert lines[start + 1 : start + 6] == ["logs grew", "- rotate", "- look", "- call", "\nLabels"]


@pytest.mark.parametrize("analysis", [None, {}, {"root_cause": ""}, "text", {"error": "x"}])
def test_without_an_analysis_nothing_is_said_of_one(analysis: object) -> None:
    lines = map(plain, outline(make_message(extra={"analysis": analysis}), names=1_000))

    assert not any("Analysis" in line for line in lines)
