"""The Chinese layout of a notification, in the markdown that chat robots read.

Every value from an alert is escaped here: a label can neither mention anybody nor pass for a link. Pure.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from itertools import accumulate
from urllib.parse import quote

from alertagent.kernel.labels import Labels
from alertagent.kernel.message import Message, MessageAlert
from alertagent.plugins.text import cut, json_size, one_line

# So many alerts are surely named, however long their labels are.
MAX_ALERTS = 50

_TITLE_BYTES = 400
_NAME_BYTES = 240
_NAMES_BYTES = MAX_ALERTS * (_NAME_BYTES + 2)
_CONTENT_BYTES = 6_000
_VALUE_BYTES = 1_000

# The readers are in China, which has one time zone and no summer time.
_CHINA = timezone(timedelta(hours=8))

_STATUS = {"firing": "告警", "resolved": "恢复"}
_SEVERITY = {"critical": "严重", "warning": "警告", "info": "信息"}

# What starts emphasis, code, a link, an image, HTML or a mention anywhere; an underscore only at a word's edge.
_INLINE = re.compile(r"[@\[\]<`*~]|(?<![^\W_])_|_(?![^\W_])")
# What starts a heading, a quotation, a rule, a table or a list at the beginning of a line.
_BLOCK = re.compile(r"^(\d*)([#>=|]|[.)+-](?=[\s-]|$))")
_FULL_WIDTH = 0xFEE0  # from an ASCII character to its full-width form


def title(message: Message) -> str:
    """One plain line: what a phone shows before the message is opened."""
    return f"{_status(message.group.status)}{one_line(message.title)}"


def layout(message: Message) -> str:
    """The whole notification. The alerts are named before everything that may be long, so that no cut takes a name."""
    group = message.group
    several = len(group.alerts) > 1
    labels = group.common_labels if several else message.labels
    annotations = group.common_annotations if several else message.annotations
    sections = [
        f"## {_value(title(message), _TITLE_BYTES)}",
        _facts(message),
        _names(message) if several else "",
        _content(message.content),
        _table("标签", labels),
        _table("注解", annotations),
    ]
    return "\n\n".join(filter(None, sections))


def _facts(message: Message) -> str:
    severity = message.severity
    facts = [
        f"- **级别**：{_SEVERITY.get(severity) or _value(severity) or '未标明'}",
        f"- **时间**：{_local(message.timestamp)}",
    ]
    ended = [alert.ends_at for alert in message.group.alerts if alert.ends_at]
    if message.group.status == "resolved" and ended:
        facts.append(f"- **恢复时间**：{_local(max(ended))}")
    return "\n".join(facts)


def _names(message: Message) -> str:
    """One line for each alert, as many as fit, and how many more there are."""
    group = message.group
    lines = [cut(_line(alert, group.common_labels), _NAME_BYTES, size=json_size) for alert in group.alerts]
    shown = sum(total <= _NAMES_BYTES for total in accumulate(json_size(line) + 2 for line in lines))
    if shown < len(lines):
        lines[shown:] = [f"- 还有 {len(lines) - shown} 条告警未列出{_link(group.external_url)}"]
    return "\n".join([f"**告警列表（{len(group.alerts)}）**", "", *lines])


def _line(alert: MessageAlert, common: Labels) -> str:
    name = escaped(alert.labels.get("alertname", alert.fingerprint))
    own = {key: value for key, value in alert.labels.items() if key != "alertname" and common.get(key) != value}
    pairs = "，".join(f"{escaped(key)}={escaped(value)}" for key, value in sorted(own.items()))
    return f"- {_status(alert.status)}{name}{'：' if pairs else ''}{pairs}"


def _link(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        return ""
    return f"，[查看全部]({quote(url, safe=':/?#@!$&+,;=%~')})"


def _content(content: str) -> str:
    lines = (_BLOCK.sub(_wide_block, escaped(line)) for line in content.splitlines())
    text = cut("\n\n".join(filter(None, lines)), _CONTENT_BYTES, size=json_size)
    return f"**内容**\n\n{text}" if text else ""


def _table(heading: str, pairs: Mapping[str, str]) -> str:
    if not pairs:
        return ""
    lines = (f"- {_value(key)}: {_value(value)}" for key, value in sorted(pairs.items()))
    return "\n".join([f"**{heading}**", "", *lines])


def _status(status: str) -> str:
    return f"【{_STATUS.get(status) or _value(status)}】"


def _value(text: str, limit: int = _VALUE_BYTES) -> str:
    return cut(escaped(text), limit, size=json_size)


def escaped(text: str) -> str:
    """One line of text that markdown shows as it stands: no emphasis, link, image or HTML, and nobody mentioned.

    Special characters become their full-width forms. Backslashes would be the usual way, but nothing says which of
    DingTalk's clients honour them, and none of them keeps `@` from mentioning.
    """
    return _INLINE.sub(lambda found: _wide(found[0]), one_line(text))


def _wide(character: str) -> str:
    return chr(ord(character) + _FULL_WIDTH)


def _wide_block(found: re.Match[str]) -> str:
    return found[1] + _wide(found[2])


def _local(moment: datetime) -> str:
    return f"{moment.astimezone(_CHINA):%Y-%m-%d %H:%M:%S} (UTC+8)"
