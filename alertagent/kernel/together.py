"""Doing at once what many ask for at the same moment.

Whoever asks while a batch is under way rides with the next one, and who asks alone waits for nobody. There is no task
in the background: one of those who wait does the work for all, and then lets the next one lead.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from alertagent.kernel.errors import Unavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(slots=True, eq=False)
class _Seat(Generic[Item, Answer]):
    """One who waits. `called` says that it is its turn to lead."""

    item: Item
    answer: asyncio.Future[Answer]
    called: asyncio.Future[None] | None = None

    @property
    def is_gone(self) -> bool:
        """Whether it was cancelled, even if it has had no turn yet to notice."""
        return self.answer.done() or (self.called is not None and self.called.cancelled())


class Together(Generic[Item, Answer]):
    """Has `work` answer many items at once, in their order; at most `most` in one batch.

    If a batch fails for another reason than an outage, each item is worked on alone, so that one cannot fail its
    neighbours. If whoever leads is cancelled, the next one works on the same items again.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], *, most: int = 500) -> None:
        self._work = work
        self._most = most
        self._waiting: deque[_Seat[Item, Answer]] = deque()
        self._is_led = False

    async def ask(self, item: Item) -> Answer:
        """The answer to this item. Raises what `work` raised for it."""
        seat = _Seat[Item, Answer](item, asyncio.get_running_loop().create_future())
        self._waiting.append(seat)
        if self._is_led:
            await self._answered_or_called(seat)
        if not seat.answer.done():
            await self._lead(seat)
        return seat.answer.result()

    async def _answered_or_called(self, seat: _Seat[Item, Answer]) -> None:
        called = seat.called = asyncio.get_running_loop().create_future()
        try:
            await called
        except asyncio.CancelledError:
            _forget(seat)
            if called.done() and not called.cancelled() and self._waiting and self._waiting[0] is seat:
                self._let_next_lead()
            raise

    async def _lead(self, seat: _Seat[Item, Answer]) -> None:
        """Work on a batch with this seat in it."""
        self._is_led = True
        batch: list[_Seat[Item, Answer]] = []
        try:
            await asyncio.sleep(0)  # whoever was woken by the same thing joins
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            await self._serve([one for one in batch if not one.is_gone])
        except asyncio.CancelledError:
            _forget(seat)
            self._waiting.extendleft(one for one in reversed(batch) if not one.answer.done())
            raise
        finally:
            self._let_next_lead()

    async def _serve(self, batch: Sequence[_Seat[Item, Answer]]) -> None:
        try:
            answers = await self._work([seat.item for seat in batch])
        except Unavailable as problem:
            for seat in batch:
                _fail(seat, problem)
        except Exception as error:  # noqa: BLE001 - whoever waits must get an answer
            if len(batch) == 1:
                _fail(batch[0], error)
            else:
                for seat in batch:
                    await self._serve([seat])
        else:
            for seat, answer in zip(batch, answers, strict=True):
                if not seat.answer.done():
                    seat.answer.set_result(answer)
                _wake(seat)

    def _let_next_lead(self) -> None:
        while self._waiting and self._waiting[0].is_gone:
            self._waiting.popleft()
        self._is_led = bool(self._waiting)
        if self._waiting:
            _wake(self._waiting[0])


def _fail(seat: _Seat[Item, Answer], error: Exception) -> None:
    if not seat.answer.done():
        seat.answer.set_exception(error)
    _wake(seat)


def _wake(seat: _Seat[Item, Answer]) -> None:
    if seat.called is not None and not seat.called.done():
        seat.called.set_result(None)


def _forget(seat: _Seat[Item, Answer]) -> None:
    """Nobody waits for this answer any more, should it be there already."""
    if not seat.answer.cancel() and not seat.answer.cancelled():
        seat.answer.exception()
