"""Which plugins there are: the built-in ones and those that other packages bring along.

A package offers a plugin as an entry point in the group `alertagent.plugins` whose value is a class. A plugin
that cannot be loaded is left out and shown with the reason; the others work.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from types import MappingProxyType
from typing import Any, Self

from alertagent.kernel.errors import NotFound
from alertagent.plugins.analysis import Analyzer
from alertagent.plugins.analyzers.dify import Dify
from alertagent.plugins.analyzers.heuristic import Heuristic
from alertagent.plugins.analyzers.n8n import N8n as N8nAnalyzer
from alertagent.plugins.analyzers.openai import OpenAI
from alertagent.plugins.base import NotificationPlugin
from alertagent.plugins.config import PluginConfig
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.console import Console
from alertagent.plugins.notifiers.dingtalk import DingTalk
from alertagent.plugins.notifiers.discord import Discord
from alertagent.plugins.notifiers.email import Email
from alertagent.plugins.notifiers.feishu import Feishu
from alertagent.plugins.notifiers.n8n import N8n
from alertagent.plugins.notifiers.opsgenie import Opsgenie
from alertagent.plugins.notifiers.pagerduty import PagerDuty
from alertagent.plugins.notifiers.slack import Slack
from alertagent.plugins.notifiers.teams import Teams
from alertagent.plugins.notifiers.telegram import Telegram
from alertagent.plugins.notifiers.webhook import Webhook
from alertagent.plugins.notifiers.wecom import WeCom

GROUP = "alertagent.plugins"

AnyPlugin = NotificationPlugin[Any] | Analyzer[Any]


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that was left out. `source` is where it was to come from: `module:Class`."""

    name: str
    source: str
    reason: str


class Registry:
    """Finds plugins by name. A notifier and an analyzer may share one, as both sides of n8n do."""

    def __init__(self, plugins: Iterable[AnyPlugin] = ()) -> None:
        self._notifiers: dict[str, NotificationPlugin[Any]] = {}
        self._analyzers: dict[str, Analyzer[Any]] = {}
        self._broken: list[Broken] = []
        for plugin in plugins:
            self._add(plugin)

    @classmethod
    def load(cls, found: Iterable[EntryPoint] | None = None) -> Self:
        """The built-in plugins, then the `found` ones (by default those of every installed package)."""
        registry = cls(
            [
                DingTalk(),
                Discord(),
                Email(),
                Feishu(),
                N8n(),
                Opsgenie(),
                PagerDuty(),
                Slack(),
                Teams(),
                Telegram(),
                WeCom(),
                Webhook(),
                Console(),
                Dify(),
                Heuristic(),
                N8nAnalyzer(),
                OpenAI(),
            ]
        )
        for entry_point in entry_points(group=GROUP) if found is None else found:
            registry._load(entry_point)
        return registry

    @property
    def notifiers(self) -> Mapping[str, NotificationPlugin[Any]]:
        return MappingProxyType(self._notifiers)

    @property
    def analyzers(self) -> Mapping[str, Analyzer[Any]]:
        return MappingProxyType(self._analyzers)

    @property
    def broken(self) -> tuple[Broken, ...]:
        return tuple(self._broken)

    def notifier(self, name: str) -> NotificationPlugin[Any]:
        """Raises NotFound, naming the reason where the plugin exists and is broken."""
        if name not in self._notifiers:
            raise NotFound(self._missing("notification plugin", name), code="plugin.not_found")
        return self._notifiers[name]

    def analyzer(self, name: str) -> Analyzer[Any]:
        """Raises NotFound, naming the reason where the plugin exists and is broken."""
        if name not in self._analyzers:
            raise NotFound(self._missing("analyzer", name), code="plugin.not_found")
        return self._analyzers[name]

    def _missing(self, kind: str, name: str) -> str:
        reasons = [plugin.reason for plugin in self._broken if plugin.name == name]
        return f"there is no {kind} {name!r}" + "".join(f"; it could not be loaded: {reason}" for reason in reasons)

    def _load(self, entry_point: EntryPoint) -> None:
        try:
            self._add(_built(entry_point.load()))
        except Exception as error:  # noqa: BLE001 - foreign code may fail in any way, at import or when built
            reason = f"{type(error).__name__}: {error}"
            self._broken.append(Broken(entry_point.name, entry_point.value, reason))

    def _add(self, plugin: AnyPlugin) -> None:
        shelf: dict[str, Any] = self._notifiers if isinstance(plugin, NotificationPlugin) else self._analyzers
        if plugin.name in shelf:
            raise ValueError(f"the name {plugin.name!r} is taken")
        shelf[plugin.name] = plugin


def _built(candidate: object) -> AnyPlugin:
    """An object of the class, which must be a whole plugin. Raises TypeError saying what it lacks."""
    if not isinstance(candidate, type) or not issubclass(candidate, (NotificationPlugin, Analyzer)):
        raise TypeError("not a class derived from NotificationPlugin or Analyzer")
    if isabstract(candidate):
        raise TypeError(f"not implemented: {', '.join(sorted(candidate.__abstractmethods__))}")
    expected = {"name": str, "version": str, "display_name": Bilingual, "description": Bilingual}
    lacking = [name for name, kind in expected.items() if not isinstance(getattr(candidate, name, None), kind)]
    if lacking:
        raise TypeError(f"not set: {', '.join(lacking)}")
    model = getattr(candidate, "Config", None)
    if not isinstance(model, type) or not issubclass(model, PluginConfig):
        raise TypeError("Config is not derived from PluginConfig")
    plugin: AnyPlugin = candidate()
    return plugin
