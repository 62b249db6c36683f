"""Alerts in the database: what a post does to a stored alert, against a table and against a model of its own."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alertagent.core.alerts.kinds import DISPATCH
from alertagent.core.alerts.model import Alert, AlertStatus, IncomingAlert, NotificationStatus
from alertagent.core.alerts.service import GRACE_AFTER_START, PATIENCE, Alerts, Notice, waves
from alertagent.kernel.errors import NotFound
from alertagent.queue.streams import FIELD, Keys
from alertagent.queue.task import decode
from alertagent.storage.database import Database
from tests.core.alerts.house import HandClock, House, open_house, until

FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED


def incoming(
    name: str = "a", status: AlertStatus = FIRING, *, starts_at: datetime, ends_at: datetime, **values: Any
) -> IncomingAlert:
    return IncomingAlert(
        **{
            "fingerprint": name,
            "status": status,
            "labels": {"alertname": name},
            "annotations": {},
            "generator_url": "",
            "source": "api",
            "starts_at": starts_at,
            "ends_at": ends_at,
            **values,
        }
    )


async def take(house: House, *alerts: IncomingAlert) -> None:
    await house.parts.alerts.ingest(alerts)


async def kinds(house: House, fingerprint: str = "a") -> list[str]:
    events = await house.parts.alerts.timeline(fingerprint, before=None, limit=500)
    return [event.kind for event in reversed(events)]


async def kept_apart(house: House) -> list[Any]:
    """Where the rows of firing alerts that are kept apart differ from the alerts that fire."""
    columns = "fingerprint, labels, starts_at, updated_at, acknowledged_by, assigned_to"
    alerts = f"SELECT {columns} FROM alerts WHERE status = 'firing'"
    apart = f"SELECT {columns} FROM firing_alerts"
    return await house.database.fetch(f"({alerts} EXCEPT {apart}) UNION ALL ({apart} EXCEPT {alerts})")


async def test_firing_alerts_are_kept_apart_whatever_becomes_of_them(house: House) -> None:
    start = house.clock.now()
    alerts = [incoming(name, starts_at=start, ends_at=start + timedelta(minutes=1)) for name in "abcd0z"]
    await take(house, *alerts[:4], replace(alerts[1], status=RESOLVED, ends_at=start))
    earlier = replace(alerts[0], starts_at=start - timedelta(minutes=5))
    await take(house, earlier, *alerts[4:], incoming("over", RESOLVED, starts_at=start, ends_at=start))
    await house.database.execute(
        "UPDATE alerts SET acknowledged_by = 'anna', assigned_to = 'bob' WHERE fingerprint = 'c'"
    )
    await house.database.execute("DELETE FROM alerts WHERE fingerprint = 'd'")
    before = await kept_apart(house)
    names = await house.database.fetch("SELECT fingerprint FROM firing_alerts ORDER BY 1")

    await house.database.execute("TRUNCATE alerts")

    assert ([row["fingerprint"] for row in names], before) == (["0", "a", "c", "z"], [])
    assert await house.database.fetchval("SELECT count(*) FROM firing_alerts") == 0


async def told(house: House) -> list[list[str]]:
    """What each dispatch task names."""
    rows = await house.database.fetch("SELECT payload FROM task_queue WHERE task_type = 'dispatch' ORDER BY id")
    return [sorted(row["payload"]["alerts"]) for row in rows]


# Minutes from when the stored alert began. (stored: status, end and who ended it), (incoming: status, start, end,
# when it comes) -> (status, episode, start, end) afterwards.
T = tuple[str, int, int, int]
TRANSITIONS: list[tuple[str, tuple[str, int, str], tuple[str, int, int, int], T]] = [
    ("a repeat pushes the end back", ("firing", 10, ""), ("firing", 0, 20, 5), ("firing", 1, 0, 20)),
    ("a repeat with less time takes none away", ("firing", 10, ""), ("firing", 0, 7, 5), ("firing", 1, 0, 10)),
    ("an earlier start is believed", ("firing", 10, ""), ("firing", -3, 20, 5), ("firing", 1, -3, 20)),
    ("a later start is not", ("firing", 10, ""), ("firing", 2, 20, 5), ("firing", 1, 0, 20)),
    ("an end ends it", ("firing", 10, ""), ("resolved", 0, 4, 5), ("resolved", 1, 0, 4)),
    ("an end before its start is old news", ("firing", 10, ""), ("resolved", -9, -1, 5), ("firing", 1, 0, 10)),
    ("a second end may be later", ("resolved", 4, "source"), ("resolved", 0, 6, 7), ("resolved", 1, 0, 6)),
    ("a second end may not be earlier", ("resolved", 4, "source"), ("resolved", 0, 3, 7), ("resolved", 1, 0, 4)),
    ("a new start after the end begins anew", ("resolved", 4, "source"), ("firing", 5, 20, 6), ("firing", 2, 5, 20)),
    ("a start at the very end begins anew", ("resolved", 4, "source"), ("firing", 4, 20, 6), ("firing", 2, 4, 20)),
    ("the same start after the end is late", ("resolved", 4, "source"), ("firing", 0, 20, 6), ("resolved", 1, 0, 4)),
    ("a start before the end is late", ("resolved", 4, "source"), ("firing", 3, 20, 6), ("resolved", 1, 0, 4)),
    ("but not for ever", ("resolved", 4, "source"), ("firing", 0, 20, 10), ("firing", 2, 4, 20)),
    ("what fell silent may come back", ("resolved", 4, "silence"), ("firing", 0, 20, 6), ("firing", 2, 4, 20)),
]  # fmt: skip


async def test_what_an_incoming_alert_means_for_the_stored_one(house: House) -> None:
    for case, stored, coming, after in TRANSITIONS:
        await house.database.execute("TRUNCATE alerts, alert_events")
        start = house.clock.move(days=1)

        alert = await after_both(house, stored, coming)

        minutes = [(moment - start) / timedelta(minutes=1) for moment in (alert.starts_at, alert.ends_at)]
        assert (alert.status, alert.episode, *minutes) == after, case
        assert alert.last_seen_at == house.clock.now(), case


async def after_both(house: House, stored: tuple[str, int, str], coming: tuple[str, int, int, int]) -> Alert:
    """What is kept after an alert began now, ended as `stored` says, and then the other came."""
    start = house.clock.now()

    def at(minutes: int) -> datetime:
        return start + timedelta(minutes=minutes)

    await take(house, incoming(starts_at=start, ends_at=at(10)))
    _, end, ended_by = stored
    if ended_by == "source":
        house.clock.time = at(end)
        await take(house, incoming(status=RESOLVED, starts_at=start, ends_at=at(end)))
    elif ended_by == "silence":
        await house.database.execute("UPDATE alerts SET ends_at = $1", at(end))
        house.clock.time = at(end) + timedelta(seconds=1)
        await sweep(house)
    house.clock.time = at(coming[3])
    await take(house, incoming(status=AlertStatus(coming[0]), starts_at=at(coming[1]), ends_at=at(coming[2])))
    return await house.parts.alerts.get("a")


async def sweep(house: House) -> timedelta:
    """One round of the sweeper, by the clock of the test; what it says of the next is given back."""
    return await house.parts.alerts._sweep()


async def test_a_source_that_takes_back_an_end_by_silence_is_believed_at_once(house: House) -> None:
    start = house.clock.now()
    await take(house, incoming(starts_at=start, ends_at=start + timedelta(minutes=1)))
    house.clock.move(minutes=2)
    await sweep(house)
    await take(house, incoming(status=RESOLVED, starts_at=start, ends_at=house.clock.now()))

    house.clock.move(seconds=1)
    await take(house, incoming(starts_at=start, ends_at=start + timedelta(hours=1)))

    assert await kinds(house) == ["firing", "resolved"]


async def test_a_new_episode_forgets_what_belonged_to_the_old_one(house: House) -> None:
    start = house.clock.now()
    await take(house, incoming(starts_at=start, ends_at=start))
    await house.database.execute(
        "UPDATE alerts SET analysis_status = 'analyzed', analysis_result = '{}', notification_status = 'sent',"
        " acknowledged_by = 'anna', acknowledged_at = now()"
    )
    await take(house, incoming(status=RESOLVED, starts_at=start, ends_at=start))

    house.clock.move(minutes=1)
    await take(house, incoming(starts_at=house.clock.now(), ends_at=house.clock.now()))

    alert = await house.parts.alerts.get("a")
    assert (alert.episode, alert.analysis_status, alert.analysis_result) == (2, "pending", None)
    assert (alert.notification_status, alert.acknowledged_by) == ("pending", None)


async def test_a_repeat_writes_no_event_and_no_task_and_stays_hot(database_url: str, redis_url: str) -> None:
    # On one connection, because each tells its numbers when it likes and only our own can be made to.
    async with open_house(database_url, redis_url, connections=1) as house:
        alerts = [
            incoming(f"{number:016x}", starts_at=house.clock.now(), ends_at=house.clock.now() + timedelta(hours=1))
            for number in range(50)
        ]
        await take(house, *alerts)

        for minute in range(1, 11):
            house.clock.move(minutes=1)
            await take(house, *(replace(alert, ends_at=alert.ends_at + timedelta(minutes=minute)) for alert in alerts))

        assert await house.database.fetchval("SELECT count(*) FROM alert_events") == 50
        assert len(await told(house)) == 1
        # One on an indexed column is never HOT; another is unless its page happens to be full.
        assert await hot_updates(house, of=500) >= 100


async def test_whoever_posts_does_not_wait_for_room_in_the_pool(database_url: str, redis_url: str) -> None:
    async with (
        open_house(database_url, redis_url, connections=1) as house,
        Database.connect(database_url, connections=1) as intake,
    ):
        alerts = Alerts(house.database, house.parts.producer, house.clock, intake=intake)
        committing = asyncio.create_task(alerts.committing())
        async with house.database.transaction():  # as a worker's, that goes on for long
            now = house.clock.now()
            await asyncio.wait_for(alerts.ingest([incoming(starts_at=now, ends_at=now + timedelta(hours=1))]), 30)
        committing.cancel()

        assert (await alerts.get("a")).status is FIRING


async def hot_updates(house: House, *, of: int) -> int:
    """How many updates of alerts were HOT, once all of them are counted."""

    async def counted() -> Any:
        row = await house.database.fetchrow(
            "SELECT n_tup_upd, n_tup_hot_upd, pg_stat_force_next_flush() FROM pg_stat_user_tables"
            " WHERE relname = 'alerts'"
        )
        return row if row is not None and row["n_tup_upd"] >= of else None

    return int((await until(counted, timeout=30))["n_tup_hot_upd"])


async def test_ten_thousand_alerts_of_one_post_are_stored_and_told(house: House) -> None:
    start = house.clock.now()
    alerts = [incoming(f"{number:016x}", starts_at=start, ends_at=start) for number in range(10_000)]

    await take(house, *alerts)

    assert await house.database.fetchval("SELECT count(*) FROM alerts") == 10_000
    assert sum(len(names) for names in await told(house)) == 10_000
    assert max(len(names) for names in await told(house)) <= 1000


async def test_posts_at_once_share_few_statements(house: House) -> None:
    start = house.clock.now()

    await asyncio.gather(
        *(take(house, incoming(f"{number:016x}", starts_at=start, ends_at=start)) for number in range(500))
    )

    assert await house.database.fetchval("SELECT count(*) FROM alerts") == 500
    assert len(await told(house)) <= 5


async def test_firing_and_resolved_in_one_post_are_two_changes(house: House) -> None:
    start = house.clock.now()
    firing = incoming(starts_at=start, ends_at=start + timedelta(hours=1))
    resolved = incoming(status=RESOLVED, starts_at=start, ends_at=start)

    await take(house, firing, firing, resolved, resolved)

    assert await kinds(house) == ["firing", "resolved"]


async def test_an_alert_that_is_over_when_it_is_first_heard_of_is_kept_as_such(house: House) -> None:
    start = house.clock.now()

    await take(house, incoming(status=RESOLVED, starts_at=start, ends_at=start))

    assert (await house.parts.alerts.get("a")).status is RESOLVED
    assert await kinds(house) == ["resolved"]


async def test_silence_ends_an_alert_with_an_event_and_a_task(house: House) -> None:
    start = house.clock.now()
    await take(house, incoming(starts_at=start, ends_at=start + timedelta(minutes=1)))
    await take(house, incoming("b", starts_at=start, ends_at=start + timedelta(minutes=5)))

    house.clock.move(seconds=60)
    await sweep(house)
    still = (await house.parts.alerts.get("a")).status
    house.clock.move(seconds=1)
    await sweep(house)

    alert = await house.parts.alerts.get("a")
    (_, event) = reversed(await house.parts.alerts.timeline("a", before=None, limit=10))
    assert (still, alert.status, alert.ends_at) == (FIRING, RESOLVED, start + timedelta(minutes=1))
    assert (event.kind, event.detail) == ("resolved", {"because": "silence"})
    assert (await told(house))[-1] == ["a"]
    assert (await house.parts.alerts.get("b")).status is FIRING


async def test_after_a_start_nobody_is_blamed_for_the_silence_before_it(database_url: str, redis_url: str) -> None:
    async with open_house(database_url, redis_url) as house:
        start = house.clock.now()
        await take(house, incoming(starts_at=start, ends_at=start + timedelta(minutes=1)))
    async with open_house(database_url, redis_url) as house:
        later = start + timedelta(hours=1)
        house.clock.time = later
        alerts = Alerts(house.database, house.parts.producer, house.clock)

        await alerts._sweep()
        in_grace = (await alerts.get("a")).status
        house.clock.time = later + GRACE_AFTER_START
        await alerts._sweep()

        assert (in_grace, (await alerts.get("a")).status) == (FIRING, RESOLVED)


@pytest.mark.parametrize(
    ("ends_in", "pause"), [(None, 1.0), (timedelta(hours=1), 1.0), (timedelta(milliseconds=500), 0.5), (-1, 0.1)]
)
async def test_the_sweeper_comes_when_the_next_alert_is_due(
    house: House, ends_in: timedelta | int | None, pause: float
) -> None:
    start = house.clock.now()
    if isinstance(ends_in, timedelta):
        await take(house, incoming(starts_at=start, ends_at=start + ends_in))
    elif ends_in is not None:
        # Due already, but kept for the time after the start.
        await take(house, incoming(starts_at=start, ends_at=start - timedelta(minutes=1)))
        await house.database.execute("UPDATE alerts SET last_seen_at = $1", start - timedelta(hours=1))

    assert (await sweep(house)).total_seconds() == pytest.approx(pause)


async def test_the_sweeper_ends_an_alert_by_itself(house: House) -> None:
    start = house.clock.now()
    await take(house, incoming(starts_at=start, ends_at=start))
    house.clock.move(seconds=1)
    sweeping = asyncio.create_task(house.parts.alerts.sweeping())
    try:
        await until(lambda: has_ended(house))
    finally:
        sweeping.cancel()


async def has_ended(house: House) -> bool:
    return (await house.parts.alerts.get("a")).status is RESOLVED


async def test_two_processes_that_write_the_same_alerts_lose_none(database_url: str, redis_url: str) -> None:
    async with open_house(database_url, redis_url) as here, open_house(database_url, redis_url) as there:
        start = here.clock.now()
        alerts = [incoming(f"{number:016x}", starts_at=start, ends_at=start) for number in range(200)]

        await asyncio.gather(
            *(take(house, *(alerts if turn % 2 else reversed(alerts))) for turn in range(20) for house in (here, there))
        )

        assert await here.database.fetchval("SELECT count(*) FROM alerts") == 200
        assert await here.database.fetchval("SELECT count(*) FROM alert_events") == 200


async def test_telling_and_taking_in_never_wait_for_each_other_in_a_circle(house: House) -> None:
    start = house.clock.now()
    alerts = [incoming(f"{number:016x}", starts_at=start, ends_at=start) for number in range(300)]
    await take(house, *alerts)
    statuses = (NotificationStatus.SENT, NotificationStatus.FAILED)

    async def tell(status: NotificationStatus) -> None:
        notices = [notice(alert, "told", status) for alert in reversed(alerts)]
        async with house.database.transaction() as transaction:
            await house.parts.alerts.notified(transaction, notices)

    await asyncio.gather(*(take(house, *alerts) for _ in range(20)), *(tell(statuses[n % 2]) for n in range(20)))


async def test_of_several_notices_at_once_each_is_told_and_the_last_status_counts(house: House) -> None:
    start = house.clock.now()
    one, other = alerts = [incoming(f"{number:016x}", starts_at=start, ends_at=start) for number in range(2)]
    await take(house, *alerts)
    notices = [
        notice(one, "a", NotificationStatus.FAILED),
        notice(other, "b", NotificationStatus.SENT),
        notice(one, "c", NotificationStatus.SENT),
        notice(one, "d", None),
        replace(notice(other, "e", NotificationStatus.FAILED), episode=7),
    ]

    async with house.database.transaction() as transaction:
        await house.parts.alerts.notified(transaction, notices)

    found = [await house.parts.alerts.get(alert.fingerprint) for alert in alerts]
    lines = await house.database.fetch("SELECT kind, episode FROM alert_events WHERE kind <> 'firing' ORDER BY kind")
    assert [alert.notification_status for alert in found] == [NotificationStatus.SENT] * 2
    assert [tuple(line) for line in lines] == [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 7)]


def notice(alert: IncomingAlert, kind: str, status: NotificationStatus | None) -> Notice:
    return Notice(fingerprint=alert.fingerprint, episode=1, kind=kind, status=status, detail={"kind": kind})


async def test_an_alert_nobody_knows_is_not_found(house: House) -> None:
    with pytest.raises(NotFound):
        await house.parts.alerts.get("nope")
    with pytest.raises(NotFound):
        await house.parts.alerts.timeline("nope", before=None, limit=1)


def test_a_wave_never_holds_a_fingerprint_twice() -> None:
    clock = HandClock()

    def make(name: str, status: AlertStatus = FIRING) -> IncomingAlert:
        return incoming(name, status, starts_at=clock.now(), ends_at=clock.now())

    a, b, a_over = make("a"), make("b"), make("a", RESOLVED)

    assert waves([]) == []
    assert waves([a, b, a, a]) == [[a, b]]
    assert waves([a, b, a_over]) == [[a, b], [a_over]]
    assert waves([a, a_over, a, b]) == [[a, b], [a_over], [a]]


@dataclass(frozen=True)
class Known:
    """What the model knows of one alert; times in seconds from the start."""

    status: AlertStatus
    starts_at: int
    ends_at: int
    ended_by: str
    updated_at: int
    not_before: float = float("-inf")
    episode: int = 1


def after_post(  # noqa: PLR0911 - one return a rule
    known: Known | None, status: AlertStatus, starts_at: int, ends_at: int, now: int
) -> Known:
    """The rules of `alert_verdict` and of what follows from it, once more and in other words."""
    ended_by = "" if status is FIRING else "source"
    if known is None:
        return Known(status, starts_at, ends_at, ended_by, now)
    if known.status is FIRING and status is FIRING:
        start = max(min(known.starts_at, starts_at), known.not_before)
        return replace(known, starts_at=int(start), ends_at=max(known.ends_at, ends_at))
    if known.status is FIRING:
        if ends_at < known.starts_at:
            return known
        return replace(known, status=RESOLVED, ends_at=ends_at, ended_by="source", updated_at=now)
    if status is RESOLVED:
        return replace(known, ends_at=max(known.ends_at, ends_at), ended_by="source")
    is_new = starts_at > known.starts_at and starts_at >= known.ends_at
    insists = now - known.updated_at > PATIENCE.total_seconds()
    if not (is_new or insists or known.ended_by == "silence"):
        return known
    return Known(
        FIRING,
        max(starts_at, known.ends_at),
        ends_at,
        "",
        now,
        not_before=known.ends_at,
        episode=known.episode + 1,
    )


def after_sweep(known: Known, now: int) -> Known:
    if known.status is FIRING and known.ends_at < now:
        return replace(known, status=RESOLVED, ended_by="silence", updated_at=now)
    return known


@dataclass(frozen=True)
class Step:
    """Move the clock, and post or sweep. `begun` and `lasts` are before and after now, in seconds."""

    move: int
    name: str
    status: AlertStatus | None
    begun: int
    lasts: int


STEPS = st.lists(
    st.builds(
        Step,
        move=st.sampled_from([0, 0, 1, 30, 200, 400]),
        name=st.sampled_from("ab"),
        status=st.sampled_from([FIRING, FIRING, RESOLVED, None]),
        begun=st.sampled_from([0, 1, 20, 100, 300, 700]),
        lasts=st.sampled_from([0, 10, 250, 600]),
    ),
    max_size=25,
)


@given(steps=STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_database_agrees_with_a_model_over_any_history(house: House, steps: Sequence[Step]) -> None:
    await house.database.execute("TRUNCATE alerts, alert_events, task_queue")
    start = house.clock.move(days=1)
    model: dict[str, Known] = {}
    now, changes = 0, 0
    for step in steps:
        now += step.move
        house.clock.time = start + timedelta(seconds=now)
        before = dict(model)
        if step.status is None:
            model = {name: after_sweep(known, now) for name, known in model.items()}
            await sweep(house)
        else:
            begun, ended = (
                now - step.begun,
                now + step.lasts if step.status is FIRING else now - min(step.lasts, step.begun),
            )
            model[step.name] = after_post(model.get(step.name), step.status, begun, ended, now)
            await take(
                house,
                incoming(
                    step.name,
                    step.status,
                    starts_at=start + timedelta(seconds=begun),
                    ends_at=start + timedelta(seconds=ended),
                ),
            )
        changes += sum(
            (old := before.get(name)) is None or (old.status, old.episode) != (known.status, known.episode)
            for name, known in model.items()
        )

    for name, known in model.items():
        alert = await house.parts.alerts.get(name)
        assert (alert.status, alert.episode) == (known.status, known.episode), name
        assert alert.starts_at == start + timedelta(seconds=known.starts_at)
        assert alert.ends_at == start + timedelta(seconds=known.ends_at)
    assert await house.database.fetchval("SELECT count(*) FROM alert_events") == changes
    assert sum(len(names) for names in await told(house)) == changes
    assert await kept_apart(house) == []


async def test_a_task_bears_the_trace_of_a_post_that_led_to_it(house: House) -> None:
    now = house.clock.now()
    span: dict[str, Any] = {"starts_at": now, "ends_at": now + timedelta(hours=1)}
    await take(house, incoming("known", **span, trace="a"))

    # In one commit: a repetition, which leads to nothing, and two alerts that are new.
    await take(house, incoming("known", **span, trace="0"), *(incoming(f"new-{of}", **span, trace=of) for of in "cb"))
    await take(house, incoming("untraced", **span))

    rows = await house.database.fetch("SELECT trace FROM task_queue WHERE task_type = 'dispatch' ORDER BY trace")
    assert [row["trace"] for row in rows] == ["a", "b", None]


async def test_what_is_rung_for_bears_the_trace_that_was_written(house: House) -> None:
    """The one or the other reaches whoever works on the task."""
    house.clock.time = datetime.now(UTC)  # a task that is due later lies elsewhere
    now = house.clock.now()
    span: dict[str, Any] = {"starts_at": now, "ends_at": now + timedelta(hours=1)}
    names = ["B", "a", "Z", "é", "_", "10", "9"]

    async with house.parts.producer.running():
        await take(house, *(incoming(name, **span, trace=name) for name in names))

    rung: Any = await house.parts.redis.xrange(Keys(DISPATCH.queue).stream(DISPATCH.priority))
    row = await house.database.fetchrow("SELECT id, trace FROM task_queue WHERE task_type = 'dispatch'")
    assert row is not None
    ((_, fields),) = rung
    task, _ = decode(DISPATCH.queue, fields[FIELD])
    assert (task.id, task.trace) == (str(row["id"]), row["trace"])
