"""Windows that come again: which they are, when the clocks change, and that a question always ends."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given
from hypothesis import strategies as st

from alertagent.core.silences.recurrence import Recurrence, dtstart_of, read_recurrence

FAR = datetime(2100, 1, 1, tzinfo=UTC)
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def recurrence(
    rrule: str, dtstart: str = "2026-01-01T02:00", timezone: str = "UTC", hours: float = 2, minutes: float = 0
) -> Recurrence:
    duration = timedelta(hours=hours, minutes=minutes)
    return Recurrence(rrule=rrule, timezone=timezone, duration=duration, dtstart=datetime.fromisoformat(dtstart))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def starts(of: Recurrence, count: int, now: str = "2026-01-01T00:00") -> list[str]:
    """The next ones, as the clock in the zone shows them."""
    found: list[str] = []
    moment = utc(now)
    while len(found) < count and (window := of.next(moment, FAR)) is not None:
        moment = window.starts_at
        found.append(moment.astimezone(ZoneInfo(of.timezone)).isoformat(timespec="minutes"))
    return found


@pytest.mark.parametrize(
    ("rrule", "expected"),
    [
        ("FREQ=DAILY", ["2026-01-01T02", "2026-01-02T02", "2026-01-03T02"]),
        ("FREQ=DAILY;INTERVAL=3;BYHOUR=1,23", ["2026-01-01T23", "2026-01-04T01", "2026-01-04T23"]),
        ("FREQ=WEEKLY", ["2026-01-01T02", "2026-01-08T02", "2026-01-15T02"]),
        ("FREQ=WEEKLY;BYDAY=SU;BYHOUR=4", ["2026-01-04T04", "2026-01-11T04", "2026-01-18T04"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR", ["2026-01-02T02", "2026-01-12T02", "2026-01-16T02"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU", ["2026-01-11T02", "2026-01-13T02", "2026-01-25T02"]),
        ("FREQ=MONTHLY;BYDAY=2TU", ["2026-01-13T02", "2026-02-10T02", "2026-03-10T02"]),
        ("FREQ=MONTHLY;BYDAY=-1FR", ["2026-01-30T02", "2026-02-27T02", "2026-03-27T02"]),
        ("FREQ=MONTHLY;BYMONTHDAY=31", ["2026-01-31T02", "2026-03-31T02", "2026-05-31T02"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", ["2026-01-31T02", "2026-02-28T02", "2026-03-31T02"]),
        # The last working day of a month.
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2026-01-30T02", "2026-02-27T02", "2026-03-31T02"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", ["2028-02-29T02", "2032-02-29T02", "2036-02-29T02"]),
        ("FREQ=YEARLY;BYDAY=1MO,-1SU", ["2026-01-05T02", "2026-12-27T02", "2027-01-04T02"]),
        ("FREQ=HOURLY;INTERVAL=12", ["2026-01-01T02", "2026-01-01T14", "2026-01-02T02"]),
        ("FREQ=HOURLY;BYHOUR=8,9", ["2026-01-01T08", "2026-01-01T09", "2026-01-02T08"]),
    ],
)
def test_the_windows_of_a_rule(rrule: str, expected: list[str]) -> None:
    assert starts(recurrence(rrule), 3) == [f"{start}:00+00:00" for start in expected]


@pytest.mark.parametrize(
    "rrule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTH=7",
        "FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=20",
        "FREQ=MONTHLY;BYDAY=1MO;BYSETPOS=3",
        "FREQ=DAILY;INTERVAL=7;BYDAY=FR",
        "FREQ=HOURLY;BYMONTH=4;BYMONTHDAY=31;BYMINUTE=1,2,3,4",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=3",
        "FREQ=YEARLY;INTERVAL=999;BYMONTH=1;BYMONTHDAY=1;BYHOUR=1",
    ],
)
def test_a_rule_that_nothing_fits_is_found_out(rrule: str) -> None:
    of = recurrence(rrule)

    assert (of.next(utc("2026-01-01T03:00"), FAR), of.current(utc("2040-06-01T00:00"))) == (None, None)


def test_now_lies_in_a_window_or_before_the_next() -> None:
    of = recurrence("FREQ=WEEKLY;BYDAY=SU")
    begin, end = utc("2026-01-04T02:00"), utc("2026-01-04T04:00")
    a_moment = timedelta(microseconds=1)

    current = of.current(begin)
    assert current is not None
    assert (current.starts_at, current.ends_at) == (begin, end)
    assert of.current(end - a_moment) == current
    assert of.current(begin - a_moment) is None
    assert of.current(end) is None
    assert of.next(begin - a_moment, FAR) == current
    assert of.next(begin, begin + timedelta(days=6)) is None


def test_of_windows_that_overlap_the_one_that_ends_last_counts() -> None:
    of = recurrence("FREQ=DAILY", hours=31 * 24)

    current = of.current(utc("2026-03-10T01:00"))

    assert current is not None
    assert current.starts_at == utc("2026-03-09T02:00")


def test_a_long_window_is_known_on_its_last_day() -> None:
    of = recurrence("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=20", hours=14 * 24)

    current = of.current(utc("2027-01-03T01:59"))

    assert current is not None
    assert current.starts_at == utc("2026-12-20T02:00")
    assert of.current(utc("2027-01-03T02:00")) is None


def test_nothing_comes_before_the_rule_counts() -> None:
    of = recurrence("FREQ=DAILY;BYHOUR=1,3")

    assert of.current(utc("2026-01-01T01:30")) is None
    assert starts(of, 1, now="2025-06-01T00:00") == ["2026-01-01T03:00+00:00"]


def test_where_the_clocks_never_change_an_hour_is_an_hour() -> None:
    of = recurrence("FREQ=WEEKLY;BYDAY=SU", timezone="Asia/Shanghai")

    assert starts(of, 2, now="2026-03-20T00:00") == ["2026-03-22T02:00+08:00", "2026-03-29T02:00+08:00"]
    current = of.current(utc("2026-03-28T19:00"))
    assert current is not None
    assert current.starts_at == utc("2026-03-28T18:00")


def test_summer_time_moves_no_window_on_the_clock() -> None:
    of = recurrence("FREQ=DAILY;BYHOUR=22", timezone="Europe/Berlin")

    assert starts(of, 3, now="2026-03-28T00:00") == [
        "2026-03-28T22:00+01:00",
        "2026-03-29T22:00+02:00",
        "2026-03-30T22:00+02:00",
    ]
    assert starts(of, 2, now="2026-10-24T12:00") == ["2026-10-24T22:00+02:00", "2026-10-25T22:00+01:00"]


def test_a_start_that_the_night_leaves_out_comes_as_if_the_clock_had_gone_on() -> None:
    of = recurrence("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", timezone="Europe/Berlin")

    assert starts(of, 2, now="2026-03-28T12:00") == ["2026-03-29T03:30+02:00", "2026-03-30T02:30+02:00"]


def test_a_start_that_comes_twice_in_a_night_counts_once() -> None:
    of = recurrence("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", timezone="Europe/Berlin", hours=1)

    assert starts(of, 2, now="2026-10-24T12:00") == ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]
    assert of.current(utc("2026-10-25T01:29")) is not None
    assert of.current(utc("2026-10-25T01:30")) is None


def test_a_window_lasts_its_duration_while_the_clocks_change() -> None:
    of = recurrence("FREQ=DAILY;BYHOUR=1", timezone="Europe/Berlin", hours=4)

    current = of.current(utc("2026-03-29T02:00"))

    assert current is not None
    assert current.ends_at.astimezone(ZoneInfo("Europe/Berlin")).isoformat() == "2026-03-29T06:00:00+02:00"


def test_the_first_of_two_starts_in_such_a_night_comes_first() -> None:
    of = recurrence("FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,30", timezone="Europe/Berlin")

    found = starts(of, 3, now="2026-03-29T00:59")

    assert found == ["2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00", "2026-03-30T02:00+02:00"]


@pytest.mark.parametrize(
    ("moment", "zone", "dtstart"),
    [
        ("2026-11-29T18:30:15.25", "Asia/Shanghai", "2026-11-30T02:30:15"),
        ("2026-11-29T18:30:00", "UTC", "2026-11-29T18:30:00"),
        (None, "Asia/Shanghai", "2026-11-23T00:00:00"),
        (None, "America/New_York", "2026-11-22T00:00:00"),
    ],
)
def test_where_a_rule_counts_from(moment: str | None, zone: str, dtstart: str) -> None:
    given = utc(moment) if moment is not None else None

    assert dtstart_of(given, zone, utc("2026-11-22T20:00")) == datetime.fromisoformat(dtstart)


def test_it_is_read_back_as_it_was() -> None:
    of = recurrence("FREQ=WEEKLY;BYDAY=SU", timezone="Asia/Shanghai", minutes=30)

    assert read_recurrence(of.as_json()) == of
    assert of.dtstart_utc == utc("2025-12-31T18:00")


def test_a_zone_that_this_machine_does_not_know_has_no_windows() -> None:
    of = recurrence("FREQ=DAILY", timezone="Mars/Olympus")

    assert (of.next(utc("2026-01-01T00:00"), FAR), of.current(utc("2026-01-01T03:00"))) == (None, None)


def lists(pool: list[int], most: int) -> st.SearchStrategy[str]:
    chosen = st.lists(st.sampled_from(pool), min_size=1, max_size=most, unique=True)
    return chosen.map(lambda numbers: ",".join(map(str, numbers)))


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"]))
    days = st.lists(st.sampled_from(DAYS), min_size=1, max_size=4, unique=True).map(",".join)
    if frequency in {"YEARLY", "MONTHLY"}:
        ordinals = st.sampled_from([1, 2, 3, 4, -1, -2, -3, -4])
        days |= st.builds("{}{}".format, ordinals, st.sampled_from(DAYS))
    parts = {
        "INTERVAL": st.integers(1, 5).map(str),
        "BYMONTH": lists([*range(1, 13)], 4),
        "BYMONTHDAY": lists([*range(1, 32), *range(-31, 0)], 5),
        "BYDAY": days,
        "BYHOUR": lists([*range(24)], 3),
        "BYMINUTE": lists([*range(60)], 3),
        "BYSETPOS": lists([1, 2, 3, -1, -2], 2),
        "WKST": st.sampled_from(DAYS),
    }
    named = draw(st.sets(st.sampled_from(list(parts)), max_size=5))
    return ";".join([f"FREQ={frequency}", *(f"{name}={draw(parts[name])}" for name in parts if name in named)])


@given(
    rrule=rules(),
    dtstart=st.datetimes(datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-02-01")),
    after=st.timedeltas(timedelta(), timedelta(days=700)),
)
def test_windows_begin_when_another_reader_of_such_rules_says(rrule: str, dtstart: datetime, after: timedelta) -> None:
    dtstart = dtstart.replace(microsecond=0)
    try:
        of = recurrence(rrule, dtstart.isoformat())
    except ValueError:
        assume(False)
    found, moment = [], dtstart.replace(tzinfo=UTC) + after
    for _ in range(3):
        window = of.next(moment, FAR)
        # The other one would look for what never comes until the year 9999.
        assume(window is not None)
        moment = window.starts_at if window is not None else moment
        found.append(moment.replace(tzinfo=None))

    expected = rrulestr(rrule, dtstart=dtstart).xafter(dtstart + after, count=3)
    assert found == list(expected)
