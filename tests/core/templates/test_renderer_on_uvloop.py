"""The renderer on the loop that a server runs on, which treats a process that is gone in its own way."""

import asyncio
import os
import signal
from pathlib import Path

import uvloop

from alertagent.core.templates.renderer import Fault, Renderer
from tests.core.templates.test_renderer import DATA, child


async def gone(pid: int) -> None:
    """Once the loop has noticed."""
    async with asyncio.timeout(10):
        while Path(f"/proc/{pid}").exists():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def test_a_process_that_was_killed_is_replaced() -> None:
    async def killing_twice() -> list[object]:
        renderer = Renderer()
        async with renderer.running():
            await renderer.render("x", DATA)
            os.kill(child(), signal.SIGKILL)
            at_once = await renderer.render("y", DATA)
            later = child()
            os.kill(later, signal.SIGKILL)
            await gone(later)
            return [at_once, await renderer.render("z", DATA), child() != later]

    assert uvloop.run(killing_twice()) == ["y", "z", True]


def test_a_bomb_hurts_nobody() -> None:
    async def bombing() -> tuple[str | Fault, str | Fault]:
        renderer = Renderer()
        async with renderer.running():
            return await renderer.render("{{ 10 ** (10 ** 8) }}", DATA), await renderer.render("fine", DATA)

    stopped, fine = uvloop.run(bombing())

    assert isinstance(stopped, Fault)
    assert (stopped.was_stopped, fine) == (True, "fine")
