"""The Chinese layout of a notification, in the markdown that chat robots read.

Every value from an alert is escaped here: a label can neither mention anybody nor pass for a link. Pure.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import accumulate
from urllib.parse import quote

from alertagent.kernel.labels import Labels
from alertagent.kernel.message import Message, MessageAlert
from alertagent.plugins.text import cut, json_size, one_line

# So many alerts are surely named, however long their labels are.
MAX_ALERTS = 50

# The readers are in China, which has one time zone and no summer time.
_CHINA = timezone(timedelta(hours=8))

_STATUS = {"firing": "告警", "resolved": "恢复"}
_SEVERITY = {"critical": "严重", "warning": "警告", "info": "信息"}

# What starts emphasis, code, a link, an image, HTML or a mention anywhere; an underscore only at a word's edge.
_INLINE = re.compile(r"[@\[\]<`*~]|(?<![^\W_])_|_(?![^\W_])")
# What starts a heading, a quotation, a rule, a table or a list at the beginning of a line.
_BLOCK = re.compile(r"^(\d*)([#>=|]|[.)+-](?=[\s-]|$))")
_FULL_WIDTH = 0xFEE0  # from an ASCII character to its full-width form


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What marks bold text, and how much room the parts of a message have, as `size` measures them.

    `alerts` of them are surely named, with `name` for each.
    """

    bold: str = "**"
    size: Callable[[str], int] = json_size
    alerts: int = MAX_ALERTS
    title: int = 400
    name: int = 240
    content: int = 6_000
    value: int = 1_000


ROOMY = Style()


def title(message: Message) -> str:
    """One plain line: what a phone shows before the message is opened."""
    return f"{_status(message.group.status)}{one_line(message.title)}"


def layout(message: Message) -> str:
    """The whole notification, its title as a heading."""
    return "\n\n".join([f"## {heading(message)}", *sections(message)])


def heading(message: Message, style: Style = ROOMY) -> str:
    """The title as markdown shows it."""
    return _value(title(message), style.title, style)


def sections(message: Message, style: Style = ROOMY) -> list[str]:
    """All below the title. The alerts are named before everything that may be long, so that no cut takes a name."""
    group = message.group
    several = len(group.alerts) > 1
    labels = group.common_labels if several else message.labels
    annotations = group.common_annotations if several else message.annotations
    found = [
        _facts(message, style),
        _names(message, style) if several else "",
        _content(message.content, style),
        _analysis(message.extra.get("analysis"), style),
        _table("标签", labels, style),
        _table("注解", annotations, style),
    ]
    return list(filter(None, found))


def _facts(message: Message, style: Style) -> str:
    severity = _SEVERITY.get(message.severity) or _value(message.severity, style.title, style) or "未标明"
    facts = {"级别": severity, "时间": _local(message.timestamp)}
    ended = [alert.ends_at for alert in message.group.alerts if alert.ends_at]
    if message.group.status == "resolved" and ended:
        facts["恢复时间"] = _local(max(ended))
    return "\n".join(f"- {style.bold}{name}{style.bold}：{fact}" for name, fact in facts.items())


def _names(message: Message, style: Style) -> str:
    """One line for each alert, as many as fit, and how many more there are."""
    group = message.group
    lines = [cut(_line(alert, group.common_labels), style.name, size=style.size) for alert in group.alerts]
    sizes = accumulate(style.size(line) + 2 for line in lines)
    shown = sum(total <= style.alerts * (style.name + 2) for total in sizes)
    if shown < len(lines):
        lines[shown:] = [f"- 还有 {len(lines) - shown} 条告警未列出{_link(group.external_url)}"]
    return _section(f"告警列表（{len(group.alerts)}）", "\n".join(lines), style)


def _line(alert: MessageAlert, common: Labels) -> str:
    name = escaped(alert.labels.get("alertname", alert.fingerprint))
    own = {key: value for key, value in alert.labels.items() if key != "alertname" and common.get(key) != value}
    pairs = "，".join(f"{escaped(key)}={escaped(value)}" for key, value in sorted(own.items()))
    return f"- {_status(alert.status)}{name}{'：' if pairs else ''}{pairs}"


def _link(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        return ""
    return f"，[查看全部]({quote(url, safe=':/?#@!$&+,;=%~')})"


def _analysis(analysis: object, style: Style) -> str:
    """What an analyzer found: its root cause, how sure it is, and what to do next, each as plain words."""
    if not isinstance(analysis, Mapping) or not analysis.get("root_cause"):
        return ""
    confidence, actions = analysis.get("confidence"), analysis.get("actions")
    sure = f"（置信度 {confidence:.0%}）" if isinstance(confidence, int | float) else ""
    cause = cut(escaped_line(str(analysis["root_cause"])), style.value, size=style.size)
    steps = actions[:3] if isinstance(actions, list | tuple) else ()
    lines = "\n".join(f"- {cut(escaped_line(str(step)), style.name, size=style.size)}" for step in steps)
    return _section(f"分析{sure}", "\n\n".join(filter(None, [cause, lines])), style)


def _content(content: str, style: Style) -> str:
    lines = filter(None, map(escaped_line, content.splitlines()))
    return _section("内容", cut("\n\n".join(lines), style.content, size=style.size), style)


def _table(name: str, pairs: Mapping[str, str], style: Style) -> str:
    lines = (
        f"- {_value(key, style.value, style)}: {_value(value, style.value, style)}"
        for key, value in sorted(pairs.items())
    )
    return _section(name, "\n".join(lines), style)


def _section(name: str, text: str, style: Style) -> str:
    return f"{style.bold}{name}{style.bold}\n\n{text}" if text else ""


def _status(status: str) -> str:
    return f"【{_STATUS.get(status) or cut(escaped(status), 100)}】"


def _value(text: str, limit: int, style: Style) -> str:
    return cut(escaped(text), limit, size=style.size)


def escaped(text: str) -> str:
    """One line of text that markdown shows as it stands: no emphasis, link, image or HTML, and nobody mentioned.

    Special characters become their full-width forms. Backslashes would be the usual way, but nothing says which of
    DingTalk's clients honour them, and none of them keeps `@` from mentioning.
    """
    return _INLINE.sub(lambda found: _wide(found[0]), one_line(text))


def escaped_line(text: str) -> str:
    """The same where the text is a line of its own: it starts no heading, list, quotation or table either."""
    return _BLOCK.sub(_wide_block, escaped(text))


def _wide(character: str) -> str:
    return chr(ord(character) + _FULL_WIDTH)


def _wide_block(found: re.Match[str]) -> str:
    return found[1] + _wide(found[2])


def _local(moment: datetime) -> str:
    return f"{moment.astimezone(_CHINA):%Y-%m-%d %H:%M:%S} (UTC+8)"
