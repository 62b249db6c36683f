"""Running what is ready.

A runner is an asyncio task that runs one delivery after the other, so that a handler that never waits costs no turn
of the event loop. There are as many runners as handlers that wait at once, and one more: whenever a handler waits
for the first time, another runner looks for work.

Each delivery has a context of its own, as if it had its own asyncio task. A runner that was cancelled ends with the
delivery that was meant, because a cancellation that came late would hit the next one.
"""

import asyncio
import contextvars
import random
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from types import coroutine
from typing import Any

import structlog

from alertagent.kernel.clock import Clock
from alertagent.queue.holdings import Delivery, Fate
from alertagent.queue.policy import DEFAULT, Bury, Rule, judge
from alertagent.queue.settle import GiveBack, Settler
from alertagent.queue.station import Station
from alertagent.queue.task import Task

Handler = Callable[[Task], Awaitable[None]]

MAX_TRACEBACK = 4096
# How long deliveries may run one after the other before everybody else gets a turn, in seconds.
TURN = 0.005
# How late an overdue handler may be noticed, in seconds. One look at all is cheaper than a timer for each.
LOOK_EVERY = 0.1

# As structlog's bind_contextvars makes them, which would look each of them up again for every task.
_TASK_ID = contextvars.ContextVar[str](f"{structlog.contextvars.STRUCTLOG_KEY_PREFIX}task_id")
_TASK_TYPE = contextvars.ContextVar[str](f"{structlog.contextvars.STRUCTLOG_KEY_PREFIX}task_type")


@dataclass(frozen=True, slots=True)
class Kind:
    """How tasks of one type are run."""

    handler: Handler
    rule: Rule
    seconds: float


class Runners:
    """The runners of one pool. `is_open` tells whether something may be started."""

    def __init__(
        self,
        station: Station,
        settler: Settler,
        handlers: Mapping[str, Handler],
        rules: Mapping[str, Rule],
        *,
        clock: Clock,
        is_open: Callable[[], bool],
    ) -> None:
        self._station = station
        self._holdings = station.holdings
        self._settler = settler
        self._now = clock.now
        self._is_open = is_open
        self._kinds = {type: _kind(handler, rules.get(type, DEFAULT)) for type, handler in handlers.items()}
        # Not the context of whoever starts a runner: that may be another task's, with all that it has bound.
        self._context = contextvars.copy_context()
        self._group: asyncio.TaskGroup | None = None
        self._coming = False
        self._look: asyncio.TimerHandle | None = None

    def begin(self, group: asyncio.TaskGroup) -> None:
        """Run in this group from now on."""
        self._group = group

    def end(self) -> None:
        """The group is about to end: a runner that outlives its own cancellation starts no other one."""
        self._group = None
        if self._look is not None:
            self._look.cancel()

    def start(self) -> None:
        """Have a runner look for work, unless one is about to."""
        if self._group is not None and not self._coming and self._is_open() and self._holdings.may_start:
            self._coming = True
            self._group.create_task(self._run(), context=self._context)

    async def _run(self) -> None:
        # A turn for the reader, that its next request travels while we run what the last one brought.
        await asyncio.sleep(0)
        self._coming = False
        runner = _current()
        turn = perf_counter() + TURN
        while self._is_open() and (delivery := self._holdings.next()) is not None:
            delivery.runner = runner
            ended = await self._attempt(delivery)
            if runner.cancelling():
                self.start()
                return
            if ended > turn:
                await asyncio.sleep(0)
                turn = perf_counter() + TURN

    async def _attempt(self, delivery: Delivery) -> float:
        """Run it and settle how that ended; returns when."""
        kind = self._kinds[delivery.task.type]
        delivery.started_at = self._now()
        began = perf_counter()
        delivery.deadline = began + kind.seconds
        try:
            await _apart(_handle(kind.handler, delivery.task), self._context.copy(), self._waits)
        except asyncio.CancelledError as error:
            delivery.seconds = perf_counter() - began
            self._cancelled(delivery, error, kind)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is an answer
            delivery.seconds = perf_counter() - began
            self._failed(delivery, error, kind.rule)
        else:
            delivery.seconds = perf_counter() - began
            self._settler.done(delivery)
        return began + delivery.seconds

    def _waits(self) -> None:
        """A handler waits for the first time."""
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(LOOK_EVERY, self._end_overdue)
        self.start()

    def _end_overdue(self) -> None:
        self._look = None
        now = perf_counter()
        for delivery in self._holdings.running:
            if delivery.deadline < now:
                delivery.stop(Fate.OVERDUE)
        if self._holdings.running:
            self._look = asyncio.get_running_loop().call_later(LOOK_EVERY, self._end_overdue)

    def _cancelled(self, delivery: Delivery, error: asyncio.CancelledError, kind: Kind) -> None:
        if delivery.fate is Fate.GIVEN_BACK:
            self._settler.remove(delivery, GiveBack())
        elif delivery.fate is Fate.LOST:
            self._holdings.release(delivery)
        elif delivery.fate is Fate.CANCELLED:
            self._settler.cancelled(delivery)
        elif delivery.fate is Fate.OVERDUE:
            overdue = TimeoutError(f"ran longer than {kind.seconds:g} s")
            overdue.__cause__ = error
            self._failed(delivery, overdue, kind.rule)
        elif _current().cancelling():
            raise error  # the whole pool is being cancelled; another worker takes over when the lease ends
        else:
            self._failed(delivery, error, kind.rule)  # the handler's own doing: what it waited for was cancelled

    def _failed(self, delivery: Delivery, error: BaseException, rule: Rule) -> None:
        verdict = judge(error, delivery.task, random.random(), rule)
        text = "".join(traceback.format_exception(error))[-MAX_TRACEBACK:] if isinstance(verdict, Bury) else ""
        self._settler.failed(delivery, verdict, text)


def _kind(handler: Handler, rule: Rule) -> Kind:
    return Kind(handler, rule, rule.timeout.total_seconds())


def _current() -> "asyncio.Task[Any]":
    current = asyncio.current_task()
    assert current is not None
    return current


async def _handle(handler: Handler, task: Task) -> None:
    _TASK_ID.set(task.id)
    _TASK_TYPE.set(task.type)
    await handler(task)


@coroutine
def _apart(
    work: Coroutine[Any, Any, None], context: contextvars.Context, waits: Callable[[], None]
) -> Generator[Any, Any, None]:
    """Await `work` in this asyncio task, but in a context of its own. Calls `waits` when it first has to wait."""
    try:
        awaited = context.run(work.send, None)
    except StopIteration:
        return
    waits()
    while True:
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001 - also a cancellation is for the work
            step = partial(work.throw, error)
        else:
            step = partial(work.send, None)
        try:
            awaited = context.run(step)
        except StopIteration:
            return
