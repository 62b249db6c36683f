"""The addresses that messages carry. Whoever changes one breaks links in messages of last week."""

import pytest

from alertagent.core.notify.links import MAX_LENGTH, page_links
from alertagent.kernel.message import PageLinks
from tests.support.messages import make_alert

PAGE = "https://alerts.example/aa/"
ROOT = "https://alerts.example/aa"


def test_one_alert_has_its_page_its_silence_and_its_report() -> None:
    alert = make_alert(instance="a:9100")

    links = page_links(PAGE, [alert], alert.labels)

    assert links == PageLinks(
        alert=f"{ROOT}/alerts/{alert.fingerprint}",
        silence=f"{ROOT}/silences/new?matchers=alertname%3D%22HighCPU%22&matchers=instance%3D%22a%3A9100%22",
        analysis=f"{ROOT}/alerts/{alert.fingerprint}/analysis",
    )


def test_several_are_a_list_and_are_silenced_by_what_they_share() -> None:
    alerts = [make_alert(instance=name, zone="cn") for name in "ab"]

    links = page_links(PAGE, alerts, {"alertname": "HighCPU", "zone": "cn"})

    assert links == PageLinks(
        alert=f"{ROOT}/alerts?filter=alertname%3D%22HighCPU%22&filter=zone%3D%22cn%22",
        silence=f"{ROOT}/silences/new?matchers=alertname%3D%22HighCPU%22&matchers=zone%3D%22cn%22",
        analysis=f"{ROOT}/alerts/{alerts[0].fingerprint}/analysis",
    )


@pytest.mark.parametrize("common", [{}, {"zone": "cn"}])
def test_nobody_is_led_to_silence_more_than_one_kind_of_alert(common: dict[str, str]) -> None:
    assert page_links(PAGE, [make_alert("A"), make_alert("B")], common).silence == ""


def test_what_is_over_needs_no_silence() -> None:
    alert = make_alert(status="resolved")

    links = page_links(PAGE, [alert], alert.labels)

    assert (links.silence, links.alert) == ("", f"{ROOT}/alerts/{alert.fingerprint}")


@pytest.mark.parametrize(
    "hostile", ["](http://evil)", "&matchers=x", "#x", '" onclick="', "<script>", "@all", "a|b>", "\n", "%2e", "告警"]
)
def test_no_label_adds_anything_to_an_address(hostile: str) -> None:
    alert = make_alert(hostile)

    links = page_links(PAGE, [alert], alert.labels)

    query = links.silence.removeprefix(f"{ROOT}/silences/new?matchers=alertname%3D%22")
    assert query.endswith("%22")
    assert all(character.isascii() and (character.isalnum() or character in "%-_.~") for character in query)


def test_labels_that_are_too_long_are_left_to_the_page() -> None:
    alert = make_alert(path="/x" * 400)

    assert page_links(PAGE, [alert], alert.labels).silence == f"{ROOT}/silences/new?alert={alert.fingerprint}"
    assert page_links(PAGE, [alert, alert], alert.labels) == PageLinks(
        alert=f"{ROOT}/alerts", silence="", analysis=f"{ROOT}/alerts/{alert.fingerprint}/analysis"
    )


@pytest.mark.parametrize(
    "page",
    ["", "alerts.example", "ftp://a.example", "javascript:alert(1)", "https://a.example/?x=1", "https://u:p@a.example"],
)
def test_without_an_address_of_the_page_there_are_no_links(page: str) -> None:
    assert page_links(page, [make_alert()], {}) == PageLinks()


def test_no_link_is_too_long_for_a_message() -> None:
    alert = make_alert()

    assert page_links(f"https://a.example/{'x' * MAX_LENGTH}", [alert], alert.labels) == PageLinks()
