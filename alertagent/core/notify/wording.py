"""A message in the words of its channel's template, where it has one.

Whatever is wrong with a template, its channel is told: in the layout of its plugin then, and the delivery says why.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from alertagent.core.notify.channels import sql
from alertagent.core.notify.model import Channel, Delivery
from alertagent.kernel.message import Message, Wording
from alertagent.plugins.base import NotificationPlugin, Worded
from alertagent.storage.database import Database

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unworded:
    """Why a template did not word a message."""

    reason: str


class Templates(Protocol):
    """Who keeps templates and has them rendered."""

    async def worded(self, name: str, message: Message) -> Wording | Unworded: ...


class Wordings:
    """Words messages on their way to a channel."""

    def __init__(self, database: Database, templates: Templates) -> None:
        self._database = database
        self._templates = templates

    async def word(
        self, channel: Channel, plugin: NotificationPlugin[Any], message: Message, delivery: Delivery
    ) -> Message:
        """The message with what its plugin can use of the template's words; as it was, where there are none."""
        worded, reason = await self.tried(channel, plugin, message)
        if reason:
            log.warning("template.failed", template=channel.template, channel=channel.name, reason=reason)
        # An attempt before may have found another one, or none; what it says of parts that were sent stays.
        if reason != delivery.template_error and (reason or not delivery.parts_sent):
            await self._database.execute(sql.note_template_error, delivery.id, reason)
        return worded

    async def tried(self, channel: Channel, plugin: NotificationPlugin[Any], message: Message) -> tuple[Message, str]:
        """The same, with the reason where there is one."""
        if channel.template is None or plugin.worded is Worded.NOTHING:
            return message, ""
        found = await self._templates.worded(channel.template, message)
        if isinstance(found, Unworded):
            return message, f'template "{channel.template}": {found.reason}'
        lines = found.lines if plugin.worded is Worded.WHOLE else ()
        return replace(message, wording=replace(found, lines=lines)), ""
