"""Prints notifications, for trying things out: `serve --demo` has one."""

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TextIO

from alertagent import __version__
from alertagent.kernel.message import Message, MessageAlert
from alertagent.plugins.base import Health, NotificationPlugin, Worded
from alertagent.plugins.config import PluginConfig
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.outline import plain, title
from alertagent.plugins.outcome import Delivered, Outcome
from alertagent.plugins.text import one_line
from alertagent.plugins.transport import Transport
from alertagent.plugins.vocabulary import shown_time, words


class ConsoleConfig(PluginConfig):
    """Nothing to set."""


class Console(NotificationPlugin[ConsoleConfig]):
    """Writes to `stream`, or to whatever is standard output in the moment of sending."""

    name = "console"
    version = __version__
    display_name = Bilingual(zh="控制台", en="Console")
    description = Bilingual(zh="打印到标准输出", en="Prints to standard output")
    Config = ConsoleConfig
    worded = Worded.WHOLE

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def send(self, config: ConsoleConfig, message: Message, transport: Transport, *, now: datetime) -> Outcome:
        stream = self._stream or sys.stdout
        stream.write(readable(message))
        stream.flush()
        return Delivered()

    async def health_check(self, config: ConsoleConfig, transport: Transport) -> Health:
        return Health(healthy=True)


def readable(message: Message) -> str:
    """The message as a few lines; every value is stripped of what a terminal would obey."""
    if message.wording.lines:
        shown = [plain(line) for line in message.wording.lines]
    else:
        shown = [
            *(one_line(line) for line in message.content.splitlines()),
            *(_line(alert) for alert in message.group.alerts),
        ]
    return "\n".join([_head(message), *(f"  {line}" for line in shown)]) + "\n"


def _head(message: Message) -> str:
    if message.wording.title:
        return title(message)
    severity, since = one_line(message.severity), shown_time(message.language, message.timestamp)
    return f"{title(message)} ({severity}) {words(message.language).since.format(moment=since)}"


def _line(alert: MessageAlert) -> str:
    return f"- {one_line(alert.status)} {_pairs(alert.labels)}"


def _pairs(labels: Mapping[str, str]) -> str:
    return " ".join(f'{one_line(name)}="{one_line(value)}"' for name, value in sorted(labels.items()))
