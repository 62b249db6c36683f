import asyncio
from contextlib import suppress

from alertagent.kernel.errors import Unavailable
from alertagent.queue.loops import cancel, forever


async def test_a_loop_survives_outages_and_defects() -> None:
    errors = [OSError("away"), Unavailable("away"), ZeroDivisionError(), None]
    going_on = asyncio.Event()

    async def step() -> None:
        error = errors.pop(0) if errors else None
        if error:
            raise error
        going_on.set()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        loop = group.create_task(forever("test", step, queue="work"))
        async with asyncio.timeout(5):
            await going_on.wait()
        await cancel([loop])

    assert loop.cancelled()


async def test_a_cancellation_that_a_library_swallows_ends_the_loop_all_the_same() -> None:
    entered = asyncio.Event()

    async def step() -> None:
        entered.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        loop = group.create_task(forever("test", step, queue="work"))
        await entered.wait()
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop

    assert loop.done()
