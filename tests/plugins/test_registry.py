from datetime import datetime
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from alertagent.kernel.errors import NotFound
from alertagent.kernel.message import Message
from alertagent.plugins.base import Health, NotificationPlugin
from alertagent.plugins.config import PluginConfig
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.console import Console
from alertagent.plugins.outcome import Delivered, Outcome
from alertagent.plugins.registry import GROUP, Registry
from alertagent.plugins.transport import Transport

HERE = __name__
BUILT_IN = {
    "apprise",
    "console",
    "dingtalk",
    "discord",
    "email",
    "feishu",
    "n8n",
    "opsgenie",
    "pagerduty",
    "slack",
    "teams",
    "telegram",
    "webhook",
    "wecom",
}


class PagerConfig(PluginConfig):
    pass


class Pager(NotificationPlugin[PagerConfig]):
    name = "pager"
    version = "1.0"
    display_name = Bilingual(zh="寻呼", en="Pager")
    description = Bilingual(zh="寻呼", en="Pages")
    Config = PagerConfig

    async def send(self, config: PagerConfig, message: Message, transport: Transport, *, now: datetime) -> Outcome:
        return Delivered()

    async def health_check(self, config: PagerConfig, transport: Transport) -> Health:
        return Health(healthy=True)


class SecondConsole(Pager):
    name = "console"


class Nameless(NotificationPlugin[PagerConfig]):
    version = "1.0"
    display_name = description = Bilingual(zh="", en="")
    Config = PagerConfig
    send: Any = None
    health_check: Any = None


class Unfinished(NotificationPlugin[PagerConfig]):
    name = "unfinished"


class Explosive(Pager):
    name = "explosive"

    def __init__(self) -> None:
        raise RuntimeError("no licence")


class Leaving(Pager):
    name = "leaving"

    def __init__(self) -> None:
        raise SystemExit(3)


class Unconfigured(Pager):
    name = "unconfigured"
    Config = dict  # type: ignore[assignment]  # the mistake under test


class OddConfig(PluginConfig):
    pager: Explosive  # no settings can hold one


class Odd(Pager):
    name = "odd"
    Config = OddConfig  # type: ignore[assignment]  # the mistake under test


not_a_plugin = object()


def entry(name: str, attribute: str, module: str = HERE) -> EntryPoint:
    return EntryPoint(name=name, value=f"{module}:{attribute}", group=GROUP)


def test_the_built_in_plugins_are_there() -> None:
    registry = Registry.load([])

    assert set(registry.notifiers) == BUILT_IN
    assert set(registry.analyzers) == {"heuristic", "dify", "n8n", "openai"}
    assert registry.broken == ()


def test_what_other_packages_bring_is_there() -> None:
    registry = Registry.load([entry("pager", "Pager")])

    assert isinstance(registry.notifier("pager"), Pager)


@pytest.mark.parametrize(
    ("entry_point", "reason"),
    [
        (entry("absent", "Absent", "no_such_module_here"), "No module named 'no_such_module_here'"),
        (entry("lost", "Lost"), "has no attribute 'Lost'"),
        (entry("object", "not_a_plugin"), "not a class derived from NotificationPlugin or Analyzer"),
        (entry("nameless", "Nameless"), "not set: name"),
        (entry("unfinished", "Unfinished"), "not implemented: health_check, send"),
        (entry("explosive", "Explosive"), "RuntimeError: no licence"),
        (entry("leaving", "Leaving"), "SystemExit: 3"),
        (entry("unconfigured", "Unconfigured"), "Config is not derived from PluginConfig"),
        (entry("odd", "Odd"), "Unable to generate pydantic-core schema for <class"),
        (entry("console", "SecondConsole"), "the name 'console' is taken"),
    ],
    ids=lambda value: value.name if isinstance(value, EntryPoint) else "",
)
def test_a_broken_plugin_is_shown_and_the_rest_work(entry_point: EntryPoint, reason: str) -> None:
    registry = Registry.load([entry_point, entry("pager", "Pager")])

    [broken] = registry.broken
    assert (broken.name, broken.place) == (entry_point.name, entry_point.value)
    assert reason in broken.reason
    assert {*BUILT_IN, "pager"} == set(registry.notifiers)
    assert isinstance(registry.notifier("console"), Console)


def test_asking_for_a_broken_plugin_names_the_reason() -> None:
    registry = Registry.load([entry("explosive", "Explosive")])

    with pytest.raises(NotFound, match=r"there is no notification plugin 'explosive'; .* no licence"):
        registry.notifier("explosive")
    with pytest.raises(NotFound, match=r"^there is no analyzer 'pager'$"):
        registry.analyzer("pager")


def test_two_plugins_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="taken"):
        Registry([Pager(), Pager()])
