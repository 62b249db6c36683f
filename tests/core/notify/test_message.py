from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alertagent.core.alerts.model import Alert, AlertStatus, AnalysisStatus, NotificationStatus
from alertagent.core.notify.message import messages
from alertagent.core.notify.model import ASSIGNMENT, DIGEST, ESCALATION, Delivery, DeliveryStatus, PlannedAlert
from alertagent.kernel.language import Language
from alertagent.kernel.message import PageLinks

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def make_alert(fingerprint: str, *, annotations: dict[str, str] | None = None, **labels: str) -> Alert:
    return Alert(
        fingerprint=fingerprint,
        status=AlertStatus.RESOLVED,
        labels={"alertname": "A", **labels},
        annotations=annotations or {},
        generator_url="http://prom/graph",
        source="api",
        starts_at=NOON,
        ends_at=NOON,
        last_seen_at=NOON,
        updated_at=NOON,
        fired_at=NOON,
        episode=9,
        analysis_status=AnalysisStatus.PENDING,
        analysis_result=None,
        task_id=None,
        notification_status=NotificationStatus.PENDING,
        acknowledged_by=None,
    )


def planned(fingerprint: str, status: str = "firing", minute: int = 0) -> PlannedAlert:
    return PlannedAlert(
        fingerprint=fingerprint,
        episode=1,
        status=status,
        starts_at=NOON + timedelta(minutes=minute),
        ends_at=None if status == "firing" else NOON + timedelta(hours=1),
    )


def make_delivery(*alerts: PlannedAlert, **values: Any) -> Delivery:
    return Delivery(
        **{
            "id": "d1",
            "channel_id": "c1",
            "group_key": 'default:{alertname="A"}',
            "receiver": "default",
            "group_labels": {"alertname": "A"},
            "alerts": alerts,
            "status": DeliveryStatus.PENDING,
            "attempts": 0,
            "parts_sent": 0,
            "is_ambiguous": False,
            "provider_code": "",
            "provider_message": "",
            "message_id": None,
            "digest_id": None,
            "stands_in_for": None,
            "fallback": (),
            "due_at": NOON,
            "latency_ms": None,
            "created_at": NOON,
            "updated_at": NOON,
            **values,
        }
    )


def test_an_alert_is_told_in_the_state_in_which_it_was_planned() -> None:
    (message,) = messages(make_delivery(planned("a")), [make_alert("a")], max_alerts=None, external_url="http://us")

    (alert,) = message.group.alerts
    assert (message.group.status, alert.status, alert.ends_at) == ("firing", "firing", None)
    assert (message.id, message.alert_id, message.title, message.group.key) == (
        "d1",
        "a",
        "A",
        'default:{alertname="A"}',
    )
    assert message.group.external_url == "http://us"


def test_firing_alerts_come_first_and_the_oldest_of_them_speaks_for_all() -> None:
    delivery = make_delivery(planned("a", "resolved"), planned("b", minute=2), planned("c", minute=1))
    alerts = [make_alert("a"), make_alert("b"), make_alert("c", severity="critical")]

    (message,) = messages(delivery, alerts, max_alerts=None, external_url="")

    assert [alert.fingerprint for alert in message.group.alerts] == ["c", "b", "a"]
    assert (message.group.status, message.severity, message.title) == ("firing", "critical", "A (3)")
    assert message.timestamp == NOON + timedelta(minutes=1)


def test_a_message_is_over_when_all_of_its_alerts_are() -> None:
    delivery = make_delivery(planned("a", "resolved"), planned("b", "resolved"))

    (message,) = messages(delivery, [make_alert("a"), make_alert("b")], max_alerts=None, external_url="")

    assert message.group.status == "resolved"


@pytest.mark.parametrize(("count", "size", "parts"), [(1, 1, [1]), (5, 2, [2, 2, 1]), (4, 2, [2, 2]), (3, None, [3])])
def test_every_alert_is_named_in_exactly_one_part(count: int, size: int | None, parts: list[int]) -> None:
    delivery = make_delivery(*(planned(f"a{number}", minute=number) for number in range(count)))
    alerts = [make_alert(f"a{number}") for number in reversed(range(count))]

    found = messages(delivery, alerts, max_alerts=size, external_url="")

    assert [len(message.group.alerts) for message in found] == parts
    assert [alert.fingerprint for message in found for alert in message.group.alerts] == [
        f"a{number}" for number in range(count)
    ]
    assert [message.id for message in found] == ["d1", *(f"d1-{number}" for number in range(1, len(parts)))]


def test_what_all_alerts_have_in_common_is_said() -> None:
    alerts = [
        make_alert("a", annotations={"runbook": "r", "summary": "one"}, zone="cn", instance="1"),
        make_alert("b", annotations={"runbook": "r", "summary": "two"}, zone="cn", instance="2"),
    ]

    (message,) = messages(make_delivery(planned("a"), planned("b")), alerts, max_alerts=None, external_url="")

    assert message.group.common_labels == {"alertname": "A", "zone": "cn"}
    assert message.group.common_annotations == {"runbook": "r"}


@pytest.mark.parametrize(
    ("annotations", "content"),
    [
        ({}, ""),
        ({"summary": "s", "description": "d", "message": "m"}, "d"),
        ({"summary": "s", "description": ""}, "s"),
        ({"message": "m", "other": "o"}, "m"),
    ],
)
def test_the_content_is_what_people_wrote(annotations: dict[str, str], content: str) -> None:
    alerts = [make_alert("a", annotations=annotations)]

    (message,) = messages(make_delivery(planned("a")), alerts, max_alerts=None, external_url="")

    assert message.content == content


def test_an_alert_without_a_name_is_still_called_something() -> None:
    alert = make_alert("a", alertname="")

    (message,) = messages(make_delivery(planned("a")), [alert], max_alerts=None, external_url="")

    assert message.title == "alert"


def test_what_nobody_acknowledged_says_so_in_its_title() -> None:
    delivery = make_delivery(planned("a"), planned("b"), receiver=ESCALATION)

    (message,) = messages(delivery, [make_alert("a"), make_alert("b")], max_alerts=None, external_url="http://us")

    assert (message.title, message.extra) == ("Escalated: A (2)", {"escalated": True})


def test_what_was_assigned_says_by_whom_and_its_end_does_not() -> None:
    delivery = make_delivery(planned("a"), receiver=ASSIGNMENT, assigned_by="anna")
    over = make_delivery(planned("a", "resolved"), receiver=ASSIGNMENT)

    (message,) = messages(delivery, [make_alert("a")], max_alerts=None, external_url="http://us")
    (end,) = messages(over, [make_alert("a")], max_alerts=None, external_url="http://us")

    assert (message.title, message.extra) == ("Assigned by anna: A", {"assigned_by": "anna"})
    assert (end.title, end.extra) == ("A", {})


def test_a_digest_says_that_it_is_late_and_tells_the_oldest_first() -> None:
    alerts = [planned("b", "resolved", 1), planned("a", minute=2), planned("c", minute=3)]

    one, two = messages(
        make_delivery(*alerts, receiver=DIGEST, group_key="digest:d1"),
        [make_alert(name) for name in "abc"],
        max_alerts=2,
        external_url="",
    )

    assert [one.title, two.title] == ["Late: 3 alerts (1 of 2)", "Late: 3 alerts (2 of 2)"]
    assert [alert.fingerprint for part in (one, two) for alert in part.group.alerts] == ["b", "a", "c"]
    assert one.content == (
        "These alerts could not be told in time. 2 still firing, 1 over by now; "
        "the oldest began at 2026-11-22T12:01:00Z."
    )
    assert one.extra == {"digest": True}


def test_a_digest_of_one_alert_speaks_of_one() -> None:
    (message,) = messages(
        make_delivery(planned("a"), receiver=DIGEST), [make_alert("a")], max_alerts=None, external_url=""
    )

    assert message.title == "Late: 1 alert"


ANALYSIS = {"root_cause": "logs grew", "confidence": 0.8}


def analysed(alert: Alert, episode: int = 1) -> Alert:
    return replace(alert, analysis_status=AnalysisStatus.ANALYZED, analysis_result=ANALYSIS, episode=episode)


def test_a_message_has_what_an_analyzer_found_about_an_alert_that_fires() -> None:
    alerts = [make_alert("a"), analysed(make_alert("b"))]

    (message,) = messages(
        make_delivery(planned("a"), planned("b"), receiver=ESCALATION), alerts, max_alerts=None, external_url=""
    )

    assert message.extra == {"escalated": True, "analysis": ANALYSIS}


@pytest.mark.parametrize(
    ("told", "alert", "receiver"),
    [
        (planned("a", "resolved"), analysed(make_alert("a")), "default"),
        (planned("a"), analysed(make_alert("a"), episode=2), "default"),
        (planned("a"), replace(analysed(make_alert("a")), analysis_status=AnalysisStatus.FAILED), "default"),
        (planned("a"), analysed(make_alert("a")), DIGEST),
    ],
)
def test_nobody_is_told_an_analysis_of_something_else(told: PlannedAlert, alert: Alert, receiver: str) -> None:
    (message,) = messages(make_delivery(told, receiver=receiver), [alert], max_alerts=None, external_url="")

    assert "analysis" not in message.extra


def test_readers_of_chinese_are_told_in_chinese() -> None:
    alerts = [planned("b", "resolved", 1), planned("a", minute=2)]
    known = [make_alert(name) for name in "ab"]

    (late,) = messages(
        make_delivery(*alerts, receiver=DIGEST), known, max_alerts=None, external_url="", language=Language.ZH
    )
    digest = make_delivery(*alerts, receiver=DIGEST)
    parts = messages(digest, known, max_alerts=1, external_url="", language=Language.ZH)
    (escalated,) = messages(
        make_delivery(*alerts, receiver=ESCALATION), known, max_alerts=None, external_url="", language=Language.ZH
    )

    assert (late.title, late.language) == ("迟到的通知：2 条告警", Language.ZH)
    assert late.content == (
        "这些告警未能及时通知。1 条仍在告警，1 条已经恢复；最早的一条始于 2026-11-22 20:01:00 (UTC+8)。"
    )
    assert [part.title for part in parts] == ["迟到的通知：2 条告警（1/2）", "迟到的通知：2 条告警（2/2）"]
    (assigned,) = messages(
        make_delivery(*alerts, receiver=ASSIGNMENT, assigned_by="anna"),
        known,
        max_alerts=None,
        external_url="",
        language=Language.ZH,
    )
    assert (escalated.title, assigned.title) == ("升级通知：A (2)", "anna 指派：A (2)")


def test_a_message_leads_to_the_page() -> None:
    page_url = "https://aa.example"

    (message,) = messages(
        make_delivery(planned("a")), [make_alert("a")], max_alerts=None, external_url="", page_url=page_url
    )
    (digest,) = messages(
        make_delivery(planned("a"), receiver=DIGEST),
        [make_alert("a")],
        max_alerts=None,
        external_url="",
        page_url=page_url,
    )

    assert message.links == PageLinks(
        alert=f"{page_url}/alerts/a",
        silence=f"{page_url}/silences/new?matchers=alertname%3D%22A%22",
        analysis=f"{page_url}/alerts/a/analysis",
    )
    assert digest.links == PageLinks(alert=f"{page_url}/alerts/a")
