"""Forgetting what ended long ago, and the weeks of the timeline."""

from datetime import UTC, datetime, timedelta

import pytest

from alertagent.core.alerts.model import AlertStatus
from alertagent.core.alerts.retention import BATCH, WEEK, Retention, missing_weeks, week_of
from alertagent.storage.database import Database
from alertagent.storage.migrate import migrations
from tests.core.alerts.house import House
from tests.core.alerts.test_service import RESOLVED, incoming, kinds, take

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
KEEP = timedelta(days=30)


@pytest.fixture
def retention(house: House) -> Retention:
    return Retention(house.database, house.clock, keep=KEEP)


async def parts(house: House) -> dict[str, int]:
    """The parts of the timeline and how many events each has."""
    rows = await house.database.fetch(
        "SELECT inhrelid::regclass::text AS part, count(event.id) AS events"
        "  FROM pg_inherits LEFT JOIN alert_events AS event ON event.tableoid = inhrelid"
        " WHERE inhparent = 'alert_events'::regclass GROUP BY inhrelid"
    )
    return {row["part"]: row["events"] for row in rows}


@pytest.mark.parametrize("offset", [timedelta(), timedelta(days=3, hours=5), WEEK - timedelta(microseconds=1)])
def test_a_week_begins_on_monday(offset: timedelta) -> None:
    assert week_of(MONDAY + offset) == MONDAY
    assert week_of(MONDAY - timedelta(microseconds=1)) == MONDAY - WEEK


@pytest.mark.parametrize(
    ("ends", "missing"),
    [
        ([], [0, 1, 2]),
        ([1], [1, 2]),
        ([1, 2], [2]),
        ([1, 2, 3], []),
        ([1, 3], [1]),
        # What was written before weeks were made reaches into the time to come.
        ([5], []),
        # Nobody made weeks for a long time.
        ([-9, -8], [0, 1, 2]),
    ],
)
def test_this_week_and_the_next_ones_are_made_where_they_are_missing(ends: list[int], missing: list[int]) -> None:
    known = {MONDAY + WEEK * number for number in ends}

    assert missing_weeks(MONDAY + timedelta(days=2), known) == [MONDAY + WEEK * number for number in missing]


async def test_weeks_are_made_ahead_and_again_is_no_harm(house: House, retention: Retention) -> None:
    await retention.tidy()
    first = await parts(house)
    await retention.tidy()

    assert await parts(house) == first
    assert len(first) == 4  # what was before, the default, and two weeks to come


async def test_events_whose_week_nobody_made_are_kept_and_move_into_it(house: House, retention: Retention) -> None:
    house.clock.move(days=70)
    start = house.clock.now()
    await take(house, incoming(starts_at=start, ends_at=start + timedelta(hours=1)))
    before = await parts(house)
    await retention.tidy()

    after = await parts(house)
    assert before["alert_events_other"] == 1
    assert (after["alert_events_other"], sum(after.values())) == (0, 1)
    assert await kinds(house) == ["firing"]


async def test_weeks_that_are_old_enough_go_and_with_them_nothing_else(house: House, retention: Retention) -> None:
    start = house.clock.now()
    await take(house, incoming("old", starts_at=start, ends_at=start + timedelta(days=365)))
    await retention.tidy()
    house.clock.move(days=8)
    young = house.clock.now()
    await take(house, incoming("young", starts_at=young, ends_at=young + timedelta(days=365)))

    house.clock.time = week_of(start) + WEEK + KEEP
    await retention.tidy()

    assert await kinds(house, "old") == []
    assert await kinds(house, "young") == ["firing"]
    assert (await house.parts.alerts.get("old")).status is AlertStatus.FIRING


async def test_alerts_that_ended_long_ago_are_removed_in_batches(house: House, retention: Retention) -> None:
    start = house.clock.now()
    ended = [incoming(f"{n:016x}", RESOLVED, starts_at=start, ends_at=start) for n in range(BATCH + 1)]
    await take(house, *ended, incoming("fires", starts_at=start, ends_at=start + timedelta(days=365)))
    house.clock.move(seconds=1)
    await take(house, incoming("later", RESOLVED, starts_at=start, ends_at=start))

    house.clock.time = start + KEEP
    await retention.tidy()
    still = await house.database.fetchval("SELECT count(*) FROM alerts")
    house.clock.move(seconds=1)
    await retention.tidy()

    names = await house.database.fetch("SELECT fingerprint FROM alerts ORDER BY 1")
    assert still == BATCH + 3
    assert [row["fingerprint"] for row in names] == ["fires", "later"]


async def test_an_alert_that_was_forgotten_may_come_again(house: House, retention: Retention) -> None:
    await house.fire("a")
    await house.resolve("a")
    house.clock.move(days=31)
    await retention.tidy()

    alert = await house.fire("a")

    assert (alert.episode, alert.status) == (1, AlertStatus.FIRING)


async def test_an_upgrade_keeps_the_timeline_and_its_numbers_go_on(empty_database_url: str) -> None:
    add = "INSERT INTO alert_events (fingerprint, episode, kind, at) VALUES ('a', $1, 'firing', $2) RETURNING id"
    now = datetime.now(UTC)
    async with Database.connect(empty_database_url) as database:
        for migration in (each for each in migrations() if each.number < 9):
            await database.execute(migration.sql)
        # The clock of whoever wrote the last one was ahead.
        old = [await database.fetchval(add, n, now + timedelta(days=n)) for n in (-400, 0, 20)]
        await database.execute(next(each.sql for each in migrations() if each.number == 9))

        new = [await database.fetchval(add, n, now + timedelta(days=n)) for n in (0, 1, 300)]
        rows = await database.fetch("SELECT episode FROM alert_events WHERE fingerprint = 'a' ORDER BY id")

    assert (old, new) == ([1, 2, 3], [4, 5, 6])
    assert [row["episode"] for row in rows] == [-400, 0, 20, 0, 1, 300]


async def test_the_release_before_goes_on_writing_and_reading_the_timeline(house: House) -> None:
    """By name, without an id, as it always did."""
    await house.database.execute(
        "INSERT INTO alert_events (fingerprint, episode, kind, at)"
        " SELECT 'a', n, 'firing', now() FROM generate_series(1, 3) n"
    )

    rows = await house.database.fetch("SELECT * FROM alert_events WHERE fingerprint = 'a' ORDER BY id DESC")

    assert [row["episode"] for row in rows] == [3, 2, 1]
    assert list(rows[0].keys()) == ["id", "fingerprint", "episode", "kind", "at", "actor", "detail"]
