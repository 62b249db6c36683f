"""The circuit breakers of channels: who keeps failing is left alone, and one message tries whether he is back.

A message that is taken, as nearly all are, costs no statement. Each process reads once a second which breakers are in
trouble, and only about those does it write what passes; what fails is always written. So a breaker that opens holds
back the other processes a second later.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.core.notify.model import Channel
from alertagent.kernel.breaker import LONGEST_OPEN, Breaker, State, Wait, admit
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Conflict, Problem
from alertagent.kernel.together import Together
from alertagent.plugins.base import NotificationPlugin
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.registry import Registry
from alertagent.storage.breakers import Breakers
from alertagent.storage.database import Database, Executor

LOOK_EVERY = timedelta(seconds=1)

# To read settings costs more than to remember what came out: of so many channels.
REMEMBERED = 10_000

# While another message tries whether the provider is back: longer than its answer takes.
WHILE_PROBED = timedelta(seconds=15)

# Beyond what its message may take: a probe of which nothing is heard for so long died with its process.
MARGIN = timedelta(seconds=15)

# For who says "too many" and not how long.
DEFAULT_PAUSE = timedelta(seconds=5)

TOO_MANY = "http.429"

# Where a channel has fallbacks, so long a message waits for a provider; and this long where it has none.
UNTIL_FALLBACK = timedelta(minutes=10)
PATIENCE = timedelta(hours=24)

OnClose = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shut:
    """A provider is not to be called before then. `is_down`: after a first pause it failed once more."""

    until: datetime
    state: State
    is_down: bool


class Circuits:
    """Asked before each message whether it may go, told afterwards what became of it."""

    def __init__(
        self,
        database: Database,
        breakers: Breakers,
        audit: Audit,
        *,
        registry: Registry,
        clock: Clock,
        request_timeout: timedelta,
    ) -> None:
        self._database = database
        self._breakers = breakers
        self._audit = audit
        self._registry = registry
        self._clock = clock
        self._request_timeout = request_timeout
        self._troubled: dict[str, Breaker] = {}
        self._looked_at: datetime | None = None
        self._circuits: dict[str, tuple[int, str | None]] = {}
        self._recorded = Together(self._record)
        self._probing: set[str] = set()
        self._looked = Together(self._look_again)
        self._on_close: OnClose | None = None

    def on_close(self, wake: OnClose) -> None:
        """Call this with the key of each breaker that closes here."""
        self._on_close = wake

    async def shut(self, circuit: str | None) -> Shut | None:
        """Whether a message has to wait, as far as this process knows. Lets nobody through half-open."""
        breaker = await self._known(circuit)
        answer = admit(breaker, self._clock.now()) if breaker is not None else None
        return self._shut(breaker, answer) if breaker is not None and isinstance(answer, Wait) else None

    async def is_closed(self, circuit: str | None, executor: Executor | None = None) -> bool:
        """Whether it may be called by anybody, and not just by the one who tries."""
        breaker = await self._known(circuit, executor)
        return breaker is None or breaker.state(self._clock.now()) is State.CLOSED

    async def admit(self, circuit: str | None, *, takes_up_to: timedelta) -> Shut | None:
        """Whether this message has to wait. Who is let through half-open is the only one, and must go now.

        He is for as long as he may take, and a little longer.
        """
        breaker = await self._known(circuit)
        if circuit is None or breaker is None or breaker.state(self._clock.now()) is State.CLOSED:
            return None
        wait = await self._breakers.admit(circuit, lost_after=max(takes_up_to, 2 * self._request_timeout) + MARGIN)
        if wait is not None:
            return self._shut(breaker, wait)
        self._probing.add(circuit)
        return None

    async def release(self, circuit: str | None) -> None:
        """Nothing was sent after all: if this message was to try, the next one does."""
        if circuit is not None and circuit in self._probing:
            self._probing.discard(circuit)
            await self._breakers.released(circuit)

    async def note(self, circuit: str | None, outcome: Outcome) -> None:
        """What became of a message. A refusal shows that somebody is there, and so does "too many"."""
        if circuit is None:
            return
        self._probing.discard(circuit)
        if isinstance(outcome, Delivered | Refused):
            if await self._known(circuit) is not None:
                await self._recorded.ask((circuit, False))
        elif isinstance(outcome, RetryAfter) and (pause := _pause(outcome)) is not None:
            self._learn(circuit, await self._breakers.paused(circuit, self._clock.now() + pause))
        else:
            await self._recorded.ask((circuit, True))

    async def rest(self, circuit: str | None) -> None:
        """Leave it alone for a while, though nothing is wrong with the provider."""
        if circuit is not None:
            self._learn(circuit, await self._breakers.paused(circuit, self._clock.now() + LONGEST_OPEN))

    async def look(self, channels: Iterable[Channel]) -> Mapping[str, Breaker]:
        """The breaker of each channel that can fail, by the channel's id."""
        keys = {channel.id: self.circuit_of(channel) for channel in channels}
        found = await self._breakers.look({key for key in keys.values() if key is not None})
        return {id: found.get(key, Breaker()) for id, key in keys.items() if key is not None}

    async def reset(self, actor: Actor, channel: Channel) -> None:
        """Close the breaker of a channel, and of all that share its credential. Raises Conflict where it has none."""
        circuit = self.circuit_of(channel)
        if circuit is None:
            raise Conflict(
                f'channel "{channel.name}" has no breaker: its plugin calls nobody, or is not installed',
                code="channel.no_breaker",
            )
        async with self._database.transaction() as transaction:
            await self._breakers.reset(transaction, circuit)
            await self._audit.record(transaction, actor, "channel.breaker_reset", ("channel", channel.id))
        self._troubled.pop(circuit, None)
        await self._closed(circuit)

    def circuit_of(self, channel: Channel) -> str | None:
        """None where nothing can fail, or nobody can tell whom the channel calls."""
        if channel.unreadable is not None:
            return None
        revision, circuit = self._circuits.get(channel.id, (None, None))
        if revision != channel.revision:
            if len(self._circuits) >= REMEMBERED:
                self._circuits.clear()
            circuit = self._find_circuit(channel)
            self._circuits[channel.id] = channel.revision, circuit
        return circuit

    def _find_circuit(self, channel: Channel) -> str | None:
        plugin = self._registry.notifiers.get(channel.plugin_name)
        try:
            return _circuit(plugin, channel.config) if plugin is not None else None
        except Problem:  # settings of another release of the plugin
            return None

    async def _known(self, circuit: str | None, executor: Executor | None = None) -> Breaker | None:
        """How a breaker in trouble stands; None: all is well.

        Who is in a transaction reads with that, and waits for nobody who may be waiting for a connection.
        """
        if circuit is None:
            return None
        now = self._clock.now()
        if executor is not None and self._is_out_of_date(now):
            await self._look(now, executor)
        elif self._is_out_of_date(now):
            await self._looked.ask(now)
        breaker = self._troubled.get(circuit)
        return None if breaker is None or breaker.is_calm(now) else breaker

    def _is_out_of_date(self, now: datetime) -> bool:
        return self._looked_at is None or not timedelta() <= now - self._looked_at < LOOK_EVERY

    async def _look_again(self, moments: Sequence[datetime]) -> list[None]:
        """Nobody goes on with what was known: what was woken would be put off once more."""
        if self._is_out_of_date(now := max(moments)):
            await self._look(now)
        return [None] * len(moments)

    async def _look(self, now: datetime, executor: Executor | None = None) -> None:
        self._troubled, self._looked_at = dict(await self._breakers.in_trouble(executor)), now

    async def _record(self, outcomes: Sequence[tuple[str, bool]]) -> list[None]:
        """Those of one breaker by one write."""
        for circuit in dict.fromkeys(circuit for circuit, _ in outcomes):
            failures = [is_failure for key, is_failure in outcomes if key == circuit]
            before, after = self._troubled.get(circuit), await self._breakers.record(circuit, failures)
            self._learn(circuit, after)
            if before is not None and before.open_until is not None and after.open_until is None:
                await self._closed(circuit)
        return [None] * len(outcomes)

    async def _closed(self, circuit: str) -> None:
        if self._on_close is not None:
            with contextlib.suppress(Problem):  # then what waits comes by itself
                await self._on_close(circuit)

    def _learn(self, circuit: str, breaker: Breaker) -> None:
        self._troubled[circuit] = breaker

    def _shut(self, breaker: Breaker, wait: Wait) -> Shut:
        until = wait.until
        if wait.state is State.HALF_OPEN:
            until = min(until, self._clock.now() + WHILE_PROBED)
        return Shut(until=until, state=wait.state, is_down=wait.state is State.OPEN and breaker.trips > 1)


def is_given_up(waiting: timedelta, *, has_fallback: bool, is_down: bool) -> bool:
    """Whether a message that is due for so long waits no more for a provider that is left alone."""
    return waiting >= PATIENCE or (has_fallback and (is_down or waiting >= UNTIL_FALLBACK))


def _circuit(plugin: NotificationPlugin[Any], config: Mapping[str, Any]) -> str | None:
    return plugin.circuit(plugin.validate_config(config))


def _pause(outcome: RetryAfter | Ambiguous) -> timedelta | None:
    """How long the provider wants nothing at all. One message may be asked to wait for longer than all others."""
    if not isinstance(outcome, RetryAfter) or (outcome.after is None and outcome.code != TOO_MANY):
        return None
    after = DEFAULT_PAUSE if outcome.after is None else outcome.after
    return after if outcome.pause_channel else min(after, LONGEST_OPEN)
