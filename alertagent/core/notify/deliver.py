"""Telling a channel: one delivery, attempt by attempt, until the provider took it or never will."""

import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn, assert_never

import structlog

from alertagent.core.alerts.service import Alerts
from alertagent.core.audit.model import Actor
from alertagent.core.notify.budgets import Use
from alertagent.core.notify.channels import Channels
from alertagent.core.notify.circuits import is_given_up
from alertagent.core.notify.ends import Ends
from alertagent.core.notify.fallbacks import left_of
from alertagent.core.notify.message import messages
from alertagent.core.notify.model import Channel, Delivery, DeliveryStatus
from alertagent.core.notify.observer import Observer
from alertagent.core.notify.records import Ending, Planned, Records, delivery_of
from alertagent.core.notify.robots import LeftAlone, NoRoom, Robots
from alertagent.core.notify.wording import Wordings
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import External, Permanent, Postponed, Problem
from alertagent.kernel.message import Message, Thread
from alertagent.plugins.base import NotificationPlugin
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database, Transaction
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

log = structlog.get_logger()


class Deliveries:
    """Makes the attempts and keeps what the providers answered."""

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        channels: Channels,
        *,
        robots: Robots,
        ends: Ends,
        producer: Producer,
        transport: Transport,
        clock: Clock,
        external_url: str,
        seals: Seals,
        page_url: str,
        wordings: Wordings,
        observer: Observer,
    ) -> None:
        self._database = database
        self._records = Records(database, alerts, producer, clock, seals, ends=ends)
        self._robots = robots
        self._channels = channels
        self._transport = transport
        self._clock = clock
        self._external_url = external_url
        self._page_url = page_url
        self._observer = observer
        self._wordings = wordings

    async def page(self, request: PageRequest) -> tuple[list[Delivery], str | None, int | None]:
        page = await fetch_page(self._database, LISTING, request)
        return [delivery_of(row) for row in page.rows], page.next_cursor, page.total

    async def cancelled(self, transaction: Transaction, actor: Actor, id: str) -> None:
        """Somebody cancels its task: the channel is not told, and no other in its place.

        It counts as failed, so that its group does not plan the same anew and a person may take it up again.
        """
        found = await self._records.find_in(transaction, id)
        if found is None:
            return
        delivery, plugin_name = found
        said = Refused(code="cancelled", text=f"cancelled by {actor.name}")
        ending = Ending(delivery=delivery, status=DeliveryStatus.FAILED, outcome=said, latency=timedelta())
        [has_ended] = await self._records.end_in(transaction, [ending])
        if has_ended:
            transaction.after_commit(partial(self._ended, ending, plugin_name))

    async def deliver(self, id: str, *, is_last_attempt: bool) -> None:
        """Find a delivery and make one attempt, as `attempt` does."""
        planned = await self._records.find(id)
        if planned is None:
            return
        if not planned.is_on:
            await self._end(planned, DeliveryStatus.CANCELLED, Refused(code="", text="it is switched off"))
            return
        await self.attempt(planned, is_last_attempt=is_last_attempt)

    async def attempt(self, planned: Planned, *, is_last_attempt: bool) -> None:
        """Make one attempt. Raises External to be called again, Permanent when nobody should call again.

        Whatever ends a delivery is stored before this returns or raises.
        """
        try:
            robot = await self._robots.choose(planned)
            if robot is not None:  # otherwise a digest tells it
                await self._say(planned, robot, is_last_attempt=is_last_attempt)
        except Permanent:
            raise
        except Problem as problem:
            if not (self._is_given_up(planned, problem) if isinstance(problem, Postponed) else is_last_attempt):
                raise
            await self._end(planned, DeliveryStatus.FAILED, Refused(code=problem.code, text=problem.message))
            raise Permanent(problem.message, code="delivery.exhausted") from problem

    def _is_given_up(self, planned: Planned, problem: Postponed) -> bool:
        """Whether what is put off waits no more: attempts do not count then, so time does."""
        waiting = self._clock.now() - planned.delivery.due_at
        # A fallback is for a provider that is away, not for one that has had enough.
        has_fallback = not isinstance(problem, NoRoom) and bool(left_of(planned.delivery, planned.channel))
        is_down = isinstance(problem, LeftAlone) and problem.is_down
        return is_given_up(waiting, has_fallback=has_fallback, is_down=is_down)

    async def _say(self, planned: Planned, robot: Channel, *, is_last_attempt: bool) -> None:
        plugin = self._robots.plugin(robot)
        await self._robots.admit(robot)
        try:
            outcome, delivery, latency = await self._send(planned, robot, plugin)
        except BaseException:
            await self._robots.release(robot)
            raise
        if delivery is not planned.delivery:
            planned = replace(planned, delivery=delivery)
        is_own = robot.id == planned.channel.id
        alone = await self._robots.alone(robot) if is_own and not isinstance(outcome, Delivered) else None
        is_last_attempt = is_last_attempt or (alone is not None and self._is_given_up(planned, alone))
        try:
            await self._conclude(planned, robot, outcome, latency, is_last_attempt=is_last_attempt)
        except External as problem:
            if alone is None:
                raise
            wait = max(alone.retry_after or timedelta(), problem.retry_after or timedelta())
            raise Postponed(problem.message, code=problem.code, retry_after=wait) from problem

    async def _send(
        self, planned: Planned, robot: Channel, plugin: NotificationPlugin[Any]
    ) -> tuple[Outcome, Delivery, timedelta]:
        """Send the parts that are not sent yet, up to the first that is not taken; the delivery as it is then.

        Raises NoRoom between two parts.
        """
        delivery = planned.delivery
        parts = messages(
            delivery,
            planned.alerts,
            max_alerts=plugin.limits.max_alerts,
            external_url=self._external_url,
            thread=planned.thread if plugin.threads and robot.id == planned.channel.id else None,
            page_url=self._page_url,
            language=planned.channel.language or plugin.language,
        )
        started = time.perf_counter()
        outcome: Outcome = Delivered()
        begun: Thread | None = None
        first = delivery.parts_sent + 1
        for number, part in enumerate(parts[delivery.parts_sent :], start=first):
            if number > first and (wait := await self._robots.budget(robot, Use.CONTINUATION)):
                raise NoRoom(robot, wait)
            worded = await self._wordings.word(planned.channel, plugin, part, delivery)
            if begun is not None and part.thread is None:
                worded = replace(worded, thread=begun)
            outcome = await self._send_part(robot, plugin, worded)
            if not isinstance(outcome, Delivered):
                break
            if number < len(parts):
                begun = Thread(root=outcome.thread) if outcome.thread and not delivery.is_digest else None
                root = begun.root if begun is not None and robot.id == planned.channel.id else None
                await self._database.execute(sql.part_sent, delivery.id, number, root)
                delivery = replace(delivery, parts_sent=number, is_ambiguous=False)
        return outcome, delivery, timedelta(seconds=time.perf_counter() - started)

    async def _send_part(self, channel: Channel, plugin: NotificationPlugin[Any], part: Message) -> Outcome:
        config = plugin.validate_config(channel.config)
        if plugin.changes_another(config, part):
            await self._robots.count_change(channel)
        started = time.perf_counter()
        outcome = await plugin.send(config, part, self._transport, now=self._clock.now())
        self._observer.message_sent(plugin.name, outcome, time.perf_counter() - started)
        await self._robots.sent(channel, outcome)
        return outcome

    async def _conclude(
        self, planned: Planned, robot: Channel, outcome: Outcome, latency: timedelta, *, is_last_attempt: bool
    ) -> None:
        match outcome:
            case Delivered():
                await self._end(planned, DeliveryStatus.SENT, outcome, latency, robot)
            case Refused():
                if outcome.gone:
                    await self._channels.disable(robot, outcome.text)
                if robot.id != planned.channel.id:
                    # The settings of one robot are wrong, and another may say it.
                    await self._robots.rest(robot)
                    again = RetryAfter(code=outcome.code, text=outcome.text)
                    await self._try_again(planned, robot, again, latency, is_last_attempt=is_last_attempt)
                await self._end(planned, DeliveryStatus.FAILED, outcome, latency)
                raise Permanent(f'channel "{robot.name}" refused: {outcome.code} {outcome.text}'.strip())
            case RetryAfter():
                if outcome.pause_channel and outcome.after is not None:
                    await self._pause(robot, outcome.after)
                await self._try_again(planned, robot, outcome, latency, is_last_attempt=is_last_attempt)
            case Ambiguous():
                # A duplicate is possible from here on, so one repetition is all there is.
                said = Ambiguous(code=AMBIGUOUS, text=f"{outcome.code} {outcome.text}".strip())
                is_last_attempt = is_last_attempt or planned.delivery.is_ambiguous
                await self._try_again(planned, robot, said, latency, is_last_attempt=is_last_attempt)
            case _:
                assert_never(outcome)

    async def _try_again(
        self,
        planned: Planned,
        robot: Channel,
        outcome: RetryAfter | Ambiguous,
        latency: timedelta,
        *,
        is_last_attempt: bool,
    ) -> NoReturn:
        said = f'channel "{robot.name}": {outcome.code} {outcome.text}'.strip()
        if is_last_attempt:
            await self._end(planned, DeliveryStatus.FAILED, outcome, latency, robot)
            raise Permanent(said, code="delivery.exhausted")
        milliseconds = latency // timedelta(milliseconds=1)
        await self._database.execute(
            sql.attempted,
            planned.delivery.id,
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
        planned: Planned,
        status: DeliveryStatus,
        outcome: Outcome,
        latency: timedelta = timedelta(),
        robot: Channel | None = None,
    ) -> None:
        delivery, channel = planned.delivery, planned.channel
        ending = Ending(
            delivery=delivery,
            status=status,
            outcome=outcome,
            latency=latency,
            fallback=left_of(delivery, channel),
            sent_by=robot.id if robot is not None and robot.id != channel.id else None,
        )
        if await self._records.end(ending):
            self._ended(ending, channel.plugin_name)

    def _ended(self, ending: Ending, plugin_name: str) -> None:
        self._observer.delivery_ended(plugin_name, ending.status)
        delivery = ending.delivery
        about = {"delivery": delivery.id, "code": ending.outcome.code, "alerts": len(delivery.alerts)}
        if ending.status is DeliveryStatus.SENT:  # no line for each unless somebody asks: its row and the timeline tell
            log.debug("delivery.sent", **about)
        else:
            log.info("delivery.ended", **about, status=ending.status)
