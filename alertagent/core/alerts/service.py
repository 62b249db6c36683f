"""Taking alerts in, ending the silent ones, and knowing what became of each."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson
import structlog

from alertagent.core.alerts.group_commit import MAX_ROWS, GroupCommit
from alertagent.core.alerts.kinds import DISPATCH, Dispatch
from alertagent.core.alerts.model import (
    FLAPPING_WITHIN,
    Alert,
    AlertEvent,
    AlertStatus,
    AnalysisStatus,
    IncomingAlert,
    NotificationStatus,
)
from alertagent.kernel.backoff import full_jitter
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import NotFound, Unavailable
from alertagent.kernel.ids import new_id
from alertagent.kernel.matchers import Matcher, Operator
from alertagent.kernel.record import record
from alertagent.queue.producer import Producer
from alertagent.queue.task import NewTask
from alertagent.storage.database import Database, Executor
from alertagent.storage.facets import Facets, fetch_facets
from alertagent.storage.pages import Column, Listing, PageRequest, fetch_greatest, fetch_page, matcher_of
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.alerts")

Episode = tuple[str, int]
"""A fingerprint and the number of its episode."""


@record
class Notice:
    """What became of telling somebody of an alert: a line for its timeline. A status of None changes none."""

    fingerprint: str
    episode: int
    kind: str
    status: NotificationStatus | None
    detail: Mapping[str, Any]


@record
class EndedAnalysis:
    """What became of an analysis, and of which episodes; a result of None leaves what was found before."""

    episodes: Sequence[Episode]
    status: AnalysisStatus
    result: Mapping[str, Any] | None


# How long a source must insist on "firing" before it is believed over its own earlier "resolved".
PATIENCE = timedelta(minutes=5)

# After a start, how long the sources get to repeat what fires: they could not reach us before.
GRACE_AFTER_START = timedelta(minutes=1)
SWEEP_EVERY = timedelta(seconds=1)

_CONFLICT_TRIES = 5

LISTING = Listing(
    source=sql.listing,
    columns={
        "id": Column("t.fingerprint"),
        "status": Column("t.status"),
        "starts_at": Column("t.starts_at", "timestamptz"),
        "updated_at": Column("t.updated_at", "timestamptz"),
        "analysis_status": Column("t.analysis_status"),
        "notification_status": Column("t.notification_status"),
        "acknowledged": Column("(t.acknowledged_by IS NOT NULL)", "boolean"),
        "acknowledged_by": Column("coalesce(t.acknowledged_by, '')"),
        "assigned_to": Column("coalesce(t.assigned_to, '')"),
    },
    sort="-updated_at",
    key="t.fingerprint",
    labels="t.labels",
    search=("t.labels::text", "t.annotations::text"),
    walked=("updated_at",),
)

FIRING = replace(
    LISTING,
    source=sql.firing,
    columns={
        **LISTING.columns,
        "id": Column("t.id"),
        "starts_at": Column("t.began_at", "timestamptz"),
        "updated_at": Column("t.changed_at", "timestamptz"),
        "acknowledged": Column("(t.acknowledger IS NOT NULL)", "boolean"),
        "acknowledged_by": Column("coalesce(t.acknowledger, '')"),
        "assigned_to": Column("coalesce(t.assignee, '')"),
    },
    key="t.id",
    labels="t.own_labels",
    search=(),
    lowered="t.words",
    walked=("updated_at", "starts_at"),
)
"""The firing ones of LISTING, from rows that are few and lie together."""

SEEN = replace(LISTING, source=sql.seen, columns={}, labels="t.labels")
"""When firing alerts of other sources than $1 were posted last."""

_ALERT_FIELDS = tuple(field.name for field in fields(Alert))

IS_FIRING = Matcher("status", Operator.EQUAL, "firing")

log = structlog.get_logger()


class Alerts:
    """All alerts. `committing` and `sweeping` run for as long as the process takes alerts in.

    `changed` is told the fingerprints of alerts once what became of them is committed. `intake` is the same database
    by a connection that nothing else uses: whoever posts must not wait until workers leave room in the pool.
    """

    def __init__(
        self,
        database: Database,
        producer: Producer,
        clock: Clock,
        changed: Callable[[Sequence[str]], None] | None = None,
        *,
        intake: Database | None = None,
    ) -> None:
        self._changed = changed
        self._database = database
        self._intake = intake or database
        self._producer = producer
        self._clock = clock
        self._started_at = clock.now()
        self._commits = GroupCommit(self._write)

    def require_room(self) -> None:
        """Raises Unavailable while more tasks wait than should: then alerts should be sent again later."""
        self._producer.require_room(DISPATCH.queue)

    async def ingest(self, alerts: Sequence[IncomingAlert]) -> None:
        """Return once the alerts are durable. Raises Unavailable when they should be sent again."""
        if alerts:
            await self._commits.add(alerts)

    async def committing(self) -> None:
        await self._commits.run()

    async def sweeping(self) -> None:
        """End what fell silent, as soon as it counts as silent, but look no more than a tenth of the time."""
        while True:
            started = time.perf_counter()
            try:
                delay = await self._sweep()
            except Unavailable:
                delay = SWEEP_EVERY * 5
            took = time.perf_counter() - started
            await asyncio.sleep(max(delay.total_seconds(), took * 9))

    async def get(self, fingerprint: str) -> Alert:
        """Raises NotFound."""
        row = await self._database.fetchrow(sql.find, fingerprint)
        if row is None:
            raise NotFound(f'there is no alert "{fingerprint}"', code="alert.not_found")
        return _alert(row)

    async def find(self, fingerprints: Iterable[str], executor: Executor | None = None) -> list[Alert]:
        """Those of these alerts that exist."""
        rows = await (executor or self._database).fetch(sql.find_all, list(fingerprints))
        return [_alert(row) for row in rows]

    async def untold(self, alerts: Sequence[Alert], executor: Executor) -> set[str]:
        """Those of these alerts of whose episode nobody was told, and which nothing held back, by fingerprint."""
        pending = [alert for alert in alerts if alert.notification_status is NotificationStatus.PENDING]
        if not pending:
            return set()
        rows = await executor.fetch(
            sql.untold, [alert.fingerprint for alert in pending], [alert.episode for alert in pending]
        )
        return {row["fingerprint"] for row in rows}

    async def firing_from(self, source: str, executor: Executor) -> list[Alert]:
        """The firing alerts that came through this door."""
        return [_alert(row) for row in await executor.fetch(sql.firing_from, source)]

    async def page(self, request: PageRequest) -> tuple[list[Alert], str | None, int | None]:
        listing, request = _narrowed(request)
        page = await fetch_page(self._database, listing, request)
        return [_alert(row) for row in page.rows], page.next_cursor, page.total

    async def facets(self, filters: Sequence[str], q: str | None, by: Sequence[str]) -> Facets:
        """The values that these fields or labels have among the firing alerts that fit. Raises Invalid."""
        return await fetch_facets(self._database, FIRING, PageRequest(filter=filters, q=q), by)

    async def last_seen(
        self, filters: Sequence[str], *, other_than: str, executor: Executor | None = None
    ) -> datetime | None:
        """When a firing alert that all these matchers fit was posted last, by another source than this one."""
        request = PageRequest(filter=filters)
        found = await fetch_greatest(executor or self._database, SEEN, request, "t.last_seen_at", other_than)
        return found if isinstance(found, datetime) else None

    async def timeline(self, fingerprint: str, *, before: int | None, limit: int) -> list[AlertEvent]:
        """What happened to this alert, newest first. Raises NotFound."""
        await self.get(fingerprint)
        rows = await self._database.fetch(sql.timeline, fingerprint, before, limit)
        return [AlertEvent(**dict(row)) for row in rows]

    async def related(self, alert: Alert) -> list[Alert]:
        """Other firing alerts of the same instance, namespace or cluster."""
        place = [alert.labels.get(name) for name in ("instance", "namespace", "cluster")]
        return [_alert(row) for row in await self._database.fetch(sql.related, alert.fingerprint, *place)]

    async def episodes_since(self, fingerprint: str, since: datetime) -> int:
        """How often this alert began to fire since then."""
        count: int = await self._database.fetchval(sql.recent_episodes, fingerprint, since)
        return count

    async def episodes_last_hour(self, alerts: Sequence[Alert]) -> Mapping[str, int]:
        """How often each of these alerts began to fire within the last hour; one that did not is left out."""
        since = self._clock.now() - FLAPPING_WITHIN
        recent = [alert for alert in alerts if alert.fired_at >= since]
        found = {alert.fingerprint: 1 for alert in recent}
        again = [alert.fingerprint for alert in recent if alert.episode > 1]
        if again:
            rows = await self._database.fetch(sql.recent_episodes_of_all, again, since)
            found |= {row["fingerprint"]: row["episodes"] for row in rows}
        return found

    async def note(
        self,
        executor: Executor,
        episodes: Sequence[Episode],
        kind: str,
        detail: Mapping[str, Any],
        actor: str = "alertagent",
    ) -> None:
        """Write the same event into the timeline of several alerts."""
        await executor.execute(sql.note, *_columns(episodes), kind, self._clock.now(), actor, detail)
        executor.after_commit(lambda: self._tell([fingerprint for fingerprint, _ in episodes]))

    async def analyses_planned(self, executor: Executor, tasks: Mapping[Episode, str]) -> None:
        """`tasks`: by episode, the id of the task that will analyse it."""
        await executor.execute(sql.analyses_planned, *_columns(list(tasks)), list(tasks.values()))

    async def analyses_ended(self, executor: Executor, results: Mapping[str, EndedAnalysis]) -> None:
        """Keep what the analyses of these tasks found with each of their episodes that waits for it."""
        episodes = [episode for one in results.values() for episode in one.episodes]
        rows = await executor.fetch(
            sql.analyses_ended,
            *_columns(episodes),
            [task_id for task_id, one in results.items() for _ in one.episodes],
            list(results),
            [one.status for one in results.values()],
            [one.result for one in results.values()],
            self._clock.now(),
        )
        executor.after_commit(lambda: self._tell([row["fingerprint"] for row in rows]))

    async def notified(self, executor: Executor, notices: Sequence[Notice]) -> None:
        """Write into the timelines what became of telling."""
        await executor.execute(
            sql.notified,
            [one.fingerprint for one in notices],
            [one.episode for one in notices],
            [one.kind for one in notices],
            [one.status for one in notices],
            [one.detail for one in notices],
            self._clock.now(),
        )
        executor.after_commit(lambda: self._tell([one.fingerprint for one in notices]))

    def _tell(self, fingerprints: Sequence[str]) -> None:
        if self._changed is not None:
            self._changed(fingerprints)

    async def _write(self, alerts: Sequence[IncomingAlert]) -> None:
        for wave in waves(alerts):
            for start in range(0, len(wave), MAX_ROWS):
                await self._write_wave(wave[start : start + MAX_ROWS])

    async def _write_wave(self, alerts: Sequence[IncomingAlert]) -> None:
        task_id, now = new_id(), self._clock.now()
        traces = {alert.fingerprint: alert.trace for alert in alerts}
        arguments: list[object] = [*_arrays(alerts), now, PATIENCE, task_id, list(traces.values())]
        changed = [row["fingerprint"] for row in await self._settled(arguments)]
        if changed:
            self._announce(task_id, now, changed, traces[min(changed)])

    async def _settled(self, arguments: list[object]) -> list[asyncpg.Record]:
        """Run the statement; two processes that meet on the same rows may have to try again."""
        for attempt in range(_CONFLICT_TRIES):
            try:
                return await self._intake.fetch(sql.ingest, *arguments)
            except Unavailable as problem:
                if not isinstance(problem.__cause__, asyncpg.TransactionRollbackError):
                    raise
                delay = full_jitter(
                    attempt, base=timedelta(milliseconds=5), cap=timedelta(milliseconds=100), random=random.random()
                )
                await asyncio.sleep(delay.total_seconds())
        raise Unavailable("too many processes write the same alerts at once", retry_after=timedelta(seconds=1))

    async def _sweep(self) -> timedelta:
        now, task_id = self._clock.now(), new_id()
        ended = await self._database.fetch(
            sql.expire, now, self._started_at, self._started_at + GRACE_AFTER_START, task_id
        )
        if ended:
            log.info("alerts.expired", count=len(ended))
            self._announce(task_id, now, [row["fingerprint"] for row in ended])
        next_expiry: datetime | None = await self._database.fetchval(sql.next_expiry)
        if next_expiry is None:
            return SWEEP_EVERY
        return min(max(next_expiry - self._clock.now(), SWEEP_EVERY / 10), SWEEP_EVERY)

    def _announce(self, task_id: str, now: datetime, fingerprints: Iterable[str], trace: str | None = None) -> None:
        """Ring for the task that the statement wrote, as it was written."""
        payload = Dispatch(alerts=tuple(fingerprints))
        self._tell(payload.alerts)
        self._producer.announce([DISPATCH.task(payload, id=task_id, due=now, trace=trace)])


def _narrowed(request: PageRequest) -> tuple[Listing, PageRequest]:
    """Where to look for a page: among all alerts, or only among those that fire if that is asked for."""
    others = tuple(text for text in request.filter if matcher_of(text) != IS_FIRING)
    if len(others) == len(request.filter):
        return LISTING, request
    return FIRING, replace(request, filter=others)


def dispatch_tasks(fingerprints: Sequence[str]) -> list[NewTask]:
    """The tasks that tell of alerts which changed otherwise than by `ingest`."""
    starts = range(0, len(fingerprints), MAX_ROWS)
    return [DISPATCH.task(Dispatch(alerts=tuple(fingerprints[start : start + MAX_ROWS]))) for start in starts]


def waves(alerts: Sequence[IncomingAlert]) -> list[list[IncomingAlert]]:
    """The alerts in order, split so that none holds a fingerprint twice: one statement writes a row once.

    An exact repetition is left out; "firing" and then "resolved" in one batch become two waves, as if they had
    come one after the other.
    """
    result: list[dict[str, IncomingAlert]] = []
    depth: dict[str, int] = {}
    for alert in alerts:
        level = depth.get(alert.fingerprint, 0)
        if level and result[level - 1][alert.fingerprint] == alert:
            continue
        if level == len(result):
            result.append({})
        result[level][alert.fingerprint] = alert
        depth[alert.fingerprint] = level + 1
    return [list(wave.values()) for wave in result]


def _arrays(alerts: Sequence[IncomingAlert]) -> list[list[Any]]:
    """JSON goes as text: asyncpg asks of each element of an array whether it is an array, and is quick for texts."""
    return [
        [alert.fingerprint for alert in alerts],
        [alert.status is AlertStatus.FIRING for alert in alerts],
        [orjson.dumps(alert.labels).decode() for alert in alerts],
        [orjson.dumps(alert.annotations).decode() for alert in alerts],
        [alert.generator_url for alert in alerts],
        [alert.source for alert in alerts],
        [alert.starts_at for alert in alerts],
        [alert.ends_at for alert in alerts],
    ]


def _columns(episodes: Sequence[Episode]) -> tuple[list[str], list[int]]:
    return [fingerprint for fingerprint, _ in episodes], [episode for _, episode in episodes]


def _alert(row: Any) -> Alert:
    values = {name: row[name] for name in _ALERT_FIELDS}
    return Alert(
        **{
            **values,
            "status": AlertStatus(row["status"]),
            "analysis_status": AnalysisStatus(row["analysis_status"]),
            "notification_status": NotificationStatus(row["notification_status"]),
        }
    )
