"""Telling a channel: one delivery, attempt by attempt, until the provider took it or never will."""

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any, assert_never

import structlog

from alertagent.core.alerts.service import Alerts
from alertagent.core.notify.budgets import SHORT, Budgets, Use
from alertagent.core.notify.channels import Channels, require_readable
from alertagent.core.notify.digests import Digests
from alertagent.core.notify.fallbacks import left_of
from alertagent.core.notify.message import messages
from alertagent.core.notify.model import DIGEST, Channel, Delivery, DeliveryStatus
from alertagent.core.notify.records import Ending, Planned, Records, delivery_of
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import External, NotFound, Permanent, Problem
from alertagent.kernel.ids import digest
from alertagent.kernel.message import Message
from alertagent.plugins.base import NotificationPlugin
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.registry import Registry
from alertagent.plugins.transport import Transport
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database
from alertagent.storage.pages import Column, Listing, PageRequest, fetch_page
from alertagent.storage.queries import load_queries
from alertagent.storage.seals import Seals

sql = load_queries("alertagent.core.notify")

LISTING = Listing(
    source=sql.deliveries,
    columns={
        "id": Column("t.id"),
        "channel_id": Column("t.channel_id"),
        "group_key": Column("t.group_key"),
        "status": Column("t.status"),
        "created_at": Column("t.created_at", "timestamptz"),
    },
    sort="-created_at",
    key="t.id",
    search=("t.group_key", "t.provider_message"),
)

AMBIGUOUS = "ambiguous"
NO_ROOM = "channel.rate"

log = structlog.get_logger()


class Deliveries:
    """Makes the attempts and keeps what the providers answered."""

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        channels: Channels,
        *,
        digests: Digests,
        budgets: Budgets,
        producer: Producer,
        registry: Registry,
        transport: Transport,
        clock: Clock,
        external_url: str,
        seals: Seals,
    ) -> None:
        self._database = database
        self._records = Records(database, alerts, producer, clock, seals)
        self._digests = digests
        self._budgets = budgets
        self._channels = channels
        self._registry = registry
        self._transport = transport
        self._clock = clock
        self._external_url = external_url

    async def page(self, request: PageRequest) -> tuple[list[Delivery], str | None, int | None]:
        page = await fetch_page(self._database, LISTING, request)
        return [delivery_of(row) for row in page.rows], page.next_cursor, page.total

    async def deliver(self, id: str, *, is_last_attempt: bool) -> None:
        """Make one attempt. Raises External to be called again, Permanent when nobody should call again.

        Whatever ends a delivery is stored before this returns or raises.
        """
        planned = await self._records.find(id)
        if planned is None:
            return
        delivery, channel = planned.delivery, planned.channel
        if not planned.is_on:
            await self._end(delivery, channel, DeliveryStatus.CANCELLED, Refused(code="", text="it is switched off"))
            return
        try:
            if not await self._is_merged(planned):
                await self._attempt(planned, is_last_attempt=is_last_attempt)
        except Permanent:
            raise
        except Problem as problem:
            if not is_last_attempt:
                raise
            await self._end(delivery, channel, DeliveryStatus.FAILED, Refused(code=problem.code, text=problem.message))
            raise Permanent(problem.message, code="delivery.exhausted") from problem

    async def _is_merged(self, planned: Planned) -> bool:
        """Whether a digest tells it. Otherwise it may be sent now; raises External where its channel has no room."""
        delivery, channel = planned.delivery, planned.channel
        require_readable(channel)
        plugin = self._plugin(channel)
        if delivery.digest_id is None:
            self._require_open(channel)  # first: what a blocked channel keeps back was not attempted, and may be merged
        if not plugin.keeps_incidents and await self._digests.take(delivery, may_crowd=bool(plugin.limits.rates)):
            return True
        self._require_open(channel)
        use = Use.DIGEST if delivery.receiver == DIGEST else Use.GROUP
        wait = await self._budget(channel, plugin, use)
        if wait > SHORT and not plugin.keeps_incidents and await self._digests.crowd(delivery):
            return True
        if wait:
            raise _no_room(channel, wait)
        return False

    async def _budget(self, channel: Channel, plugin: NotificationPlugin[Any], use: Use) -> timedelta:
        if not plugin.limits.rates:
            return timedelta()
        account = plugin.account(plugin.validate_config(channel.config)) or channel.id
        return await self._budgets.take(digest(f"{plugin.name} {account}"), plugin.limits.rates, use)

    async def _attempt(self, planned: Planned, *, is_last_attempt: bool) -> None:
        channel = planned.channel
        plugin = self._plugin(channel)
        outcome, delivery, latency = await self._send(planned, plugin)
        await self._conclude(delivery, channel, outcome, latency, is_last_attempt=is_last_attempt)

    def _plugin(self, channel: Channel) -> NotificationPlugin[Any]:
        try:
            return self._registry.notifier(channel.plugin_name)
        except NotFound as problem:
            # A plugin that is not installed now may be after the next start: keep trying.
            raise External(problem.message, code=problem.code, retry_after=timedelta(minutes=5)) from problem

    def _require_open(self, channel: Channel) -> None:
        now = self._clock.now()
        if channel.paused_until is not None and now < channel.paused_until:
            raise External(
                f'the provider blocks channel "{channel.name}" until {channel.paused_until.isoformat()}',
                code="channel.paused",
                retry_after=channel.paused_until - now,
            )

    async def _send(self, planned: Planned, plugin: NotificationPlugin[Any]) -> tuple[Outcome, Delivery, timedelta]:
        """Send the parts that are not sent yet, up to the first that is not taken; the delivery as it is then."""
        delivery = planned.delivery
        parts = messages(delivery, planned.alerts, max_alerts=plugin.limits.max_alerts, external_url=self._external_url)
        started = time.perf_counter()
        outcome: Outcome = Delivered()
        first = delivery.parts_sent + 1
        for number, part in enumerate(parts[delivery.parts_sent :], start=first):
            if number > first and (wait := await self._budget(planned.channel, plugin, Use.CONTINUATION)):
                outcome = RetryAfter(after=wait, code=NO_ROOM, text=_no_room(planned.channel, wait).message)
                break
            outcome = await self._send_part(planned.channel, plugin, part)
            if not isinstance(outcome, Delivered):
                break
            if number < len(parts):
                await self._database.execute(sql.part_sent, delivery.id, number)
                delivery = replace(delivery, parts_sent=number, is_ambiguous=False)
        return outcome, delivery, timedelta(seconds=time.perf_counter() - started)

    async def _send_part(self, channel: Channel, plugin: NotificationPlugin[Any], part: Message) -> Outcome:
        config = plugin.validate_config(channel.config)
        return await plugin.send(config, part, self._transport, now=self._clock.now())

    async def _conclude(
        self, delivery: Delivery, channel: Channel, outcome: Outcome, latency: timedelta, *, is_last_attempt: bool
    ) -> None:
        match outcome:
            case Delivered():
                await self._end(delivery, channel, DeliveryStatus.SENT, outcome, latency)
            case Refused():
                await self._end(delivery, channel, DeliveryStatus.FAILED, outcome, latency)
                if outcome.gone:
                    await self._channels.disable(channel, outcome.text)
                raise Permanent(f'channel "{channel.name}" refused: {outcome.code} {outcome.text}'.strip())
            case RetryAfter():
                if outcome.pause_channel and outcome.after is not None:
                    await self._pause(channel, outcome.after)
                await self._try_again(delivery, channel, outcome, latency, is_last_attempt=is_last_attempt)
            case Ambiguous():
                # A duplicate is possible from here on, so one repetition is all there is.
                said = Ambiguous(code=AMBIGUOUS, text=f"{outcome.code} {outcome.text}".strip())
                is_last_attempt = is_last_attempt or delivery.is_ambiguous
                await self._try_again(delivery, channel, said, latency, is_last_attempt=is_last_attempt)
            case _:
                assert_never(outcome)

    async def _try_again(
        self,
        delivery: Delivery,
        channel: Channel,
        outcome: RetryAfter | Ambiguous,
        latency: timedelta,
        *,
        is_last_attempt: bool,
    ) -> None:
        said = f'channel "{channel.name}": {outcome.code} {outcome.text}'.strip()
        if is_last_attempt:
            await self._end(delivery, channel, DeliveryStatus.FAILED, outcome, latency)
            raise Permanent(said, code="delivery.exhausted")
        milliseconds = latency // timedelta(milliseconds=1)
        await self._database.execute(
            sql.attempted,
            delivery.id,
            outcome.code,
            outcome.text,
            milliseconds,
            self._clock.now(),
            isinstance(outcome, Ambiguous),
        )
        raise External(said, retry_after=outcome.after if isinstance(outcome, RetryAfter) else None)

    async def _pause(self, channel: Channel, duration: timedelta) -> None:
        log.warning("channel.paused", channel=channel.name, seconds=duration.total_seconds())
        await self._database.execute(sql.pause_channel, channel.id, self._clock.now() + duration)

    async def _end(
        self,
        delivery: Delivery,
        channel: Channel,
        status: DeliveryStatus,
        outcome: Outcome,
        latency: timedelta = timedelta(),
    ) -> None:
        left = left_of(delivery, channel)
        ending = Ending(delivery=delivery, status=status, outcome=outcome, latency=latency, fallback=left)
        if await self._records.end(ending):
            alerts = len(delivery.alerts)
            log.info("delivery.ended", delivery=delivery.id, status=status, code=outcome.code, alerts=alerts)


def _no_room(channel: Channel, wait: timedelta) -> External:
    seconds = wait.total_seconds()
    return External(
        f'channel "{channel.name}" has had as many messages as its provider bears; the next one in {seconds:.1f} s',
        code=NO_ROOM,
        retry_after=wait,
    )
