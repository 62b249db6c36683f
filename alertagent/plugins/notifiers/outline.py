"""What a notification says, in English and before it becomes anybody's markup. Pure.

A notification is a title and lines. Each provider draws the lines in its own way, escapes them, and takes as many as
fit: the alerts are named before everything that may be long, so that none loses its name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate

from alertagent.kernel.clock import rfc3339
from alertagent.kernel.labels import Labels
from alertagent.kernel.message import Message, MessageAlert
from alertagent.plugins.notifiers.incident import links
from alertagent.plugins.text import cut, one_line, utf8_size

SHORTENED = "… (shortened)"

_NAME_SIZE = 240
_VALUE_SIZE = 1_000
_CONTENT_LINES = 100
_ACTIONS = 3


class Kind(Enum):
    """How a line is meant: `name: text`, a heading, one of a list, a line of prose, or a link."""

    FACT = auto()
    HEADING = auto()
    ITEM = auto()
    TEXT = auto()
    LINK = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Plain text without control characters or line feeds; `name` stands before a fact, `url` behind a link."""

    kind: Kind
    text: str
    name: str = ""
    url: str = ""


def title(message: Message) -> str:
    """One plain line, with the state first."""
    return f"[{one_line(message.group.status).upper()}] {one_line(message.title)}"


def outline(message: Message, *, names: int, size: Callable[[str], int] = utf8_size) -> list[Line]:
    """All lines below the title. `names` is the room for the names of several alerts, measured by `size`."""
    group = message.group
    several = len(group.alerts) > 1
    labels = group.common_labels if several else message.labels
    annotations = group.common_annotations if several else message.annotations
    return [
        *_facts(message),
        *(_names(message, names, size) if several else ()),
        *(Line(kind=Kind.LINK, text=link.text, url=link.url) for link in links(message)),
        *_content(message.content, size),
        *_analysis(message.extra.get("analysis"), size),
        *_table("Labels", labels, size),
        *_table("Annotations", annotations, size),
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


def fit(lines: Iterable[str], room: int, *, size: Callable[[str], int]) -> str:
    """As many of the drawn lines as there is room for, and a mark where some had to go."""
    drawn = list(lines)
    if size("\n".join(drawn)) <= room:
        return "\n".join(drawn)
    room -= size(SHORTENED)
    count = sum(total <= room for total in accumulate(size(line) + 1 for line in drawn))
    return "\n".join([*drawn[:count], SHORTENED])


def named(
    alerts: Sequence[MessageAlert], common: Labels, *, room: int, size: Callable[[str], int] = utf8_size
) -> list[str]:
    """A line for each alert, shorter ones where there are many; at the end, how many found no room."""
    limit = min(_NAME_SIZE, max(room // max(len(alerts), 1) - 1, 16))
    lines = [cut(_alert(alert, common), limit, size=size) for alert in alerts]
    shown = sum(total <= room for total in accumulate(size(line) + 1 for line in lines))
    if shown < len(lines):
        lines[shown:] = [f"and {len(lines) - shown} more"]
    return lines


def _alert(alert: MessageAlert, common: Labels) -> str:
    name = one_line(alert.labels.get("alertname", alert.fingerprint))
    own = {key: value for key, value in alert.labels.items() if key != "alertname" and common.get(key) != value}
    pairs = ", ".join(f"{one_line(key)}={one_line(value)}" for key, value in sorted(own.items()))
    state = "" if alert.status == "firing" else f"[{one_line(alert.status)}] "
    return f"{state}{name}{': ' if pairs else ''}{pairs}"


def _names(message: Message, room: int, size: Callable[[str], int]) -> list[Line]:
    group = message.group
    lines = named(group.alerts, group.common_labels, room=room, size=size)
    heading = Line(kind=Kind.HEADING, text=f"Alerts ({len(group.alerts)})")
    return [heading, *(Line(kind=Kind.ITEM, text=line) for line in lines)]


def _facts(message: Message) -> list[Line]:
    facts = [
        Line(kind=Kind.FACT, name="Severity", text=cut(one_line(message.severity), 100) or "not set"),
        Line(kind=Kind.FACT, name="Started", text=rfc3339(message.timestamp)),
    ]
    ended = [alert.ends_at for alert in message.group.alerts if alert.ends_at]
    if message.group.status == "resolved" and ended:
        facts.append(Line(kind=Kind.FACT, name="Ended", text=rfc3339(max(ended))))
    return facts


def _content(content: str, size: Callable[[str], int]) -> list[Line]:
    found = [cut(line, _VALUE_SIZE, size=size) for line in map(one_line, content.splitlines()) if line]
    texts = [Line(kind=Kind.TEXT, text=line) for line in found[:_CONTENT_LINES]]
    return [Line(kind=Kind.HEADING, text="Description"), *texts] if texts else []


def _analysis(analysis: object, size: Callable[[str], int]) -> list[Line]:
    """What an analyzer found: the root cause, how sure it is, and what to do next."""
    if not isinstance(analysis, Mapping) or not analysis.get("root_cause"):
        return []
    confidence, actions = analysis.get("confidence"), analysis.get("actions")
    sure = f" ({confidence:.0%} sure)" if isinstance(confidence, int | float) else ""
    steps = actions[:_ACTIONS] if isinstance(actions, list | tuple) else ()
    return [
        Line(kind=Kind.HEADING, text=f"Analysis{sure}"),
        Line(kind=Kind.TEXT, text=cut(one_line(str(analysis["root_cause"])), _VALUE_SIZE, size=size)),
        *(Line(kind=Kind.ITEM, text=cut(one_line(str(step)), _NAME_SIZE, size=size)) for step in steps),
    ]


def _table(heading: str, pairs: Mapping[str, str], size: Callable[[str], int]) -> list[Line]:
    facts = [
        Line(kind=Kind.FACT, name=cut(one_line(key), 200, size=size), text=cut(one_line(value), _VALUE_SIZE, size=size))
        for key, value in sorted(pairs.items())
    ]
    return [Line(kind=Kind.HEADING, text=heading), *facts] if facts else []
