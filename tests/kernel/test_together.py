import asyncio
from collections.abc import Sequence

import pytest

from alertagent.kernel.errors import Unavailable
from alertagent.kernel.together import Together


class Desk:
    """Doubles numbers. Negative ones cannot be doubled, and it works only while it is `open`."""

    def __init__(self, *, most: int = 500) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.is_away = False
        self.together = Together(self._work, most=most)

    async def _work(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        await self.open.wait()
        if self.is_away:
            raise Unavailable("away")
        if min(numbers) < 0:
            raise ValueError(f"{numbers}")
        return [2 * number for number in numbers]

    async def asking(self, *numbers: int) -> "list[asyncio.Task[int]]":
        """So many who wait, each in a task of its own."""
        tasks = [asyncio.create_task(self.together.ask(number)) for number in numbers]
        for _ in range(5):
            await asyncio.sleep(0)
        return tasks


async def test_whoever_comes_while_a_batch_is_under_way_rides_with_the_next() -> None:
    desk = Desk()
    first = await desk.asking(1, 2)
    later = await desk.asking(3, 4, 5)

    desk.open.set()
    answers = await asyncio.gather(*first, *later)

    assert answers == [2, 4, 6, 8, 10]
    assert desk.batches == [[1, 2], [3, 4, 5]]


async def test_who_asks_alone_waits_for_nobody() -> None:
    desk = Desk()
    desk.open.set()

    answers = [await desk.together.ask(number) for number in (1, 2)]

    assert answers == [2, 4]
    assert desk.batches == [[1], [2]]


async def test_a_batch_has_its_bound() -> None:
    desk = Desk(most=2)
    desk.open.set()

    answers = await asyncio.gather(*(desk.together.ask(number) for number in range(5)))

    assert answers == [0, 2, 4, 6, 8]
    assert desk.batches == [[0, 1], [2, 3], [4]]


async def test_one_that_cannot_be_done_does_not_fail_its_neighbours() -> None:
    desk = Desk()
    desk.open.set()

    answers = await asyncio.gather(*(desk.together.ask(number) for number in (1, -1, 3)), return_exceptions=True)

    assert (answers[0], answers[2]) == (2, 6)
    assert isinstance(answers[1], ValueError)


async def test_an_outage_is_an_answer_for_all_at_once() -> None:
    desk = Desk()
    desk.is_away = True
    desk.open.set()

    answers = await asyncio.gather(*(desk.together.ask(number) for number in range(3)), return_exceptions=True)

    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert desk.batches == [[0, 1, 2]]


async def test_when_whoever_leads_is_cancelled_the_next_one_does_the_work() -> None:
    desk = Desk()
    leader, *others = await desk.asking(1, 2, 3)

    leader.cancel()
    later = await desk.asking(4)
    desk.open.set()

    assert await asyncio.gather(*others, *later) == [4, 6, 8]
    assert desk.batches == [[1, 2, 3], [2, 3, 4]]
    assert leader.cancelled()


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_one_that_is_cancelled_when_its_turn_comes_lets_the_next_one_lead(turns: int) -> None:
    desk = Desk()
    leader, second = await desk.asking(1), await desk.asking(2)
    third = await desk.asking(3)

    leader[0].cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    second[0].cancel()
    desk.open.set()

    assert await asyncio.gather(*third) == [6]
    assert await desk.together.ask(4) == 8


async def test_one_who_gives_up_waiting_is_left_out() -> None:
    desk = Desk()
    first, gone = await desk.asking(1), await desk.asking(2)

    gone[0].cancel()
    last = await desk.asking(3)
    desk.open.set()

    assert await asyncio.gather(*first, *last) == [2, 6]
    assert desk.batches == [[1], [3]]
