"""Trying out settings and channels by a message that says it is one."""

from collections.abc import Mapping
from typing import Any

from alertagent.core.notify.channels import Channels
from alertagent.core.notify.model import Channel
from alertagent.core.notify.samples import trial
from alertagent.core.notify.wording import Wordings
from alertagent.kernel.clock import Clock
from alertagent.kernel.language import Language
from alertagent.kernel.message import Message
from alertagent.plugins.outcome import Outcome
from alertagent.plugins.registry import Registry


class Trying:
    """Sends one message at once and tells what the provider said."""

    def __init__(self, channels: Channels, wordings: Wordings, registry: Registry, clock: Clock) -> None:
        self._channels = channels
        self._wordings = wordings
        self._registry = registry
        self._clock = clock

    async def settings(self, plugin_name: str, config: Mapping[str, Any], language: Language | None) -> Outcome:
        """Raises Invalid with the place of each finding."""
        return await self._channels.send(plugin_name, config, self._message(plugin_name, language))

    async def channel(self, channel: Channel) -> tuple[Outcome, str]:
        """In its language and its template's words; with the reason where those did not come about."""
        message, reason = self._message(channel.plugin_name, channel.language), ""
        plugin = self._registry.notifiers.get(channel.plugin_name)
        if plugin is not None:
            message, reason = await self._wordings.tried(channel, plugin, message)
        return await self._channels.send(channel.plugin_name, channel.config, message), reason

    def _message(self, plugin_name: str, language: Language | None) -> Message:
        plugin = self._registry.notifiers.get(plugin_name)
        spoken = Language.EN if plugin is None else plugin.language
        return trial(self._clock.now(), language or spoken)
