import json
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.notifiers.pagerduty import MAX_BYTES, PagerDuty, PagerDutyConfig
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.messages import NOON, make_alert, make_hostile, make_message
from tests.support.pagers import ROUTING_KEY, PagerDutyEvents

PLUGIN = PagerDuty()
SUCCESS = b'{"status":"success","message":"Event processed","dedup_key":"k"}'


def configured(**settings: Any) -> PagerDutyConfig:
    return PLUGIN.validate_config({"routing_key": ROUTING_KEY, **settings})


def event_of(*alerts: Any, **fields: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(PLUGIN.render(configured(), make_message(*alerts, **fields), NOON).body)
    return event


def test_what_fires_triggers() -> None:
    alert = make_alert(
        severity="critical",
        instance="a:9100",
        cluster="bj",
        job="node",
        annotations={"runbook_url": "https://wiki.example/"},
    )

    request = PLUGIN.render(configured(), make_message(alert), NOON)

    assert (request.method, request.url) == ("POST", "https://events.pagerduty.com/v2/enqueue")
    assert request.headers == {"Content-Type": "application/json"}
    event = json.loads(request.body)
    assert len(event.pop("dedup_key")) == 64
    assert event == {
        "routing_key": ROUTING_KEY,
        "event_action": "trigger",
        "client": "AlertAgent",
        "client_url": "https://alertagent.example",
        "payload": {
            "summary": "[FIRING] HighCPU",
            "source": "a:9100",
            "severity": "critical",
            "timestamp": "2026-11-22T14:40:00Z",
            "component": "node",
            "group": "bj",
            "class": "HighCPU",
            "custom_details": {
                "description": "CPU usage is over 90%",
                "num_firing": 1,
                "num_resolved": 0,
                "firing": "HighCPU",
                "resolved": "",
                "labels": dict(alert.labels),
                "annotations": {"runbook_url": "https://wiki.example/"},
            },
        },
        "links": [
            {"href": "https://alertagent.example", "text": "Alert"},
            {"href": "http://prom.example/graph?g0.expr=up", "text": "Source"},
            {"href": "https://wiki.example/", "text": "Runbook"},
        ],
    }


def test_the_end_resolves_by_the_same_key_and_says_nothing_else() -> None:
    fired = event_of(make_alert(instance="a"))

    assert event_of(make_alert(instance="a", status="resolved", ends_at=NOON)) == {
        "routing_key": ROUTING_KEY,
        "event_action": "resolve",
        "dedup_key": fired["dedup_key"],
    }


def test_an_analysis_is_among_the_details() -> None:
    event = event_of(extra={"analysis": {"root_cause": "logs grew"}})

    assert event["payload"]["custom_details"]["analysis"] == "logs grew"


@pytest.mark.parametrize(
    ("severity", "expected"),
    [("critical", "critical"), ("high", "error"), ("warning", "warning"), ("info", "info"), ("whatever", "error")],
)
def test_only_severities_that_pagerduty_knows_are_sent(severity: str, expected: str) -> None:
    assert event_of(severity=severity)["payload"]["severity"] == expected


@pytest.mark.parametrize("filler", ["x", "告", "\n", "\\", '"', "\x00", "😀", "\u202e", "\ud800"])
async def test_no_event_exceeds_the_limit_and_every_alert_is_named(filler: str, transport: Transport) -> None:
    message = make_hostile(300, filler)

    body = PLUGIN.render(configured(), message, NOON).body
    async with PagerDutyEvents() as pagerduty:
        outcome = await PLUGIN.send(configured(base_url=pagerduty.origin), message, transport, now=NOON)

    assert len(body) <= MAX_BYTES
    firing = json.loads(body)["payload"]["custom_details"]["firing"]
    assert all(f"Alert{number:03}" in firing for number in range(300))
    assert isinstance(outcome, Delivered)


REPLIES: list[tuple[int, bytes, Outcome]] = [
    (202, SUCCESS, Delivered(code="http.202", text=SUCCESS.decode(), message_id="k")),
    (200, SUCCESS, Delivered(code="http.200", text=SUCCESS.decode(), message_id="k")),
    (202, b"", Ambiguous(code="http.202", text="the answer does not say success: ")),
    (202, b"[]", Ambiguous(code="http.202", text="the answer does not say success: []")),
    (200, b"<html>", Ambiguous(code="http.200", text="the answer does not say success: <html>")),
    (
        202,
        b'{"status":"throttled"}',
        Ambiguous(code="http.202", text='the answer does not say success: {"status":"throttled"}'),
    ),
    (
        400,
        b'{"status":"invalid event","message":"Event object is invalid","errors":["\'severity\' is invalid"]}',
        Refused(
            code="http.400",
            text='{"status":"invalid event","message":"Event object is invalid","errors":["\'severity\' is invalid"]}',
        ),
    ),
    (404, b"", Refused(code="http.404", text="HTTP status 404")),
    (429, b"", RetryAfter(code="http.429", text="HTTP status 429")),
    (500, b"", RetryAfter(code="http.500", text="HTTP status 500")),
    (503, b"", RetryAfter(code="http.503", text="HTTP status 503")),
]


@pytest.mark.parametrize(("status", "body", "outcome"), REPLIES)
def test_the_answer_decides(status: int, body: bytes, outcome: Outcome) -> None:
    assert PLUGIN.accept(status, {}, body) == outcome


async def test_an_incident_opens_is_told_again_and_closes(transport: Transport) -> None:
    async with PagerDutyEvents() as pagerduty:
        config = configured(base_url=f"{pagerduty.origin}/")
        first = await PLUGIN.send(config, make_message(make_alert(instance="a"), id="1"), transport, now=NOON)
        await PLUGIN.send(
            config, make_message(make_alert(instance="a"), make_alert(instance="b"), id="2"), transport, now=NOON
        )
        [key] = pagerduty.incidents
        last = await PLUGIN.send(
            config, make_message(make_alert(instance="a", status="resolved"), id="3"), transport, now=NOON
        )

        assert pagerduty.incidents == {}
        assert isinstance(first, Delivered)
        assert first.message_id == key
        assert isinstance(last, Delivered)


async def test_a_wrong_key_is_final(transport: Transport) -> None:
    async with PagerDutyEvents() as pagerduty:
        config = configured(base_url=pagerduty.origin, routing_key="CANARY")
        outcome = await PLUGIN.send(config, make_message(), transport, now=NOON)

    assert isinstance(outcome, Refused)
    assert "'routing_key' is invalid" in outcome.text
    assert "CANARY" not in outcome.text


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"routing_key": ""}, ("routing_key",)),
        ({"routing_key": None}, ("routing_key",)),
        ({"base_url": "events.pagerduty.com"}, ("base_url",)),
        ({"base_url": "https://events.example/?key=CANARY"}, ("base_url",)),
        ({"base_url": "https://CANARY@events.example"}, ("base_url",)),
        ({"service_key": "CANARY"}, ("service_key",)),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], loc: tuple[str, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        configured(**settings)

    assert [detail.loc for detail in caught.value.details] == [loc]
    assert "CANARY" not in caught.value.message


def test_the_key_is_never_read_back() -> None:
    assert PLUGIN.mask_config({"routing_key": "CANARY"}) == {"routing_key": "***"}
    assert "CANARY" not in repr(configured(routing_key="CANARY"))


async def test_an_address_inside_is_refused_when_it_is_saved() -> None:
    with pytest.raises(Invalid, match=r"outgoing\.allow_networks") as caught:
        await PLUGIN.check_config(configured(base_url="http://127.0.0.1"), AddressGuard())

    assert caught.value.details[0].loc == ("base_url",)


async def test_a_health_check_posts_nothing(transport: Transport) -> None:
    async with PagerDutyEvents() as pagerduty:
        assert (await PLUGIN.health_check(configured(base_url=pagerduty.origin), transport)).healthy
        assert pagerduty.attempts == 0
