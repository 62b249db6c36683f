"""Rules as RFC 5545 writes them."""

import pytest

from alertagent.core.silences.rrule import Frequency, parse_rule


def test_a_rule_is_read() -> None:
    rule = parse_rule("RRULE:FREQ=MONTHLY;INTERVAL=2;BYDAY=2SU,-1mo,TU;BYHOUR=22,2;BYMINUTE=30;BYSETPOS=-1;WKST=SU")

    assert (rule.frequency, rule.interval, rule.hours, rule.minutes) == (Frequency.MONTHLY, 2, (2, 22), (30,))
    assert rule.week_days == {(2, 6), (-1, 0), (0, 1)}
    assert (rule.positions, rule.week_start) == (frozenset({-1}), 6)
    assert not rule.months
    assert not rule.month_days


def test_what_is_left_out_is_left_open() -> None:
    rule = parse_rule("FREQ=DAILY")

    assert (rule.interval, rule.hours, rule.minutes, rule.week_start) == (1, (), (), 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a rule"),
        ("every sunday", "not a rule"),
        ("FREQ=DAILY;", "not a rule"),
        ("FREQ=DAILY BYHOUR=2", "FREQ is one of"),
        ("BYDAY=SU", "FREQ is one of"),
        ("FREQ=SECONDLY", "FREQ is one of"),
        ("FREQ=MINUTELY", "FREQ is one of"),
        ("FREQ=FORTNIGHTLY", "FREQ is one of"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"),
        ("FREQ=DAILY;COUNT=5", "ends_at"),
        ("FREQ=DAILY;UNTIL=20270101T000000Z", "ends_at"),
        ("FREQ=YEARLY;BYWEEKNO=1", "not taken"),
        ("FREQ=YEARLY;BYYEARDAY=366", "not taken"),
        ("FREQ=DAILY;BYSECOND=1", "not taken"),
        ("FREQ=DAILY;BYEASTER=0", "not taken"),
        ("DTSTART:20260101T000000\nRRULE:FREQ=DAILY", "not taken"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=1000", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=1,2", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=" + "9" * 5000, "INTERVAL"),
        ("FREQ=DAILY;BYHOUR=", "BYHOUR"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR"),
        ("FREQ=DAILY;BYHOUR=-1", "BYHOUR"),
        ("FREQ=DAILY;BYHOUR=2,", "BYHOUR"),
        ("FREQ=DAILY;BYHOUR=٢", "BYHOUR"),
        ("FREQ=DAILY;BYMINUTE=60", "BYMINUTE"),
        ("FREQ=DAILY;BYMINUTE=" + ",".join(map(str, range(13))), "BYMINUTE"),
        ("FREQ=YEARLY;BYMONTH=13", "BYMONTH"),
        ("FREQ=YEARLY;BYMONTH=0", "BYMONTH"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=-32", "BYMONTHDAY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY"),
        ("FREQ=WEEKLY;BYDAY=SUN", "BYDAY"),
        ("FREQ=WEEKLY;BYDAY=1SU", "BYDAY"),
        ("FREQ=MONTHLY;BYDAY=0SU", "BYDAY"),
        ("FREQ=MONTHLY;BYDAY=6SU", "BYDAY"),
        ("FREQ=YEARLY;BYDAY=-54SU", "BYDAY"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS"),
        ("FREQ=DAILY;BYHOUR=1,2;BYSETPOS=1", "BYSETPOS"),
        ("FREQ=MONTHLY;BYDAY=SU;BYSETPOS=0", "BYSETPOS"),
        ("FREQ=WEEKLY;WKST=1", "WKST"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_rule(text)
