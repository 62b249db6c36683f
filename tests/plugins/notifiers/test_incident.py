import pytest

from alertagent.kernel.urgency import Urgency
from alertagent.plugins.notifiers.incident import Link, incident_key, links, source, urgency
from tests.support.messages import make_alert, make_message


def test_the_key_belongs_to_the_group_and_not_to_the_message() -> None:
    first = make_message(make_alert(instance="a"), id="1")
    again = make_message(make_alert(instance="b"), id="2")
    other = make_message(make_alert("DiskFull"))

    assert incident_key(first) == incident_key(again) != incident_key(other)
    assert len(incident_key(first)) == 64


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ("critical", Urgency.CRITICAL),
        (" Page ", Urgency.CRITICAL),
        ("P1", Urgency.CRITICAL),
        ("high", Urgency.ERROR),
        ("warning", Urgency.WARNING),
        ("info", Urgency.INFO),
        ("none", Urgency.INFO),
        ("", Urgency.ERROR),
        ("sev-7", Urgency.ERROR),
    ],
)
def test_a_severity_that_nobody_knows_is_an_error(severity: str, expected: Urgency) -> None:
    assert urgency(make_message(severity=severity)) is expected


def test_a_group_is_as_urgent_as_the_worst_that_fires() -> None:
    mild, bad = make_alert(severity="info", instance="a"), make_alert(severity="warning", instance="b")
    over = make_alert(severity="critical", instance="c", status="resolved")

    assert urgency(make_message(mild, bad, over)) is Urgency.WARNING
    assert urgency(make_message(over, make_alert(severity="info", status="resolved"))) is Urgency.CRITICAL


def test_the_source_is_what_all_alerts_are_about() -> None:
    assert source(make_message(make_alert(instance="a:9100", cluster="bj"))) == "a:9100"
    assert source(make_message(make_alert(instance="a", cluster="bj"), make_alert(instance="b", cluster="bj"))) == "bj"
    assert source(make_message(make_alert(instance=" "))) == "AlertAgent"


def test_links_are_only_what_may_be_called_and_each_once() -> None:
    annotations = {
        "runbook_url": "https://wiki.example/cpu",
        "dashboard_url": "javascript:alert(1)",
        "dashboard": "https://wiki.example/cpu",
    }
    alert = make_alert(annotations=annotations, generator_url="ftp://prom/graph")

    assert links(make_message(alert)) == (
        Link("Alert", "https://alertagent.example"),
        Link("Runbook", "https://wiki.example/cpu"),
    )
