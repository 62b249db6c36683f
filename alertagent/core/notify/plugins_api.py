"""Notification plugins over HTTP."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field, StrictBool

from alertagent.core.audit.model import actor_of
from alertagent.core.notify.plugins import Plugins
from alertagent.core.notify.trying import Trying
from alertagent.kernel.language import Language
from alertagent.plugins.base import NotificationPlugin, Worded
from alertagent.plugins.outcome import Delivered, Outcome, Word, word_of
from alertagent.plugins.registry import Broken, Registry, Source
from alertagent.web.access import admin, editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import Model
from alertagent.web.replies import Page
from alertagent.web.routes import get, post, put


class PluginView(Model):
    name: str
    display_name: dict[str, str]
    version: str
    description: dict[str, str]
    config_schema: dict[str, Any]
    enabled: Annotated[bool, Field(description="Whether channels made of it tell anybody.")]
    limits: dict[str, Any]
    language: Annotated[Language | None, Field(description="What its messages speak where a channel does not say.")]
    template: Annotated[Worded, Field(description="How much of a message a template may word.")]
    source: Source
    error: Annotated[
        str | None,
        Field(description="Why it, or a new version of it, could not be loaded."),
    ]


class PluginChange(Model):
    enabled: StrictBool


class TestRequest(Model):
    config: dict[str, Any] = {}
    language: Language | None = None


class TestResult(Model):
    """What the provider said to a test message."""

    delivered: bool
    outcome: Word
    code: str
    message: str
    template_error: Annotated[str, Field(description="Why the channel's template did not word it.")]


class PluginsApi:
    def __init__(self, plugins: Plugins, registry: Registry, trying: Trying) -> None:
        self._plugins = plugins
        self._registry = registry
        self._trying = trying

    @get("/plugins", access=viewer("channels:read"))
    async def plugins(self, call: Call) -> Page[PluginView]:
        """The notification plugins, the settings that each of them takes, and those that could not be loaded."""
        return await self._page()

    @post("/plugins/reload", access=admin())
    async def reload_plugins(self, call: Call) -> Page[PluginView]:
        """Read the directory of plugins anew, in every process. Of a file that is broken, what ran before goes on."""
        await self._plugins.reload(actor_of(call))
        return await self._page()

    @get("/plugins/{name}", access=viewer("channels:read"))
    async def plugin(self, call: Call, name: str) -> PluginView:
        """One notification plugin."""
        return self._view(self._registry.notifier(name), await self._plugins.disabled())

    @put("/plugins/{name}", access=editor("channels:write"))
    async def switch_plugin(self, call: Call, name: str, body: PluginChange) -> PluginView:
        """Switch a plugin off, and no channel of it tells anybody; or on again."""
        await self._plugins.switch(actor_of(call), name, enabled=body.enabled)
        return await self.plugin(call, name)

    @post("/plugins/{name}/test", access=editor("channels:write"))
    async def test_plugin(self, call: Call, name: str, body: TestRequest) -> TestResult:
        """Send one test message with these settings and show what the provider said."""
        self._registry.notifier(name)
        await self._plugins.require_enabled(name)
        return result_of(await self._trying.settings(name, body.config, body.language))

    async def _page(self) -> Page[PluginView]:
        views = [*self._views(await self._plugins.disabled())]
        return Page(items=views, total=len(views))

    def _views(self, disabled: frozenset[str]) -> Iterator[PluginView]:
        """What runs, each with what was to take its place and is broken; then the broken ones that replace nothing."""
        plugins = [plugin for _, plugin in sorted(self._registry.notifiers.items())]
        updates = {self._registry.update_of(plugin) for plugin in plugins}
        for plugin in plugins:
            yield self._view(plugin, disabled)
        for broken in sorted(self._registry.broken, key=lambda each: (each.name, each.place)):
            if broken not in updates:
                yield _left_out(broken, disabled)

    def _view(self, plugin: NotificationPlugin[Any], disabled: frozenset[str]) -> PluginView:
        rates = [
            {"messages": rate.messages, "window_seconds": rate.window.total_seconds()} for rate in plugin.limits.rates
        ]
        limits = {"rates": rates, "max_bytes": plugin.limits.max_bytes, "max_alerts": plugin.limits.max_alerts}
        return PluginView(
            name=plugin.name,
            display_name=asdict(plugin.display_name),
            version=plugin.version,
            description=asdict(plugin.description),
            config_schema=plugin.config_schema(),
            enabled=plugin.name not in disabled,
            limits=limits,
            language=plugin.language,
            template=plugin.worded,
            source=self._registry.source_of(plugin),
            error=str(update) if (update := self._registry.update_of(plugin)) is not None else None,
        )


def _left_out(broken: Broken, disabled: frozenset[str]) -> PluginView:
    return PluginView(
        name=broken.name,
        display_name={},
        version="",
        description={},
        config_schema={},
        enabled=broken.name not in disabled,
        limits={},
        language=None,
        template=Worded.NOTHING,
        source=broken.source,
        error=str(broken),
    )


def result_of(outcome: Outcome, template_error: str = "") -> TestResult:
    return TestResult(
        delivered=isinstance(outcome, Delivered),
        outcome=word_of(outcome),
        code=outcome.code,
        message=outcome.text,
        template_error=template_error,
    )
