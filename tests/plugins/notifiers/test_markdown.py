from datetime import timedelta

import pytest

from alertagent.kernel.message import Message, PageLinks
from alertagent.plugins.notifiers.markdown import escaped, fitted, heading
from alertagent.plugins.text import json_size
from tests.support.messages import NOON, make_alert, make_chinese, make_message

FIRING = """\
## 【告警】HighCPU

- **级别**：严重
- **时间**：2026-11-22 22:40:00 (UTC+8)

- [查看告警](https://alertagent.example)

**内容**

CPU usage is over 90%

since an hour

**标签**

- alertname: HighCPU
- instance: a:9100
- job: node_exporter
- severity: critical

**注解**

- runbook_url: https://wiki.example/cpu?a=b#c
- summary: CPU > 90%"""

GROUP = """\
## 【告警】HighCPU

- **级别**：警告
- **时间**：2026-11-22 22:40:00 (UTC+8)

**告警列表（3）**

- 【告警】HighCPU：instance=a
- 【告警】HighCPU：instance=b，zone=z1
- 【恢复】HighCPU：instance=c

- [查看告警](https://alertagent.example)

**内容**

CPU usage is over 90%

**标签**

- alertname: HighCPU
- severity: warning"""

RESOLVED = """\
## 【恢复】Disk full

- **级别**：page
- **时间**：2026-11-22 22:40:00 (UTC+8)
- **恢复时间**：2026-11-22 22:45:00 (UTC+8)

- [查看告警](https://alertagent.example)

**标签**

- alertname: Disk full
- severity: page"""


def layout(message: Message) -> str:
    return fitted(message, 100_000, head=f"## {heading(message)}")


def test_one_alert_is_shown_whole() -> None:
    alert = make_alert(
        severity="critical",
        instance="a:9100",
        job="node_exporter",
        annotations={"summary": "CPU > 90%", "runbook_url": "https://wiki.example/cpu?a=b#c"},
    )

    assert layout(make_chinese(alert, content="CPU usage is over 90%\n\n  since an hour\n")) == FIRING


def test_of_a_group_every_alert_is_named_with_what_is_its_own() -> None:
    message = make_chinese(
        make_alert(severity="warning", instance="a"),
        make_alert(severity="warning", instance="b", zone="z1"),
        make_alert(severity="warning", instance="c", status="resolved", ends_at=NOON),
    )

    assert layout(message) == GROUP


def test_a_resolved_alert_says_since_when() -> None:
    alert = make_alert("Disk full", status="resolved", severity="page", ends_at=NOON + timedelta(minutes=5))

    assert layout(make_chinese(alert, content="")) == RESOLVED


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("node_cpu_seconds_total", "node_cpu_seconds_total"),
        ("a:9100, 10.0.0.1, 3 > 2 & 50%", "a:9100, 10.0.0.1, 3 > 2 & 50%"),
        ("@所有人", "＠所有人"),
        ("@13800000000", "＠13800000000"),
        ("[click](http://evil.test)", "［click］(http://evil.test)"),
        ("![](http://evil.test/pixel.png)", "!［］(http://evil.test/pixel.png)"),
        ("<font color=red>x</font><a href=//e>", "＜font color=red>x＜/font>＜a href=//e>"),
        ("**bold** `code` ~~gone~~", "＊＊bold＊＊ ｀code｀ ～～gone～～"),
        ("_emphasis_ __init__", "＿emphasis＿ ＿＿init＿＿"),
        ("a\n## heading\n- item", "a ## heading - item"),
        ("\x1b]8;;http://evil\x07link", "]8;;http://evillink".replace("]", "］")),
        ("\u202etxt.exe", "txt.exe"),
    ],
)
def test_a_value_is_shown_as_it_stands_and_does_nothing(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("# heading", "＃ heading"),
        ("#heading", "＃heading"),
        ("> quotation", "＞ quotation"),
        ("- item", "－ item"),
        ("+ item", "＋ item"),
        ("* item", "＊ item"),
        ("12. item", "12． item"),
        ("1) item", "1） item"),
        ("---", "－--"),
        ("===", "＝=="),
        ("| a | b |", "｜ a | b |"),
        ("    code", "code"),
        ("```sh", "｀｀｀sh"),
        ("-5 degrees", "-5 degrees"),
        ("3.5 GB", "3.5 GB"),
        ("over 90% # now", "over 90% # now"),
    ],
)
def test_no_line_of_the_content_starts_a_block(line: str, shown: str) -> None:
    assert f"first\n\n{shown}\n\n**标签**" in layout(make_chinese(content=f"first\n{line}"))


def test_hostile_labels_mention_nobody_and_link_nowhere() -> None:
    hostile = "@所有人 [x](http://evil)\n# h\n![](http://evil)"
    alerts = [make_alert(hostile, severity=hostile, status=hostile, number=str(n)) for n in range(2)]

    text = layout(make_chinese(*alerts, content=hostile, title=hostile))

    assert "@" not in text
    assert "](" not in text.replace("[查看告警](https://alertagent.example)", "")
    assert "\n# h" not in text


def test_the_link_cannot_be_broken_out_of() -> None:
    alerts = [make_alert(f"Alert{number}", junk=f"{number}" + "x" * 300) for number in range(100)]
    links = PageLinks(alert="http://aa/)[x](http://evil")

    assert "[查看全部](http://aa/%29%5Bx%5D%28http://evil)" in layout(make_chinese(*alerts, links=links))


def test_one_long_value_does_not_push_the_others_out() -> None:
    alert = make_alert(instance="b", annotations={"a_stack": "x" * 50_000, "summary": "short"})

    text = layout(make_chinese(alert, content="告" * 50_000))

    assert "- instance: b\n" in text
    assert text.endswith("- summary: short")
    assert json_size(text) < 10_000


def test_an_analysis_is_shown_as_plain_words() -> None:
    analysis = {
        "root_cause": "# logs grew, see [here](http://evil) @all",
        "confidence": 0.85,
        "actions": ["# rotate", "`rm -rf`", "look", "wait"],
    }
    message = make_chinese(make_alert(severity="critical"), extra={"analysis": analysis})

    text = layout(message)

    assert "**分析（置信度 85%）**\n\n＃ logs grew, see ［here］(http://evil) ＠all" in text
    assert "- ＃ rotate\n- ｀rm -rf｀\n- look" in text
    assert "wait" not in text


@pytest.mark.parametrize("analysis", [None, {}, {"root_cause": ""}, "text", {"error": "x"}])
def test_without_an_analysis_nothing_is_said_of_one(analysis: object) -> None:
    assert "分析" not in layout(make_chinese(extra={"analysis": analysis}))


ENGLISH = """\
## [RESOLVED] Disk full

- **Severity**: page
- **Started**: 2026-11-22T14:40:00Z
- **Ended**: 2026-11-22T14:45:00Z

**Alerts (2)**

- [RESOLVED] Disk full: instance=a
- [RESOLVED] Disk full: instance=b

- [Alert](https://alertagent.example/alerts/1)
- [Silence](https://alertagent.example/silences/new)
- [Analysis](https://alertagent.example/alerts/1/analysis)

**Description**

rotate the logs

**Analysis (85% sure)**

logs grew

**Labels**

- alertname: Disk full
- severity: page"""


def test_readers_of_english_get_english_words_and_utc() -> None:
    ended = NOON + timedelta(minutes=5)
    alerts = [
        make_alert("Disk full", status="resolved", severity="page", ends_at=ended, instance=each) for each in "ab"
    ]
    page = "https://alertagent.example"
    links = PageLinks(alert=f"{page}/alerts/1", silence=f"{page}/silences/new", analysis=f"{page}/alerts/1/analysis")
    extra = {"analysis": {"root_cause": "logs grew", "confidence": 0.85}}

    assert layout(make_message(*alerts, content="rotate the logs", links=links, extra=extra)) == ENGLISH
