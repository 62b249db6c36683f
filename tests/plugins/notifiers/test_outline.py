from datetime import timedelta

import pytest

from alertagent.kernel.language import Language
from alertagent.kernel.message import Kind, Line, PageLinks
from alertagent.plugins.notifiers.outline import fit, named, outline, plain, title
from tests.support.messages import NOON, make_alert, make_chinese, make_message

GROUP = """\
Severity: warning
Started: 2026-11-22T14:40:00Z

Alerts (3)
- HighCPU: instance=a
- HighCPU: instance=b, zone=z1
- [resolved] HighCPU: instance=c
Alert: https://alertagent.example
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

    lines = named(alerts, {}, room=600, language=Language.EN)

    assert len(lines) == 20
    assert all(f"Alert{number:02}" in line for number, line in enumerate(lines))
    assert sum(len(line.encode()) + 1 for line in lines) <= 600


def test_those_that_find_no_room_are_counted() -> None:
    alerts = [make_alert(f"AnAlertWithAName{number:04}") for number in range(100)]

    lines = named(alerts, {}, room=340, language=Language.EN)

    assert lines[-1] == f"and {100 - (len(lines) - 1)} more"


SHORTENED = "… (shortened)"
UNLINKED = make_message(links=PageLinks())


def fitted(texts: list[str], room: int) -> str:
    lines = [Line(kind=Kind.TEXT, text=text) for text in texts]
    return fit(UNLINKED, lines, room, draw=plain, size=len)


@pytest.mark.parametrize(
    ("room", "expected"), [(11, "aaa\nbbb\nccc"), (19, "aaa\nbbb\nccc"), (10, SHORTENED), (20, "aaa\nbbb\nccc")]
)
def test_lines_are_taken_whole(room: int, expected: str) -> None:
    assert fitted(["aaa", "bbb", "ccc"], room) == expected


def test_what_had_to_go_leaves_a_mark() -> None:
    text = fitted(["aaaa"] * 10, 30)

    assert text == f"aaaa\naaaa\naaaa\n{SHORTENED}"
    assert len(text) <= 30


@pytest.mark.parametrize(
    ("links", "kept"),
    [
        ([], "Alert: https://alertagent.example"),
        (["https://wiki.example"], "Alert: https://alertagent.example"),
        (["https://alertagent.example"], "See: https://alertagent.example"),
    ],
)
def test_a_cut_leaves_the_link_to_the_alert(links: list[str], kept: str) -> None:
    texts = [Line(kind=Kind.TEXT, text="a" * 9) for _ in range(50)]
    lines = [*texts, *(Line(kind=Kind.LINK, text="See", url=url) for url in links)]

    text = fit(make_message(), lines, 100, draw=plain, size=len)

    assert text.endswith(f"{SHORTENED}\n{kept}")
    assert len(text) <= 100


CHINESE = """\
级别: 警告
时间: 2026-11-22 22:40:00 (UTC+8)

告警列表（2）
- HighCPU：instance=a
- 【恢复】HighCPU：instance=b，zone=z1
查看告警: https://alertagent.example
查看图表: http://prom.example/graph?g0.expr=up

内容
CPU usage is over 90%

标签
alertname: HighCPU
severity: warning"""


def test_readers_of_chinese_get_chinese_words_and_their_time() -> None:
    message = make_chinese(
        make_alert(severity="warning", instance="a"),
        make_alert(severity="warning", instance="b", zone="z1", status="resolved"),
    )

    assert "\n".join(map(plain, outline(message, names=1_000))) == CHINESE
    assert title(message) == "【告警】HighCPU"


def test_an_analysis_says_what_to_do_next() -> None:
    analysis = {"root_cause": "logs\ngrew", "confidence": 0.85, "actions": ["rotate", "look", "call", "wait"]}

    lines = list(map(plain, outline(make_message(extra={"analysis": analysis}), names=1_000)))

    start = lines.index("\nAnalysis (85% sure)")
    assert lines[start + 1 : start + 6] == ["logs grew", "- rotate", "- look", "- call", "\nLabels"]


@pytest.mark.parametrize("analysis", [None, {}, {"root_cause": ""}, "text", {"error": "x"}])
def test_without_an_analysis_nothing_is_said_of_one(analysis: object) -> None:
    lines = map(plain, outline(make_message(extra={"analysis": analysis}), names=1_000))

    assert not any("Analysis" in line for line in lines)
