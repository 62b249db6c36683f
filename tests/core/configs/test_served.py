"""What is at hand is asked for once, whoever comes, and does not grow without end."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest

from alertagent.core.configs.served import Bodies, OneAtATime


class Work:
    """Counts how often it is begun, and waits to be let on."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = asyncio.Event()
        self.problem: Exception | None = None

    async def __call__(self) -> bytes:
        self.begun += 1
        await self.gate.wait()
        if self.problem is not None:
            raise self.problem
        return b"done"


async def test_many_who_come_at_once_have_it_done_once() -> None:
    work, each = Work(), OneAtATime[bytes]()
    asking = [asyncio.create_task(each.do("a", work)) for _ in range(100)]
    await asyncio.sleep(0)
    work.gate.set()

    assert await asyncio.gather(*asking) == [b"done"] * 100
    assert work.begun == 1
    assert await each.do("a", work) == b"done"
    assert work.begun == 2


async def test_a_failure_is_everybody_s_and_is_forgotten() -> None:
    work, each = Work(), OneAtATime[bytes]()
    work.problem = ValueError("no")
    asking = [asyncio.create_task(each.do("a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    work.gate.set()

    assert [type(found) for found in await asyncio.gather(*asking, return_exceptions=True)] == [ValueError] * 3
    work.problem = None
    assert await each.do("a", work) == b"done"


async def test_where_the_one_who_works_leaves_another_begins_anew() -> None:
    work, each = Work(), OneAtATime[bytes]()
    first, second, third = (asyncio.create_task(each.do("a", work)) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    work.gate.set()

    assert [await second, await third] == [b"done"] * 2
    assert work.begun == 2


async def test_files_stay_at_hand_up_to_a_size_and_the_last_one_always() -> None:
    bodies, loaded = Bodies(capacity=250), []

    def load(name: str, size: int = 100) -> Callable[[], Awaitable[bytes]]:
        async def bring() -> bytes:
            loaded.append(name)
            return name.encode() * size

        return bring

    for name in ("a", "b", "a", "c", "a", "b"):
        await bodies.plain(name, load(name))
    assert loaded == ["a", "b", "c", "b"]

    await bodies.plain("d", load("d", 1000))
    await bodies.plain("d", load("d", 1000))
    assert loaded[-1] == "d"
    assert loaded.count("d") == 1


async def test_the_same_file_is_compressed_once_to_the_same_bytes() -> None:
    async def load() -> bytes:
        return b"rules" * 1000

    one, other = Bodies(), Bodies()

    assert gzip.decompress(await one.zipped("h", load)) == await one.plain("h", load)
    assert await one.zipped("h", load) is await one.zipped("h", load)
    assert await one.zipped("h", load) == await other.zipped("h", load)


@pytest.mark.parametrize("key", ["a", "b"])
async def test_different_things_do_not_wait_for_each_other(key: str) -> None:
    slow, quick, each = Work(), Work(), OneAtATime[bytes]()
    quick.gate.set()
    waiting = asyncio.create_task(each.do("slow", slow))
    await asyncio.sleep(0)

    assert await each.do(key, quick) == b"done"
    slow.gate.set()
    assert await waiting == b"done"
