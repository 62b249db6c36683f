"""The fixed words of every message, in the two languages. Pure.

What surprises: a Chinese reader gets China's time, which has one zone and no summer time; an English one gets UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from alertagent.kernel.clock import rfc3339
from alertagent.kernel.language import Language
from alertagent.plugins.text import one_line

_CHINA = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Names in braces stand for what is filled in; `links` says what a link is called, by its own English name."""

    severity: str
    severities: Mapping[str, str]
    no_severity: str
    started: str
    since: str
    ended: str
    alerts: str
    more: str
    view_all: str
    description: str
    analysis: str
    sure: str
    labels: str
    annotations: str
    shortened: str
    links: Mapping[str, str]
    colon: str
    comma: str
    late: str
    part: str
    late_because: str
    escalated: str
    assigned: str
    test: str


ENGLISH = Words(
    severity="Severity",
    severities={},
    no_severity="not set",
    started="Started",
    since="since {moment}",
    ended="Ended",
    alerts="Alerts ({count})",
    more="and {count} more",
    view_all="view all",
    description="Description",
    analysis="Analysis",
    sure=" ({confidence:.0%} sure)",
    labels="Labels",
    annotations="Annotations",
    shortened="… (shortened)",
    links={},
    colon=": ",
    comma=", ",
    late="Late: {count} alert{s}",
    part="{title} ({place} of {parts})",
    late_because="These alerts could not be told in time. {firing} still firing, {over} over by now; "
    "the oldest began at {oldest}.",
    escalated="Escalated: {title}",
    assigned="Assigned by {by}: {title}",
    test="A test message from AlertAgent. Nothing is wrong.",
)

CHINESE = Words(
    severity="级别",
    severities={"critical": "严重", "warning": "警告", "info": "信息"},
    no_severity="未标明",
    started="时间",
    since="始于 {moment}",
    ended="恢复时间",
    alerts="告警列表（{count}）",
    more="还有 {count} 条告警未列出",
    view_all="查看全部",
    description="内容",
    analysis="分析",
    sure="（置信度 {confidence:.0%}）",
    labels="标签",
    annotations="注解",
    shortened="…（内容过长，已截断）",
    links={
        "Alert": "查看告警",
        "Silence": "静默",
        "Analysis": "分析报告",
        "Source": "查看图表",
        "Runbook": "处理手册",
        "Dashboard": "监控面板",
    },
    colon="：",
    comma="，",
    late="迟到的通知：{count} 条告警",
    part="{title}（{place}/{parts}）",
    late_because="这些告警未能及时通知。{firing} 条仍在告警，{over} 条已经恢复；最早的一条始于 {oldest}。",
    escalated="升级通知：{title}",
    assigned="{by} 指派：{title}",
    test="这是来自 AlertAgent 的测试消息，一切正常。",
)

_STATUS = {"firing": "告警", "resolved": "恢复"}


def words(language: Language) -> Words:
    return CHINESE if language is Language.ZH else ENGLISH


def status(language: Language, status: str) -> str:
    """The state as it stands before a title, without the blank that follows it in English."""
    said = one_line(status)
    return f"【{_STATUS.get(said, said)}】" if language is Language.ZH else f"[{said.upper()}]"


def headed(language: Language, status: str, title: str) -> str:
    """A title behind what `status` made."""
    return f"{status}{title}" if language is Language.ZH else f"{status} {title}"


def shown_time(language: Language, moment: datetime) -> str:
    if language is Language.ZH:
        return f"{moment.astimezone(_CHINA).isoformat(' ', 'seconds')[:19]} (UTC+8)"
    return rfc3339(moment)
