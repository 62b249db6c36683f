"""Who sends a message: the channel itself, a robot of its pool, or nobody for the moment.

A provider blocks who sends more than it bears, and one that keeps failing is left alone. Where the channel itself may
not send, the first of its pool does that may, before anything is merged into a digest. Otherwise the message is kept
back, and what waits for room, or for a provider that is left alone, spends no attempt.
"""

import contextlib
from datetime import timedelta
from typing import Any

import structlog

from alertagent.core.notify.budgets import SHORT, Budgets, Use
from alertagent.core.notify.channels import Channels, require_readable
from alertagent.core.notify.circuits import Circuits, Shut
from alertagent.core.notify.digests import Digests
from alertagent.core.notify.model import DIGEST, Channel
from alertagent.core.notify.records import Planned
from alertagent.kernel.breaker import State
from alertagent.kernel.clock import Clock, rfc3339
from alertagent.kernel.errors import External, NotFound, Postponed, Problem
from alertagent.kernel.ids import digest
from alertagent.plugins.base import NotificationPlugin
from alertagent.plugins.outcome import Outcome
from alertagent.plugins.registry import Registry
from alertagent.storage.database import Executor

log = structlog.get_logger()


class LeftAlone(Postponed):
    """The provider of a channel is not to be called now. `is_down`: it is known to be away for longer."""

    def __init__(self, message: str, *, code: str, retry_after: timedelta, is_down: bool) -> None:
        super().__init__(message, code=code, retry_after=retry_after)
        self.is_down = is_down


class NoRoom(Postponed):
    """The channel has had as many messages as its provider bears."""

    def __init__(self, channel: Channel, wait: timedelta) -> None:
        seconds = wait.total_seconds()
        super().__init__(
            f'channel "{channel.name}" has had as many messages as its provider bears; the next one in {seconds:.1f} s',
            code="channel.rate",
            retry_after=wait,
        )


class Robots:
    """Knows of each channel whether it may send now, and who sends for it."""

    def __init__(
        self,
        channels: Channels,
        circuits: Circuits,
        budgets: Budgets,
        digests: Digests,
        *,
        registry: Registry,
        clock: Clock,
    ) -> None:
        self._channels = channels
        self._circuits = circuits
        self._budgets = budgets
        self._digests = digests
        self._registry = registry
        self._clock = clock

    def plugin(self, channel: Channel) -> NotificationPlugin[Any]:
        """Raises External while it is not installed: it may be after the next start."""
        try:
            return self._registry.notifier(channel.plugin_name)
        except NotFound as problem:
            raise External(problem.message, code=problem.code, retry_after=timedelta(minutes=5)) from problem

    async def choose(self, planned: Planned) -> Channel | None:
        """Who is to send this now; None: a digest tells it. Raises Postponed, External, Unreadable where nobody may."""
        delivery, channel = planned.delivery, planned.channel
        require_readable(channel)
        plugin = self.plugin(channel)
        if delivery.digest_id is None and not channel.pool:
            await self._require_open(channel)  # first: what is kept back was not attempted, and may be merged
        if not plugin.keeps_incidents and await self._digests.take(delivery, may_crowd=bool(plugin.limits.rates)):
            return None
        use = Use.DIGEST if delivery.receiver == DIGEST else Use.GROUP
        alone = await self.alone(channel)
        wait = await self.budget(channel, use) if alone is None else timedelta()
        if alone is None and not wait:
            return channel
        if (robot := await self._spare(channel, use)) is not None:
            return robot
        if alone is not None:
            raise alone
        if wait > SHORT and not plugin.keeps_incidents and await self._digests.crowd(delivery):
            return None
        raise NoRoom(channel, wait)

    async def is_unhindered(self, channel: Channel, executor: Executor) -> bool:
        """Whether nothing has to be weighed before it sends: it has no rate, no pool, no threads and no trouble."""
        plugin = self._registry.notifiers.get(channel.plugin_name)
        if plugin is None or plugin.limits.rates or plugin.threads or channel.pool:
            return False
        return await self._is_free(channel, executor)

    async def admit(self, channel: Channel) -> None:
        """Once more, right before it sends, because only one may try a provider that was away. Raises LeftAlone."""
        circuit, takes_up_to = self._circuits.circuit_of(channel), self.plugin(channel).takes_up_to
        shut = await self._circuits.admit(circuit, takes_up_to=takes_up_to)
        if shut is not None:
            raise self._left_alone(channel, shut)

    async def release(self, channel: Channel) -> None:
        """It was admitted and its message could not even be made."""
        with contextlib.suppress(Problem):  # then its probe counts as lost
            await self._circuits.release(self._circuits.circuit_of(channel))

    async def sent(self, channel: Channel, outcome: Outcome) -> None:
        """What became of what it sent."""
        await self._circuits.note(self._circuits.circuit_of(channel), outcome)

    async def alone(self, channel: Channel) -> LeftAlone | None:
        """Why it is left alone by now, if it is."""
        now = self._clock.now()
        if channel.paused_until is not None and now < channel.paused_until:
            return LeftAlone(
                f'the provider blocks channel "{channel.name}" until {rfc3339(channel.paused_until)}',
                code="channel.paused",
                retry_after=channel.paused_until - now,
                is_down=False,
            )
        shut = await self._circuits.shut(self._circuits.circuit_of(channel))
        return self._left_alone(channel, shut) if shut is not None else None

    async def budget(self, channel: Channel, use: Use) -> timedelta:
        """Count a message; nothing: it may be sent, else it may not for so long."""
        plugin = self.plugin(channel)
        if not plugin.limits.rates:
            return timedelta()
        return await self._budgets.take(_account(plugin, channel), plugin.limits.rates, use)

    async def count_change(self, channel: Channel) -> None:
        """Count what a message changes beside it."""
        plugin = self.plugin(channel)
        if plugin.limits.rates:
            await self._budgets.add(_account(plugin, channel), plugin.limits.rates)

    async def rest(self, robot: Channel) -> None:
        """It spoke for another channel and was refused: let others try first for a while."""
        await self._circuits.rest(self._circuits.circuit_of(robot))

    async def _spare(self, channel: Channel, use: Use) -> Channel | None:
        """The first of the pool that may send now; then a message of it is counted."""
        if not channel.pool:
            return None
        members = await self._channels.named(channel.pool)
        for name in channel.pool:
            member = members.get(name)
            if member is None or member.plugin_name != channel.plugin_name:
                log.warning("pool.unusable", channel=channel.name, member=name)
            elif await self._is_free(member) and not await self.budget(member, use):
                return member
        return None

    async def _is_free(self, member: Channel, executor: Executor | None = None) -> bool:
        """Whether it may speak at once: it does not try out a provider that was away."""
        is_paused = member.paused_until is not None and self._clock.now() < member.paused_until
        is_usable = member.enabled and member.unreadable is None and not is_paused
        return is_usable and await self._circuits.is_closed(self._circuits.circuit_of(member), executor)

    async def _require_open(self, channel: Channel) -> None:
        alone = await self.alone(channel)
        if alone is not None:
            raise alone

    def _left_alone(self, channel: Channel, shut: Shut) -> LeftAlone:
        until = rfc3339(shut.until)
        code, message = {
            State.PAUSED: ("channel.asked_too_much", f'the provider of channel "{channel.name}" wants nothing before'),
            State.HALF_OPEN: ("channel.breaker_open", f'another message tries channel "{channel.name}"; next at'),
        }.get(
            shut.state,
            ("channel.breaker_open", f'channel "{channel.name}" has failed too often and is left alone until'),
        )
        return LeftAlone(
            f"{message} {until}", code=code, retry_after=shut.until - self._clock.now(), is_down=shut.is_down
        )


def _account(plugin: NotificationPlugin[Any], channel: Channel) -> str:
    account = plugin.account(plugin.validate_config(channel.config)) or channel.id
    return digest(f"{plugin.name} {account}")
