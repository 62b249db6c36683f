"""Which plugins there are: the built-in ones, those that other packages bring along, and those of a directory.

A package offers a plugin as an entry point in the group `alertagent.plugins` whose value is a class. A plugin
that cannot be loaded is left out and shown with the reason; the others work.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from pathlib import Path
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
from alertagent.plugins.directory import Found, Unloadable, read_directory, said_by
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.apprise import Apprise
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
from alertagent.plugins.text import cut, one_line

GROUP = "alertagent.plugins"
MAX_REASON = 1_000

AnyPlugin = NotificationPlugin[Any] | Analyzer[Any]


class Source(StrEnum):
    """Where a plugin comes from."""

    BUILT_IN = "built-in"
    PACKAGE = "package"
    DIRECTORY = "directory"


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that was left out. `place` is where it was to come from: `module:Class`, or a file.

    `kept` names what runs in its stead, as it was before.
    """

    name: str
    source: Source
    place: str
    reason: str
    kept: tuple[tuple[bool, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Plugins by name. A notifier and an analyzer may share one, as both sides of n8n do."""

    notifiers: dict[str, NotificationPlugin[Any]] = field(default_factory=dict)
    analyzers: dict[str, Analyzer[Any]] = field(default_factory=dict)
    sources: dict[tuple[bool, str], Source] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)

    def copy(self) -> "_Shelf":
        return _Shelf(dict(self.notifiers), dict(self.analyzers), dict(self.sources), list(self.broken))

    def add(self, source: Source, *plugins: AnyPlugin) -> None:
        """All of them or none. Raises ValueError for a name that is taken."""
        for plugin in plugins:
            if plugin.name in self._side(plugin) or any(_collide(plugin, other) for other in plugins):
                raise ValueError(f"the name {plugin.name!r} is taken")
        for plugin in plugins:
            self._side(plugin)[plugin.name] = plugin
            self.sources[_key(plugin)] = source

    def leave_out(
        self, name: str, source: Source, place: str, error: BaseException, kept: Sequence[AnyPlugin] = ()
    ) -> None:
        """Show why a plugin is not here; in an error's text there may be anything."""
        said = said_by(error)
        reason = said if isinstance(error, Unloadable) else f"{type(error).__name__}: {said}"
        self.broken.append(
            Broken(one_line(name), source, one_line(place), cut(one_line(reason), MAX_REASON), tuple(map(_key, kept)))
        )

    def _side(self, plugin: AnyPlugin) -> dict[str, Any]:
        return self.notifiers if isinstance(plugin, NotificationPlugin) else self.analyzers


@dataclass(frozen=True, slots=True)
class _OfFile:
    """What a file gave, and the digest of the content that gave it."""

    plugins: Sequence[AnyPlugin] = ()
    digest: bytes = b""


def _key(plugin: AnyPlugin) -> tuple[bool, str]:
    return isinstance(plugin, NotificationPlugin), plugin.name


def _collide(one: AnyPlugin, other: AnyPlugin) -> bool:
    return one is not other and _key(one) == _key(other)


class Registry:
    """Finds plugins by name."""

    def __init__(self, plugins: Iterable[AnyPlugin] = ()) -> None:
        self._base = _Shelf()
        for plugin in plugins:
            self._base.add(Source.BUILT_IN, plugin)
        self._shelf = self._base
        self._of_files: Mapping[str, _OfFile] = {}

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
                Apprise(),
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

    def reload(self, directory: Path) -> None:
        """Take the plugins of a directory as it is now, in one step: what is sent meanwhile is sent by the ones before.

        Where a file, or the directory, is broken, what it gave before stays.
        """
        shelf = self._base.copy()
        try:
            files = read_directory(directory, {before.digest for before in self._of_files.values()})
        except Unloadable as problem:
            shelf.leave_out(directory.name, Source.DIRECTORY, str(directory), problem)
            of_files = {name: _kept(shelf, before) for name, before in self._of_files.items()}
        else:
            of_files = {file.path.name: self._added(shelf, file) for file in files}
        self._shelf, self._of_files = shelf, of_files

    @property
    def notifiers(self) -> Mapping[str, NotificationPlugin[Any]]:
        return MappingProxyType(self._shelf.notifiers)

    @property
    def analyzers(self) -> Mapping[str, Analyzer[Any]]:
        return MappingProxyType(self._shelf.analyzers)

    @property
    def broken(self) -> tuple[Broken, ...]:
        return tuple(self._shelf.broken)

    def notifier(self, name: str) -> NotificationPlugin[Any]:
        """Raises NotFound, naming the reason where the plugin exists and is broken."""
        if name not in self._shelf.notifiers:
            raise NotFound(self._missing("notification plugin", name), code="plugin.not_found")
        return self._shelf.notifiers[name]

    def analyzer(self, name: str) -> Analyzer[Any]:
        """Raises NotFound, naming the reason where the plugin exists and is broken."""
        if name not in self._shelf.analyzers:
            raise NotFound(self._missing("analyzer", name), code="plugin.not_found")
        return self._shelf.analyzers[name]

    def source_of(self, plugin: AnyPlugin) -> Source:
        return self._shelf.sources[_key(plugin)]

    def update_of(self, plugin: AnyPlugin) -> Broken | None:
        """What was to take its place and is broken."""
        return next((broken for broken in self.broken if _key(plugin) in broken.kept), None)

    def _missing(self, kind: str, name: str) -> str:
        reasons = [plugin.reason for plugin in self._shelf.broken if plugin.name == name]
        return f"there is no {kind} {name!r}" + "".join(f"; it could not be loaded: {reason}" for reason in reasons)

    def _load(self, entry_point: EntryPoint) -> None:
        try:
            self._base.add(Source.PACKAGE, _built(entry_point.load()))
        except BaseException as error:  # noqa: BLE001 - foreign code may fail in any way, at import or when built
            self._base.leave_out(entry_point.name, Source.PACKAGE, entry_point.value, error)

    def _added(self, shelf: _Shelf, file: Found) -> _OfFile:
        """The plugins of a file, put on the shelf: the new ones, or those before where they are the same or broken."""
        before = self._of_files.get(file.path.name, _OfFile())
        try:
            plugins = before.plugins if file.digest and file.digest == before.digest else _made(file)
            shelf.add(Source.DIRECTORY, *plugins)
        except BaseException as error:  # noqa: BLE001 - see above
            kept = _kept(shelf, before)
            shelf.leave_out(file.path.stem, Source.DIRECTORY, str(file.path), error, kept.plugins)
            return kept
        return _OfFile(plugins, file.digest)


def _kept(shelf: _Shelf, before: _OfFile) -> _OfFile:
    """What ran before, unless its name has gone to another one."""
    with suppress(ValueError):
        shelf.add(Source.DIRECTORY, *before.plugins)
        return before
    return _OfFile()


def _made(file: Found) -> Sequence[AnyPlugin]:
    if file.problem:
        raise Unloadable(file.problem)
    return [_built(each) for each in file.classes]


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
    model.model_rebuild()  # now, so that settings that cannot be compiled are shown before somebody uses them
    plugin: AnyPlugin = candidate()
    return plugin
