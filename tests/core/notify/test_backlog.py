from dataclasses import replace
from datetime import timedelta

from alertagent.core.alerts.model import AlertStatus
from alertagent.core.notify.backlog import Late, alerts_of, digests_of, refreshed
from alertagent.core.notify.model import PlannedAlert
from tests.core.notify.test_message import NOON, make_alert, planned


def late(id: str, *alerts: PlannedAlert) -> Late:
    return Late(id=id, alerts=alerts)


def test_members_fill_one_digest_after_the_other() -> None:
    members = [late(f"m{number}", planned(f"a{number}"), planned(f"b{number}")) for number in range(5)]

    digests = digests_of(members, most=4)

    assert [[member.id for member in digest] for digest in digests] == [["m0", "m1"], ["m2", "m3"], ["m4"]]


def test_a_member_that_is_too_large_is_a_digest_by_itself() -> None:
    large = late("large", *(planned(f"a{number}") for number in range(9)))
    small = late("small", planned("b"))

    digests = digests_of([small, large, small], most=4)

    assert [[member.id for member in digest] for digest in digests] == [["small"], ["large"], ["small"]]


def test_an_alert_of_several_members_takes_room_once() -> None:
    members = [late(f"m{number}", planned("a"), planned("b")) for number in range(5)]

    assert len(digests_of(members, most=2)) == 1


def test_each_alert_is_told_once_as_it_was_last_and_the_oldest_first() -> None:
    first = late("m1", planned("a", minute=5), planned("b", minute=3))
    second = late("m2", planned("a", "resolved", minute=5), planned("c", minute=1))

    told = alerts_of([first, second])

    assert [(alert.fingerprint, alert.status) for alert in told] == [
        ("c", "firing"),
        ("b", "firing"),
        ("a", "resolved"),
    ]


def test_what_has_ended_meanwhile_is_over() -> None:
    over = replace(make_alert("a"), episode=1, status=AlertStatus.RESOLVED, ends_at=NOON + timedelta(hours=2))
    again = replace(over, fingerprint="b", episode=2)
    firing = replace(over, fingerprint="c", status=AlertStatus.FIRING)
    before = late("m", *(planned(name) for name in "abcd"))

    after = refreshed(before, {alert.fingerprint: alert for alert in (over, again, firing)})

    assert (after.alerts[0].status, after.alerts[0].ends_at) == ("resolved", NOON + timedelta(hours=2))
    assert after.alerts[1:] == before.alerts[1:]
