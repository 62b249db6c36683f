"""Plugins that lie in a directory as files."""

import os
from pathlib import Path

import pytest

from alertagent.kernel.errors import NotFound
from alertagent.plugins.registry import Registry, Source

PLUGIN = """
from datetime import datetime
from alertagent.plugins.base import Health, NotificationPlugin
from alertagent.plugins.config import PluginConfig
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.outcome import Delivered

class Settings(PluginConfig):
    pass

class {cls}(NotificationPlugin[Settings]):
    name, version = "{name}", "{version}"
    display_name = description = Bilingual(zh="", en="")
    Config = Settings

    async def send(self, config, message, transport, *, now):
        return Delivered()

    async def health_check(self, config, transport):
        return Health(healthy=True)
"""


MUTE = """
class Mute(Exception):
    def __str__(self):
        raise RuntimeError

raise Mute
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "plugins"
    path.mkdir(mode=0o755)
    return path


@pytest.fixture
def registry() -> Registry:
    return Registry.load([])


def put(directory: Path, file: str, text: str) -> Path:
    path = directory / file
    path.write_text(text)
    path.chmod(0o644)
    return path


def plugin(name: str, version: str = "1", cls: str = "Mine") -> str:
    return PLUGIN.format(name=name, version=version, cls=cls)


def reasons(registry: Registry) -> dict[str, str]:
    return {broken.name: broken.reason for broken in registry.broken}


def test_a_file_is_a_plugin_beside_the_built_in_ones(registry: Registry, directory: Path) -> None:
    put(directory, "pager.py", plugin("pager"))
    put(directory, "_helper.py", "raise RuntimeError")
    put(directory, "notes.txt", "no code")

    registry.reload(directory)

    pager = registry.notifier("pager")
    assert (pager.version, registry.source_of(pager)) == ("1", Source.DIRECTORY)
    assert registry.source_of(registry.notifier("console")) is Source.BUILT_IN
    assert registry.broken == ()


def test_what_changed_was_added_or_is_gone_is_found_again(registry: Registry, directory: Path) -> None:
    put(directory, "pager.py", plugin("pager"))
    gone = put(directory, "gone.py", plugin("gone"))
    registry.reload(directory)
    before = registry.notifier("pager")

    put(directory, "pager.py", plugin("pager", "2"))
    put(directory, "more.py", plugin("one", cls="One") + plugin("two", cls="Two"))
    gone.unlink()
    registry.reload(directory)

    assert (before.version, registry.notifier("pager").version) == ("1", "2")
    assert {"pager", "one", "two"} <= registry.notifiers.keys()
    with pytest.raises(NotFound):
        registry.notifier("gone")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1\ndef f(:\n", "line 2: SyntaxError: invalid syntax"),
        ("x = 1\n\nraise RuntimeError('no licence')\n", "line 3: RuntimeError: no licence"),
        ("import sys\nsys.exit(3)\n", "line 2: SystemExit: 3"),
        ("raise KeyboardInterrupt\n", "line 1: KeyboardInterrupt"),
        ("import asyncio\nraise asyncio.CancelledError\n", "line 2: CancelledError"),
        (plugin("bad") + "\n    def __init__(self):\n        raise SystemExit(3)\n", "SystemExit: 3"),
        ("raise RuntimeError('\\ud800 no\\nlicence')\n", "line 1: RuntimeError: no licence"),
        (MUTE, "line 6: Mute"),
        ("class Odd:\n    __class__ = property(lambda self: 1 / 0)\n\nodd = Odd()\n", "line 2: ZeroDivisionError"),
        ("import no_such_module_here\n", "line 1: ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("x = 1\n", "there is no class in it that is derived from NotificationPlugin or Analyzer"),
        ("from alertagent.plugins.notifiers.console import Console\n", "there is no class in it"),
        (plugin("console"), "the name 'console' is taken"),
        (plugin("a", cls="A") + plugin("a", cls="B"), "the name 'a' is taken"),
        (plugin("bad").replace("async def send", "async def sent"), "not implemented: send"),
        (
            plugin("bad").replace("    Config = Settings", "    Config = dict"),
            "Config is not derived from PluginConfig",
        ),
        ("\x00", "source code string cannot contain null bytes"),
    ],
)
def test_a_file_that_is_broken_is_shown_and_what_it_gave_before_goes_on(
    registry: Registry, directory: Path, text: str, reason: str
) -> None:
    put(directory, "mine.py", plugin("mine"))
    put(directory, "other.py", plugin("other"))
    registry.reload(directory)

    put(directory, "mine.py", text)
    registry.reload(directory)
    registry.reload(directory)

    assert list(reasons(registry)) == ["mine"]
    assert reason in reasons(registry)["mine"]
    assert {"mine", "other", "console"} <= registry.notifiers.keys()


def test_each_plugin_of_a_broken_file_knows_of_it(registry: Registry, directory: Path) -> None:
    put(directory, "both.py", plugin("one", cls="One") + plugin("two", cls="Two"))
    put(directory, "other.py", plugin("other"))
    registry.reload(directory)

    put(directory, "both.py", "raise RuntimeError('no licence')")
    registry.reload(directory)

    [broken] = registry.broken
    known = {name: registry.update_of(registry.notifier(name)) for name in ("one", "two", "other", "console")}
    assert known == {"one": broken, "two": broken, "other": None, "console": None}


def test_a_file_that_never_worked_gives_nothing(registry: Registry, directory: Path) -> None:
    put(directory, "mine.py", "raise RuntimeError('no licence')")

    registry.reload(directory)

    with pytest.raises(NotFound, match=r"there is no notification plugin 'mine'; .* no licence"):
        registry.notifier("mine")


def test_a_class_with_two_names_that_nobody_can_hash_is_one_plugin(registry: Registry, directory: Path) -> None:
    put(directory, "mine.py", plugin("mine") + "    __hash__ = None\n\nAlias = Mine\n")

    registry.reload(directory)

    assert registry.source_of(registry.notifier("mine")) is Source.DIRECTORY
    assert registry.broken == ()


def test_what_did_not_change_is_not_run_again(registry: Registry, directory: Path) -> None:
    put(directory, "mine.py", plugin("mine"))
    registry.reload(directory)
    before = registry.notifier("mine")

    registry.reload(directory)
    same = registry.notifier("mine")
    put(directory, "mine.py", "raise RuntimeError")
    registry.reload(directory)
    put(directory, "mine.py", plugin("mine"))
    registry.reload(directory)

    assert same is before
    assert registry.notifier("mine") is before
    assert registry.broken == ()


def test_what_is_no_file_is_shown(registry: Registry, directory: Path) -> None:
    package = directory / "pack"
    package.mkdir(mode=0o755)
    put(package, "__init__.py", plugin("pack"))
    os.mkfifo(directory / "pipe.py", 0o644)

    registry.reload(directory)

    assert reasons(registry).keys() == {"pack", "pipe"}
    assert "only single files are loaded from here" in reasons(registry)["pack"]


def test_the_code_of_others_is_not_run(registry: Registry, directory: Path) -> None:
    touched = directory / "touched"
    text = f"open({str(touched)!r}, 'w')\n" + plugin("mine")
    put(directory, "mine.py", text).chmod(0o664)
    theirs = put(directory, "theirs.py", text)
    if os.geteuid() == 0:
        os.chown(theirs, 12345, 12345)
    else:
        theirs.chmod(0o646)

    registry.reload(directory)
    directory.chmod(0o777)
    put(directory, "mine.py", text)
    registry.reload(directory)

    assert not touched.exists()
    assert "others may write to" in reasons(registry)["plugins"]
    assert "mine" not in registry.notifiers


def test_a_directory_that_is_gone_takes_nothing_along(registry: Registry, directory: Path) -> None:
    put(directory, "mine.py", plugin("mine"))
    registry.reload(directory)
    directory.rename(directory.with_name("moved"))

    registry.reload(directory)

    assert "mine" in registry.notifiers
    assert reasons(registry)["plugins"] == "it cannot be read: No such file or directory"


def test_two_files_of_one_name_leave_the_first(registry: Registry, directory: Path) -> None:
    put(directory, "a.py", plugin("mine", "1"))
    put(directory, "b.py", plugin("mine", "2"))

    registry.reload(directory)

    assert registry.notifier("mine").version == "1"
    assert "taken" in reasons(registry)["b"]
