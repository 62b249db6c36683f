"""What a notification says, in the language of its readers and before it becomes anybody's markup. Pure.

A notification is a title and lines. Each provider draws the lines in its own way, escapes them, and takes as many as
fit: the alerts are named before everything that may be long, so that none loses its name. Lines that a template made
are taken as they are, and what falls off their end takes no link to AlertAgent with it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from alertagent.kernel.labels import Labels
from alertagent.kernel.language import Language
from alertagent.kernel.message import Kind, Line, Message, MessageAlert
from alertagent.plugins.notifiers.incident import links, own_links
from alertagent.plugins.text import cut, fits, one_line, utf8_size
from alertagent.plugins.vocabulary import Words, headed, shown_time, status, words

_NAME_SIZE = 240
_VALUE_SIZE = 1_000
_LINE_SIZE = 1_500
_CONTENT_LINES = 100
_ACTIONS = 3


def title(message: Message) -> str:
    """One plain line, with the state first: what a phone shows before the message is opened."""
    if message.wording.title:
        return one_line(message.wording.title)
    return headed(message.language, status(message.language, message.group.status), one_line(message.title))


def outline(message: Message, *, names: int, size: Callable[[str], int] = utf8_size) -> list[Line]:
    """All lines below the title. `names` is the room for the names of several alerts, measured by `size`."""
    if message.wording.lines:
        return [replace(line, text=cut(line.text, _LINE_SIZE, size=size)) for line in message.wording.lines]
    group, said = message.group, words(message.language)
    several = len(group.alerts) > 1
    labels = group.common_labels if several else message.labels
    annotations = group.common_annotations if several else message.annotations
    return [
        *_facts(message, said),
        *(_names(message, names, size) if several else ()),
        *(Line(kind=Kind.LINK, text=link.text, url=link.url) for link in links(message)),
        *_content(message.content, said, size),
        *_analysis(message.extra.get("analysis"), said, size),
        *_table(said.labels, labels, size),
        *_table(said.annotations, annotations, size),
    ]


def plain(line: Line) -> str:
    """The line where there is no markup at all."""
    match line.kind:
        case Kind.FACT:
            return f"{line.name}: {line.text}"
        case Kind.HEADING:
            return f"\n{line.text}"
        case Kind.ITEM:
            return f"- {line.text}"
        case Kind.LINK:
            return f"{line.text}: {line.url}"
        case Kind.TEXT:
            return line.text


def fit(
    message: Message,
    lines: Sequence[Line],
    room: int,
    *,
    draw: Callable[[Line], str],
    size: Callable[[str], int],
    between: str = "\n",
) -> str:
    """As many of the lines as there is room for; where some had to go, a mark and the links to AlertAgent."""
    drawn = list(map(draw, lines))
    text = between.join(drawn)
    if fits(text, room, size):
        return text
    rest = [words(message.language).shortened]
    for line in map(draw, _kept(message, lines)):
        if size(between.join([*rest, line])) <= room // 2:
            rest.append(line)
    left = room - size(between.join(rest))
    count = sum(total <= left for total in accumulate(size(line) + size(between) for line in drawn))
    return between.join([*drawn[:count], rest[0], *(line for line in rest[1:] if line not in drawn[:count])])


def _kept(message: Message, lines: Sequence[Line]) -> list[Line]:
    """The links to AlertAgent, as these lines call them; if they have none, the one to the alert."""
    own = [Line(kind=Kind.LINK, text=link.text, url=link.url) for link in own_links(message)]
    urls = {line.url for line in own}
    return [line for line in lines if line.kind is Kind.LINK and line.url in urls] or own[:1]


def named(
    alerts: Sequence[MessageAlert],
    common: Labels,
    *,
    room: int,
    language: Language,
    size: Callable[[str], int] = utf8_size,
) -> list[str]:
    """A line for each alert, shorter ones where there are many; at the end, how many found no room."""
    limit = min(_NAME_SIZE, max(room // max(len(alerts), 1) - 1, 16))
    lines = [cut(_alert(alert, common, language), limit, size=size) for alert in alerts]
    shown = sum(total <= room for total in accumulate(size(line) + 1 for line in lines))
    if shown < len(lines):
        lines[shown:] = [words(language).more.format(count=len(lines) - shown)]
    return lines


def _alert(alert: MessageAlert, common: Labels, language: Language) -> str:
    said = words(language)
    name = one_line(alert.labels.get("alertname", alert.fingerprint))
    own = {key: value for key, value in alert.labels.items() if key != "alertname" and common.get(key) != value}
    pairs = said.comma.join(f"{one_line(key)}={one_line(value)}" for key, value in sorted(own.items()))
    text = f"{name}{said.colon if pairs else ''}{pairs}"
    if alert.status == "firing":
        return text
    state = status(language, alert.status) if language is Language.ZH else f"[{one_line(alert.status)}]"
    return headed(language, state, text)


def _names(message: Message, room: int, size: Callable[[str], int]) -> list[Line]:
    group = message.group
    lines = named(group.alerts, group.common_labels, room=room, language=message.language, size=size)
    heading = Line(kind=Kind.HEADING, text=words(message.language).alerts.format(count=len(group.alerts)))
    return [heading, *(Line(kind=Kind.ITEM, text=line) for line in lines)]


def _facts(message: Message, said: Words) -> list[Line]:
    severity = cut(one_line(message.severity), 100)
    moments = {said.started: message.timestamp}
    ended = [alert.ends_at for alert in message.group.alerts if alert.ends_at]
    if message.group.status == "resolved" and ended:
        moments[said.ended] = max(ended)
    return [
        Line(kind=Kind.FACT, name=said.severity, text=said.severities.get(severity, severity) or said.no_severity),
        *(Line(kind=Kind.FACT, name=name, text=shown_time(message.language, at)) for name, at in moments.items()),
    ]


def _content(content: str, said: Words, size: Callable[[str], int]) -> list[Line]:
    found = [cut(line, _VALUE_SIZE, size=size) for line in map(one_line, content.splitlines()) if line]
    texts = [Line(kind=Kind.TEXT, text=line) for line in found[:_CONTENT_LINES]]
    return [Line(kind=Kind.HEADING, text=said.description), *texts] if texts else []


def _analysis(analysis: object, said: Words, size: Callable[[str], int]) -> list[Line]:
    """What an analyzer found: the root cause, how sure it is, and what to do next."""
    if not isinstance(analysis, Mapping) or not analysis.get("root_cause"):
        return []
    confidence, actions = analysis.get("confidence"), analysis.get("actions")
    sure = said.sure.format(confidence=confidence) if isinstance(confidence, int | float) else ""
    steps = actions[:_ACTIONS] if isinstance(actions, list | tuple) else ()
    return [
        Line(kind=Kind.HEADING, text=f"{said.analysis}{sure}"),
        Line(kind=Kind.TEXT, text=cut(one_line(str(analysis["root_cause"])), _VALUE_SIZE, size=size)),
        *(Line(kind=Kind.ITEM, text=cut(one_line(str(step)), _NAME_SIZE, size=size)) for step in steps),
    ]


def _table(heading: str, pairs: Mapping[str, str], size: Callable[[str], int]) -> list[Line]:
    facts = [
        Line(kind=Kind.FACT, name=cut(one_line(key), 200, size=size), text=cut(one_line(value), _VALUE_SIZE, size=size))
        for key, value in sorted(pairs.items())
    ]
    return [Line(kind=Kind.HEADING, text=heading), *facts] if facts else []
