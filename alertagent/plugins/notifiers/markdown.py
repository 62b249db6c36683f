"""The layout of a notification in the markdown that chat robots read, in the language of its readers.

Every value from an alert is escaped here: a label can neither mention anybody nor pass for a link. Pure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from urllib.parse import quote

from alertagent.kernel.language import Language
from alertagent.kernel.message import Kind, Line, Message, MessageAlert
from alertagent.plugins.notifiers.incident import own_links
from alertagent.plugins.notifiers.outline import title
from alertagent.plugins.text import cut, fits, json_size, one_line
from alertagent.plugins.vocabulary import Words, headed, shown_time, status, words

# So many alerts are surely named, however long their labels are.
MAX_ALERTS = 50

# What starts emphasis, code, a link, an image, HTML or a mention anywhere; an underscore only at a word's edge.
_INLINE = re.compile(r"[@\[\]<`*~_](?:(?<!_)|(?<![^\W_]_)|(?![^\W_]))")
# What starts a heading, a quotation, a rule, a table or a list at the beginning of a line.
_BLOCK = re.compile(r"(\d*)([#>=|]|[.)+-](?=[\s-]|$))")
_SHORT = 100
_FULL_WIDTH = 0xFEE0  # from an ASCII character to its full-width form


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What marks bold text, and how much room the parts of a message have, as `size` measures them.

    `alerts` of them are surely named, with `name` for each. `links` tells how links are shown: as markdown's, as plain
    addresses, or not at all where buttons do it.
    """

    bold: str = "**"
    size: Callable[[str], int] = json_size
    alerts: int = MAX_ALERTS
    title: int = 400
    name: int = 240
    content: int = 6_000
    value: int = 1_000
    links: Callable[[str, str], str] | None = None


def markdown_link(text: str, url: str) -> str:
    return f"[{escaped(text)}]({_address(url)})"


def plain_link(text: str, url: str) -> str:
    return f"{escaped(text)} {_address(url)}"


def _address(url: str) -> str:
    """Without what would end the link, and without the @ that mentions."""
    return quote(url, safe=":/?#!$&+,;=%~")


ROOMY = Style(links=markdown_link)


def heading(message: Message, style: Style = ROOMY) -> str:
    """The title as markdown shows it."""
    if message.wording.title:
        return _value(title(message), style.title, style)
    state = _status(message.language, message.group.status)
    return headed(message.language, state, _value(message.title, style.title - style.size(f"{state} "), style))


def fitted(message: Message, room: int, style: Style = ROOMY, *, head: str = "") -> str:
    """The whole notification below `head`, in as much room as there is.

    Of the layout, the names and the links stand before all that may be long, so a cut takes neither. A template puts
    things where it likes: of that, whole lines go, and the links stay.
    """
    said = words(message.language)
    parts = list(filter(None, [head, *sections(message, style)]))
    text = "\n\n".join(parts)
    if fits(text, room, style.size) or not message.wording.lines:
        return cut(text, room, size=style.size, mark=f"\n\n{said.shortened}")
    rest = f"\n\n{said.shortened}"
    for link in _links(message, style).splitlines():
        if style.size(f"{rest}\n{link}") <= room // 2:
            rest = f"{rest}\n{link}"
    whole = text.splitlines(keepends=True)
    count = sum(total <= room - style.size(rest) for total in accumulate(map(style.size, whole)))
    return "".join(whole[:count]).rstrip() + rest


def sections(message: Message, style: Style = ROOMY) -> list[str]:
    """All below the title. The alerts are named before everything that may be long, so that no cut takes a name."""
    if message.wording.lines:
        return _worded(message.wording.lines, style, words(message.language))
    group, said = message.group, words(message.language)
    several = len(group.alerts) > 1
    labels = group.common_labels if several else message.labels
    annotations = group.common_annotations if several else message.annotations
    found = [
        _facts(message, style, said),
        _names(message, style, said) if several else "",
        _links(message, style),
        _content(message.content, style, said),
        _analysis(message.extra.get("analysis"), style, said),
        _table(said.labels, labels, style),
        _table(said.annotations, annotations, style),
    ]
    return list(filter(None, found))


def _worded(lines: Sequence[Line], style: Style, said: Words) -> list[str]:
    """What a template made; the parts of a list stay together, all else stands by itself."""
    parts: list[str] = []
    in_list = False
    for line in lines:
        is_item = line.kind in {Kind.FACT, Kind.ITEM}
        drawn = _drawn(replace(line, text=cut(line.text, style.content, size=_escaped_size(style))), style, said)
        if is_item and in_list:
            parts[-1] = f"{parts[-1]}\n{drawn}"
        elif drawn:
            parts.append(drawn)
        in_list = is_item
    return parts


def _escaped_size(style: Style) -> Callable[[str], int]:
    return lambda text: style.size(escaped_line(text))


def _drawn(line: Line, style: Style, said: Words) -> str:
    match line.kind:
        case Kind.FACT:
            return f"- {style.bold}{escaped(line.name)}{style.bold}{said.colon}{escaped(line.text)}"
        case Kind.HEADING:
            return f"{style.bold}{escaped_line(line.text)}{style.bold}"
        case Kind.ITEM:
            return f"- {escaped(line.text)}"
        case Kind.LINK:
            return style.links(line.text, line.url) if style.links else ""
        case Kind.TEXT:
            return escaped_line(line.text)


def _facts(message: Message, style: Style, said: Words) -> str:
    severity = said.severities.get(message.severity) or _value(message.severity, style.title, style)
    facts = {
        said.severity: severity or said.no_severity,
        said.started: shown_time(message.language, message.timestamp),
    }
    ended = [alert.ends_at for alert in message.group.alerts if alert.ends_at]
    if message.group.status == "resolved" and ended:
        facts[said.ended] = shown_time(message.language, max(ended))
    return "\n".join(f"- {style.bold}{name}{style.bold}{said.colon}{fact}" for name, fact in facts.items())


def _names(message: Message, style: Style, said: Words) -> str:
    """One line for each alert, as many as fit, and how many more there are."""
    alerts = message.group.alerts
    lines = [cut(_line(alert, message), style.name, size=style.size) for alert in alerts]
    sizes = accumulate(style.size(line) + 2 for line in lines)
    shown = sum(total <= style.alerts * (style.name + 2) for total in sizes)
    if shown < len(lines):
        lines[shown:] = [f"- {said.more.format(count=len(lines) - shown)}{_view_all(message, style, said)}"]
    return _section(said.alerts.format(count=len(alerts)), "\n".join(lines), style)


def _line(alert: MessageAlert, message: Message) -> str:
    said, common = words(message.language), message.group.common_labels
    name = escaped(alert.labels.get("alertname", alert.fingerprint))
    own = {key: value for key, value in alert.labels.items() if key != "alertname" and common.get(key) != value}
    pairs = said.comma.join(f"{escaped(key)}={escaped(value)}" for key, value in sorted(own.items()))
    text = f"{name}{said.colon if pairs else ''}{pairs}"
    return f"- {headed(message.language, _status(message.language, alert.status), text)}"


def _view_all(message: Message, style: Style, said: Words) -> str:
    own = own_links(message)
    return f"{said.comma}{style.links(said.view_all, own[0].url)}" if own and style.links else ""


def _links(message: Message, style: Style) -> str:
    return "\n".join(f"- {style.links(link.text, link.url)}" for link in own_links(message)) if style.links else ""


def _analysis(analysis: object, style: Style, said: Words) -> str:
    """What an analyzer found: its root cause, how sure it is, and what to do next, each as plain words."""
    if not isinstance(analysis, Mapping) or not analysis.get("root_cause"):
        return ""
    confidence, actions = analysis.get("confidence"), analysis.get("actions")
    sure = said.sure.format(confidence=confidence) if isinstance(confidence, int | float) else ""
    cause = cut(escaped_line(str(analysis["root_cause"])), style.value, size=style.size)
    steps = actions[:3] if isinstance(actions, list | tuple) else ()
    lines = "\n".join(f"- {cut(escaped_line(str(step)), style.name, size=style.size)}" for step in steps)
    return _section(f"{said.analysis}{sure}", "\n\n".join(filter(None, [cause, lines])), style)


def _content(content: str, style: Style, said: Words) -> str:
    lines = filter(None, map(escaped_line, content.splitlines()))
    return _section(said.description, cut("\n\n".join(lines), style.content, size=style.size), style)


def _table(name: str, pairs: Mapping[str, str], style: Style) -> str:
    lines = (
        f"- {_value(key, style.value, style)}: {_value(value, style.value, style)}"
        for key, value in sorted(pairs.items())
    )
    return _section(name, "\n".join(lines), style)


def _section(name: str, text: str, style: Style) -> str:
    return f"{style.bold}{name}{style.bold}\n\n{text}" if text else ""


def _status(language: Language, state: str) -> str:
    return status(language, cut(escaped(state), 100))


def _value(text: str, limit: int, style: Style) -> str:
    return cut(escaped(text), limit, size=style.size)


def escaped(text: str) -> str:
    """One line of text that markdown shows as it stands: no emphasis, link, image or HTML, and nobody mentioned.

    Special characters become their full-width forms. Backslashes would be the usual way, but nothing says which of
    DingTalk's clients honour them, and none of them keeps `@` from mentioning.
    """
    return _short(text) if len(text) <= _SHORT else _escape(text)


def _escape(text: str) -> str:
    return _INLINE.sub(lambda found: _wide(found[0]), one_line(text))


# The names of labels and most of their values come again with each alert.
_short = lru_cache(maxsize=4096)(_escape)


def escaped_line(text: str) -> str:
    """The same where the text is a line of its own: it starts no heading, list, quotation or table either."""
    shown = escaped(text)
    found = _BLOCK.match(shown)
    return f"{found[1]}{_wide(found[2])}{shown[found.end() :]}" if found else shown


def _wide(character: str) -> str:
    return chr(ord(character) + _FULL_WIDTH)
